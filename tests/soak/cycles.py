"""A hub and its worker, opened and closed over and over: nothing may be left of them."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from array import array
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from outsides import outsides
from program import Account, Count, chain, count, registry
from slopes import fit

from durable_async import TaskHub

BLOCKS_A_CYCLE_MAX = 2.0
"""Memory blocks: a cycle that left one object of the engine would leave more."""

_WARM_ROUNDS = 10
_HOUR = 3600.0


@dataclass(frozen=True)
class Left:
    """What is there after a cycle."""

    tasks: int
    threads: tuple[str, ...]
    files: int
    sockets: int
    blocks: int


class AwayError(Exception):
    """Leaves a block in the midst of its work."""


async def cycle(url: str, number: int) -> None:
    """Open a hub with a worker, use both, and close them: at rest, in the midst of work, by an error, or by a cancellation."""
    leave = _WAYS[number % len(_WAYS)]
    with suppress(AwayError):
        await leave(url, number)


async def _at_rest(url: str, number: int) -> None:
    async with TaskHub.open(url, registry=registry) as hub, hub.worker():
        handle = await hub.client.start(chain, 2)
        assert await handle.wait(timeout=30) == 2
        account = Account.entity_id(f"a{number % 3}")
        await hub.client.call_entity(account, Account.move, 1)
        await hub.client.purge(handle)


async def _at_work(url: str, number: int) -> None:
    async with TaskHub.open(url, registry=registry) as hub, hub.worker():
        handle = await hub.client.start(chain, 2)
        waiting = await hub.client.start(count, Count([], 2))
        await waiting.raise_event("number", number)
    async with TaskHub.open(url, registry=registry) as hub:
        # What memory held is gone with its hub.
        if not url.startswith("memory"):
            for one in (handle, waiting):
                await hub.client.terminate(one.instance_id)


async def _by_error(url: str, number: int) -> None:
    async with TaskHub.open(url, registry=registry) as hub, hub.worker():
        handle = await hub.client.start(chain, 2)
        await handle.wait(timeout=30)
        raise AwayError


async def _by_cancellation(url: str, number: int) -> None:
    async def serve() -> None:
        async with TaskHub.open(url, registry=registry) as hub, hub.worker():
            await (await hub.client.start(chain, 1)).wait(timeout=30)
            is_up.set()
            await asyncio.Event().wait()

    is_up = asyncio.Event()
    task = asyncio.create_task(serve())
    await is_up.wait()
    task.cancel()
    await asyncio.wait([task])


_WAYS: Sequence[Callable[[str, int], Awaitable[None]]] = (
    _at_rest,
    _at_work,
    _by_error,
    _by_cancellation,
)


@dataclass(frozen=True)
class Remains:
    """What many cycles left.

    Attributes:
        before: What was there when the first few were over.
        after: What is there in the end.
        blocks_a_cycle: How many memory blocks each leaves.
    """

    before: Left
    after: Left
    blocks_a_cycle: float

    def complaints(self) -> list[str]:
        """Say what is more than it was, or grows."""
        found = [
            f"{name}: {before} before, {after} after"
            for name in ("tasks", "threads", "files", "sockets")
            if (before := getattr(self.before, name)) != (after := getattr(self.after, name))
        ]
        if self.blocks_a_cycle > BLOCKS_A_CYCLE_MAX:
            found.append(f"{self.blocks_a_cycle:.1f} blocks of memory are left by each")
        return found


async def run_cycles(url: str, cycles: int, *, warm: int = _WARM_ROUNDS) -> Remains:
    """Open and close so many times, after some rounds of all ways that do not count."""
    for number in range(warm * len(_WAYS)):
        await cycle(url, number)
    before, blocks = left(), array("d")  # which takes no blocks itself, or hardly any
    for number in range(cycles):
        await cycle(url, number)
        if number % len(_WAYS) == 0:
            blocks.append(left().blocks)
    slope = fit([(float(at * len(_WAYS)), value) for at, value in enumerate(blocks)])
    return Remains(before, left(), max(slope.hourly - 2 * slope.error, 0.0) / _HOUR)


def left() -> Left:
    """Return what is there now; garbage is collected first."""
    gc.collect()
    told = outsides(os.getpid())
    return Left(
        tasks=len(asyncio.all_tasks()),
        threads=tuple(sorted(one.name for one in threading.enumerate())),
        files=told["files"],
        sockets=told["sockets"],
        blocks=sys.getallocatedblocks(),
    )
