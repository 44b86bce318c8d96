"""The intake: starts are refused while too many orchestrations of the hub are yet to begin.

What is pending is counted now and then, not with each start: to count is a read of the whole hub. In between, a client adds what it has started
itself. So the bound is one of about: other processes may go beyond it, by what they start between two counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from durable_async.environment import Environment
from durable_async.errors import OverloadedError

COUNTED_SECONDS = 1.0
"""So long a count is good for, at least."""

COUNTING_SHARE = 20
"""And so many times as long as it took: a store is not to be busy with being counted."""


class Intake:
    """What one client lets in.

    Args:
        count: Counts the hub's pending orchestrations.
        environment: The clock.
        pending_max: How many there may be, 1 or more.
    """

    def __init__(
        self,
        count: Callable[[], Awaitable[int]],
        environment: Environment,
        pending_max: int,
    ) -> None:
        self._count = count
        self._environment = environment
        self._pending_max = pending_max
        self._pending = 0
        self._good_until = float("-inf")
        self._counting = anyio.Lock()

    async def admit(self, starts: int) -> None:
        """Let some starts in.

        Raises:
            OverloadedError: With these there would be too many. Nothing was written.
            BackendUnavailableError: The store cannot be asked.
        """
        async with self._counting:
            if self._environment.monotonic() >= self._good_until:
                await self._count_anew()
        if self._pending + starts > self._pending_max:
            raise OverloadedError("the line of orchestrations that are pending", self._pending_max)
        self._pending += starts

    async def _count_anew(self) -> None:
        begun = self._environment.monotonic()
        self._pending = await self._count()
        now = self._environment.monotonic()
        self._good_until = now + max(COUNTED_SECONDS, (now - begun) * COUNTING_SHARE)
