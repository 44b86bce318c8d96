"""Faults of the server."""

from __future__ import annotations

import asyncio
import os
import signal
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack, suppress

import asyncpg
from faults import Fault
from fleet import now_us
from stores import PostgresPair, PostgresStore
from world import World

from durable_async.backends.postgres.failures import DRIVER_ERRORS

from .processes import kill

_RECOVERY_SECONDS = 30.0
_SHAKEN_US = 3_000_000
_TERMINATE = """
select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like 'durable_async/%'
"""


_ANY_BACKEND = """
select pid from pg_stat_activity where application_name like 'durable_async/%' order by random() limit 1
"""
_BACKEND_COUNT = "select count(*) from pg_stat_activity where pid = {}"


class _Blows(ABC):
    """Something that takes the whole server down, over and over.

    Args:
        number: How often.
        store: Where.
    """

    def __init__(self, number: int, store: PostgresStore) -> None:
        self._number = number
        self._store = store

    async def __call__(self, world: World) -> None:
        """Deal one after the other; times are counted from when the server is back."""
        for _ in range(self._number):
            await world.pause(1.0, 3.0)
            fault = await everybody(world)
            await self._strike()
            heal(world, fault)
            await world.until_busy(fault.healed_us)

    @abstractmethod
    async def _strike(self) -> None:
        """Take it down, and return when it is back."""


class Crashes(_Blows):
    """An immediate stop of the server, as in a crash, and a restart at once."""

    async def _strike(self) -> None:
        self._store.server.stop(immediately=True)
        self._store.server.start()  # in this thread: the server ends with the one that started it


class PostmasterKills(_Blows):
    """Kill -9 of the server's first process; the others notice and follow, and it is started again until it can."""

    async def _strike(self) -> None:
        self._store.server.kill()
        self._store.server.start()  # in this thread, as above


class BackendKills(_Blows):
    """Kill -9 of one of the server's processes, that of a connection: the server ends all others, and recovers as from a crash."""

    async def _strike(self) -> None:
        backend = await self._store.execute(_ANY_BACKEND)
        os.kill(backend, signal.SIGKILL)
        async with asyncio.timeout(_RECOVERY_SECONDS):
            while not await self._has_forgotten(backend):
                await asyncio.sleep(0.01)

    async def _has_forgotten(self, killed: int) -> bool:
        """Tell whether the server lets somebody in, and knows nothing any more of whom we killed."""
        with suppress(*DRIVER_ERRORS):
            return not await self._store.execute(_BACKEND_COUNT.format(killed))
        return False


class Exhaustions:
    """All connections of the server are taken by somebody else while a worker dies, so that nobody new can come; then they are given back."""

    _SECONDS = 4.0

    def __init__(self, number: int, store: PostgresStore) -> None:
        self._number = number
        self._store = store

    async def __call__(self, world: World) -> None:
        """Take them over and over."""
        for _ in range(self._number):
            await world.pause(1.0, 2.0)
            async with AsyncExitStack() as taken:
                await self._take(world, taken)
                victim = await world.busy_worker()
                await kill(world, victim)
                end = asyncio.get_running_loop().time() + self._SECONDS
                newcomer = world.fleet.spawn()
                while asyncio.get_running_loop().time() < end:
                    await self._take(world, taken)
                    await asyncio.sleep(0.02)
            await world.until_ready(newcomer)

    async def _take(self, world: World, taken: AsyncExitStack) -> None:
        """Take all that are free."""
        with suppress(asyncpg.TooManyConnectionsError):
            while True:
                connection = await asyncpg.connect(self._store.admin_dsn)
                taken.callback(connection.terminate)
                world.note("connections_taken")


class Storms:
    """Every connection of the hub is terminated by an administrator, several times in a row.

    Args:
        number: How many storms.
        store: Where.
        gusts: How often in each.
        pause_seconds: Between them, at least and at most.
    """

    def __init__(
        self,
        number: int,
        store: PostgresStore,
        *,
        gusts: int = 6,
        pause_seconds: tuple[float, float] = (0.02, 0.4),
    ) -> None:
        self._number = number
        self._store = store
        self._gusts = gusts
        self._pause_seconds = pause_seconds

    async def __call__(self, world: World) -> None:
        """Blow over and over; times are counted from the last gust of each storm."""
        for _ in range(self._number):
            await world.pause(1.0, 2.0)
            for _ in range(self._gusts - 1):
                fault = await everybody(world)
                fault.is_measured = False
                await self._blow(world)
                await world.pause(*self._pause_seconds)
            last = await everybody(world)
            await self._blow(world)
            await world.until_busy(last.at_us)
            world.note("storms")

    async def _blow(self, world: World) -> None:
        world.note("terminated", await self._store.execute(_TERMINATE))


class Promotions:
    """Kill -9 of the primary, promotion of its synchronous standby, and the old primary is made anew as the next standby.

    Args:
        number: How many.
        store: The pair.
        has_standby: Whether there is one to begin with.
    """

    def __init__(self, number: int, store: PostgresPair, *, has_standby: bool = True) -> None:
        self._number = number
        self._store = store
        self._has_standby = has_standby

    async def __call__(self, world: World) -> None:
        """Go to and fro."""
        for number in range(self._number):
            if number or not self._has_standby:
                await self._store.add_standby()
            await world.pause(1.0, 2.0)
            fault = await everybody(world)
            self._store.kill_primary()
            await self._store.promote()
            heal(world, fault)
            await world.until_busy(fault.healed_us)


def heal(world: World, fault: Fault) -> None:
    """Write down that work is possible again, and how long it was not."""
    fault.healed_us = now_us()
    down_seconds = (fault.healed_us - fault.at_us) / 1e6
    world.notes["down_seconds_max"] = max(world.notes.get("down_seconds_max", 0.0), down_seconds)


async def everybody(world: World) -> Fault:
    """Write down a fault that hits all workers."""
    workers = world.fleet.workers
    owned = await world.owned_by(workers)
    fault = Fault(now_us(), frozenset(one.pid for one in workers), owned, shaken_us=_SHAKEN_US)
    world.faults.append(fault)
    return fault
