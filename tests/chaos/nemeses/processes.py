"""Faults of worker processes."""

from __future__ import annotations

import asyncio

from faults import Fault
from fleet import WorkerProcess, now_us
from world import World

_NEW_IDENTITY_SECONDS = 10.0
_LOOK_SECONDS = 0.02


class Kills:
    """Kill -9 of one of the workers; a new one takes its place.

    Args:
        number: How many.
        engaged_share: How many of them, of 1, fall on a worker that is in the midst of an activity.
    """

    def __init__(self, number: int, engaged_share: float = 0.0) -> None:
        self._number = number
        self._engaged_share = engaged_share

    async def __call__(self, world: World) -> None:
        """Kill them one after the other."""
        for _ in range(self._number):
            await world.pause(0.5, 1.5)
            is_engaged = world.random.random() < self._engaged_share
            victim = await (world.engaged_worker() if is_engaged else world.busy_worker())
            owned = await world.owned_by([victim])
            fault = Fault(victim.kill(), frozenset({victim.pid}), owned)
            fault.until_us = now_us()  # it may have lived for a moment after the signal was sent
            world.faults.append(fault)
            world.fleet.remove(victim)
            await world.until_ready(world.fleet.spawn())


class Zombies:
    """SIGSTOP of one of the workers for two leases; it wakes up and does not know how long it slept."""

    def __init__(self, number: int, lease_seconds: float) -> None:
        self._number = number
        self._lease_seconds = lease_seconds

    async def __call__(self, world: World) -> None:
        """Freeze them one after the other."""
        for _ in range(self._number):
            await world.pause(0.3, 1.0)
            victim = await world.busy_worker()
            owned = await world.owned_by([victim])
            identities = victim.identities()
            fault = Fault(victim.freeze(), self._shaken(world, victim), owned)
            fault.process, fault.identity = victim.number, identities[-1].worker_id
            world.faults.append(fault)
            await asyncio.sleep(2 * self._lease_seconds)
            victim.thaw()
            fault.until_us = await until_renamed(victim, len(identities))

    @staticmethod
    def _shaken(world: World, victim: WorkerProcess) -> frozenset[int]:
        """Whoever is frozen may hold the only write lock of a file, so that nobody can renew a lease."""
        workers = (
            world.fleet.workers if world.hub.backend.description.startswith("sqlite") else [victim]
        )
        return frozenset(one.pid for one in workers)


async def until_renamed(victim: WorkerProcess, known: int) -> int:
    """Wait until a worker goes on under a new identity, and return since when it does."""
    async with asyncio.timeout(_NEW_IDENTITY_SECONDS):
        while len(victim.identities()) <= known:
            await asyncio.sleep(_LOOK_SECONDS)
    return victim.identities()[known].since_us
