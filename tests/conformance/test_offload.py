"""A backend that keeps almost everything elsewhere keeps every promise of the port."""

from __future__ import annotations

import pytest

from durable_async.backend import Backend
from durable_async.backends.memory import MemoryBackend, MemoryStore
from durable_async.backends.offload import MemoryPayloads, OffloadingBackend
from durable_async.testing.conformance import (
    HUB,
    LETTERS_MAX,
    BackendConformance,
    Connect,
    StoreClock,
)

from .clocked import ClockedEnvironment


class TestOffload(BackendConformance):
    life_ends_with_close = True

    @pytest.fixture(params=[0, 5, 1_000_000], ids=["all", "most", "none"])
    def payloads(self, request: pytest.FixtureRequest) -> MemoryPayloads:
        return MemoryPayloads(threshold_bytes=request.param)

    @pytest.fixture
    def connect(self, clock: StoreClock, payloads: MemoryPayloads) -> Connect:
        store = MemoryStore(clock)
        environment = ClockedEnvironment(clock)

        def connected(*, hub: str = HUB, letters_max: int = LETTERS_MAX) -> Backend:
            inner = MemoryBackend(store, hub=hub, letters_max=letters_max)
            return OffloadingBackend(inner, payloads, environment=environment, cache_bytes=64)

        return connected
