"""The store for production keeps every promise of the port."""

from __future__ import annotations

import pytest

from durable_async.backends.postgres import PostgresBackend
from durable_async.testing.conformance import (
    HUB,
    LETTERS_MAX,
    BackendConformance,
    Connect,
    ManualClock,
    StoreClock,
)
from durable_async.testing.postgres import LabClock, PostgresLab

from .clocked import ClockedEnvironment


class TestPostgres(BackendConformance):
    life_ends_with_close = True

    @pytest.fixture
    def clock(self, postgres_lab: PostgresLab, fresh_name: str) -> StoreClock:
        return LabClock(postgres_lab, fresh_name, ManualClock().now_us())

    @pytest.fixture
    def connect(self, clock: LabClock, postgres_lab: PostgresLab) -> Connect:
        dsn = postgres_lab.dsn_with_clock(clock.name)
        environment = ClockedEnvironment(clock)

        def connect(*, hub: str = HUB, letters_max: int = LETTERS_MAX) -> PostgresBackend:
            return PostgresBackend(
                dsn,
                environment=environment,
                hub=f"{clock.name}-{hub}",
                letters_max=letters_max,
            )

        return connect
