"""The real world, in which time passes when a test says so."""

from __future__ import annotations

from durable_async.environment import SystemEnvironment
from durable_async.testing.conformance import StoreClock


class ClockedEnvironment(SystemEnvironment):
    """Goes by a clock that is moved."""

    def __init__(self, clock: StoreClock) -> None:
        super().__init__()
        self._clock = clock

    def now_us(self) -> int:
        return self._clock.now_us()

    def monotonic(self) -> float:
        return self._clock.now_us() / 1_000_000
