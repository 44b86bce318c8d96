"""Faults of worker processes."""

from __future__ import annotations

import asyncio

from crowds.tallies import Stall
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
        away_seconds_max: How long its place is empty at most.
    """

    def __init__(
        self, number: int, engaged_share: float = 0.0, away_seconds_max: float = 0.0
    ) -> None:
        self._number = number
        self._engaged_share = engaged_share
        self._away_seconds_max = away_seconds_max

    async def __call__(self, world: World) -> None:
        """Kill them one after the other."""
        for _ in range(self._number):
            await world.pause(0.5, 1.5)
            is_engaged = world.random.random() < self._engaged_share
            victim = await (world.engaged_worker() if is_engaged else world.busy_worker())
            await kill(world, victim)
            await world.pause(0.0, self._away_seconds_max)
            await world.until_ready(world.fleet.spawn())


async def kill(world: World, victim: WorkerProcess) -> Fault:
    """Kill a worker, and write it down."""
    owned = await world.owned_by([victim])
    fault = Fault(victim.kill(), frozenset({victim.pid}), owned)
    fault.until_us = now_us()  # it may have lived for a moment after the signal was sent
    world.faults.append(fault)
    world.fleet.remove(victim)
    return fault


class Zombies:
    """SIGSTOP of one of the workers for some leases; it wakes up and does not know how long it slept.

    Args:
        number: How many.
        lease_seconds: Of the workers.
        leases: For how many leases each is frozen, at least and at most; from two on it has been taken over by then.
    """

    def __init__(
        self, number: int, lease_seconds: float, leases: tuple[float, float] = (2.0, 2.0)
    ) -> None:
        self._number = number
        self._lease_seconds = lease_seconds
        self._leases = leases

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
            leases = world.random.uniform(*self._leases)
            try:
                await asyncio.sleep(leases * self._lease_seconds)
            finally:
                victim.thaw()
            await self._await_fence(fault, victim, len(identities), is_certain=leases >= 2)

    @staticmethod
    async def _await_fence(
        fault: Fault, victim: WorkerProcess, known: int, *, is_certain: bool
    ) -> None:
        try:
            fault.until_us = await until_renamed(victim, known)
        except TimeoutError:
            if is_certain:
                raise
            # It woke up just before anybody looked.
            fault.until_us = now_us()
            fault.process = fault.identity = None

    @staticmethod
    def _shaken(world: World, victim: WorkerProcess) -> frozenset[int]:
        """Whoever is frozen may hold the only write lock of a file, so that nobody can renew a lease."""
        workers = (
            world.fleet.workers if world.hub.backend.description.startswith("sqlite") else [victim]
        )
        return frozenset(one.pid for one in workers)


class Blocks:
    """The event loop of one of the workers is blocked for two leases, by an activity or an operation that sleeps. It keeps its lease."""

    def __init__(self, number: int, lease_seconds: float) -> None:
        self._number = number
        self._seconds = 2 * lease_seconds

    async def __call__(self, world: World) -> None:
        """Block one after the other."""
        for _ in range(self._number):
            await world.pause(0.3, 1.0)
            instance = f"stall-{len(world.faults)}"
            key = f"{instance}/1/0"
            order = Stall(str(world.ledger), key, self._seconds, world.random.random() < 0.5)
            await world.hub.client.start("stall", order, instance_id=instance, request_id=instance)
            world.load.acknowledged.results[instance] = key
            victim = await world.worker_of(key)
            identities = len(victim.identities())
            fault = Fault(now_us(), owned=await world.owned_by([victim]))
            world.faults.append(fault)
            await world.until_ended(key)
            fault.healed_us = now_us()
            await asyncio.sleep(_NEW_IDENTITY_SECONDS / 10)
            if len(victim.identities()) > identities and not world.is_slow:
                world.note("leases_lost_to_blocks")


async def until_renamed(victim: WorkerProcess, known: int) -> int:
    """Wait until a worker goes on under a new identity, and return since when it does."""
    async with asyncio.timeout(_NEW_IDENTITY_SECONDS):
        while len(victim.identities()) <= known:
            await asyncio.sleep(_LOOK_SECONDS)
    return victim.identities()[known].since_us
