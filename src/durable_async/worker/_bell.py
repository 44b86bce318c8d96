"""A bell: how a task that has run out of work is told that there is some."""

from __future__ import annotations

import asyncio


class Bell:
    """Wakes the one task that waits; while it is at work there is nobody to wake, and a ring is nothing.

    Cheaper than an event, which is made anew for each wait and set for each item: the first item of many rings, and the task looks for
    items, not at the bell.
    """

    __slots__ = ("_waiter",)

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake the task, if it waits."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def wait(self) -> asyncio.Future[None]:
        """Await this for a ring. One that came before is forgotten: look whether there is work, and wait at once if there is none."""
        self._waiter = waiter = asyncio.get_running_loop().create_future()
        return waiter
