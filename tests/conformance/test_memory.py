"""The reference keeps every promise of the port."""

from __future__ import annotations

from functools import partial

import pytest

from durable_async.backends.memory import MemoryBackend, MemoryStore
from durable_async.testing.conformance import BackendConformance, Connect, StoreClock


class TestMemory(BackendConformance):
    life_ends_with_close = True

    @pytest.fixture
    def connect(self, clock: StoreClock) -> Connect:
        return partial(MemoryBackend, MemoryStore(clock))
