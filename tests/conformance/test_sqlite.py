"""The embedded store keeps every promise of the port, with its threads and without."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from durable_async.backends.sqlite import SqliteBackend
from durable_async.backends.sqlite.lifelines import Lifelines
from durable_async.testing.conformance import BackendConformance, Connect, StoreClock

from .clocked import ClockedEnvironment


class TestSqlite(BackendConformance):
    life_ends_with_close = Lifelines.supported

    @pytest.fixture
    def connect(self, clock: StoreClock, tmp_path: Path) -> Connect:
        return partial(SqliteBackend, tmp_path / "hub.db", environment=ClockedEnvironment(clock))


class TestSqliteInline(BackendConformance):
    life_ends_with_close = Lifelines.supported

    @pytest.fixture
    def connect(self, clock: StoreClock, tmp_path: Path) -> Connect:
        return partial(
            SqliteBackend,
            tmp_path / "hub.db",
            environment=ClockedEnvironment(clock),
            inline=True,
        )
