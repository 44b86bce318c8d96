"""Faults of the server."""

from __future__ import annotations

from faults import Fault
from fleet import now_us
from stores import PostgresPair, PostgresStore
from world import World

_SHAKEN_US = 3_000_000
_TERMINATE = """
select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like 'durable_async/%'
"""


class Crashes:
    """An immediate stop of the server, as in a crash, and a restart at once."""

    def __init__(self, number: int, store: PostgresStore) -> None:
        self._number = number
        self._store = store

    async def __call__(self, world: World) -> None:
        """Crash it over and over."""
        for _ in range(self._number):
            await world.pause(1.0, 3.0)
            fault = await everybody(world)
            self._store.server.stop(immediately=True)
            self._store.server.start()  # in this thread: the server ends with the one that started it
            fault.healed_us = now_us()
            await world.until_busy(fault.healed_us)


class Storms:
    """Every connection of the hub is terminated by an administrator, several times in a row."""

    _GUSTS = 6

    def __init__(self, number: int, store: PostgresStore) -> None:
        self._number = number
        self._store = store

    async def __call__(self, world: World) -> None:
        """Blow over and over; times are counted from the last gust of each storm."""
        for _ in range(self._number):
            await world.pause(1.0, 2.0)
            for _ in range(self._GUSTS - 1):
                fault = await everybody(world)
                fault.owned = frozenset()
                await self._blow(world)
                await world.pause(0.02, 0.4)
            last = await everybody(world)
            await self._blow(world)
            await world.until_busy(last.at_us)
            world.notes["storms"] = world.notes.get("storms", 0) + 1

    async def _blow(self, world: World) -> None:
        ended = await self._store.execute(_TERMINATE)
        world.notes["terminated"] = world.notes.get("terminated", 0) + ended


class Promotions:
    """Kill -9 of the primary, promotion of its synchronous standby, and the old primary is made anew as the next standby."""

    def __init__(self, number: int, store: PostgresPair) -> None:
        self._number = number
        self._store = store

    async def __call__(self, world: World) -> None:
        """Go to and fro."""
        for number in range(self._number):
            if number:
                await self._store.add_standby()
            await world.pause(1.0, 2.0)
            fault = await everybody(world)
            self._store.kill_primary()
            await self._store.promote()
            fault.healed_us = now_us()
            await world.until_busy(fault.healed_us)


async def everybody(world: World) -> Fault:
    """Write down a fault that hits all workers."""
    workers = world.fleet.workers
    owned = await world.owned_by(workers)
    fault = Fault(now_us(), frozenset(one.pid for one in workers), owned, shaken_us=_SHAKEN_US)
    world.faults.append(fault)
    return fault
