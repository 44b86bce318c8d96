"""Faults without a pause, for as long as there is something to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from world import World

_STANDSTILL_SECONDS = 60.0

Strike = Callable[[World], Awaitable[None]]


class Throughout:
    """One fault after the other, until there were enough of them and the customers have done enough errands.

    Args:
        number: How many faults at least.
        kinds: One of them is drawn each time.
        beside: The same, at the same time, with longer pauses.
    """

    def __init__(
        self, number: int, kinds: Sequence[Strike], *, beside: Sequence[Strike] = ()
    ) -> None:
        self._number = number
        self._kinds = kinds
        self._beside = beside

    async def __call__(self, world: World) -> None:
        """Strike; if nothing is done any more, that is for the checker."""
        is_over = asyncio.Event()
        done, done_at = 0, time.monotonic()
        async with asyncio.TaskGroup() as group:
            if self._beside:
                group.create_task(self._strike_beside(world, is_over))
            while len(world.faults) < self._number or done < world.errands:
                with suppress(TimeoutError):  # nobody is at work whom it could hit
                    await self._strike(world, self._kinds)
                if world.load.done > done:
                    done, done_at = world.load.done, time.monotonic()
                elif time.monotonic() > done_at + _STANDSTILL_SECONDS:
                    world.notes["standstill_at"] = done
                    break
            is_over.set()

    async def _strike_beside(self, world: World, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            await world.pause(3.0, 8.0)
            with suppress(TimeoutError):
                await self._strike(world, self._beside)

    @staticmethod
    async def _strike(world: World, kinds: Sequence[Strike]) -> None:
        strike = world.random.choice(kinds)
        await strike(world)
        world.note(type(strike).__name__.lower())
