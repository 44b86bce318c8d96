"""Faults between workers and the server."""

from __future__ import annotations

import asyncio

from faults import Fault
from fleet import now_us
from stores import ProxiedPair, ProxiedStore
from workload import Notes
from world import World

from .processes import until_renamed

_LANDED = """
select coalesce(sum(s.n - 1), 0) from (
    select count(distinct a.session) n from chaos.audit a where a.kind = 'commit' group by a.worker, a.epoch
) s
"""
"""Commits after which their worker went on with the next number on another connection."""


class CutOffs:
    """The cable of one of the workers is pulled for two leases: sockets stay open, and nothing passes."""

    def __init__(self, number: int, lease_seconds: float, store: ProxiedStore) -> None:
        self._number = number
        self._lease_seconds = lease_seconds
        self._store = store

    async def __call__(self, world: World) -> None:
        """Pull them one after the other."""
        for _ in range(self._number):
            await world.pause(0.3, 1.0)
            victim = await world.busy_worker()
            owned = await world.owned_by([victim])
            identities = victim.identities()
            fault = Fault(now_us(), frozenset({victim.pid}), owned)
            fault.process, fault.identity = victim.number, identities[-1].worker_id
            world.faults.append(fault)
            proxy = self._store.proxies[victim.place]
            proxy.hold()
            await asyncio.sleep(2 * self._lease_seconds)
            proxy.release("")
            fault.until_us = await until_renamed(victim, len(identities))


class HalfOpenings:
    """The server has forgotten one of the connections of a worker, which does not know: not its end is told, and no answer comes."""

    _ROLES = ("/commits", "/work")
    _SECONDS = 6.0

    def __init__(self, number: int, store: ProxiedStore | ProxiedPair) -> None:
        self._number = number
        self._store = store

    async def __call__(self, world: World) -> None:
        """Let one after the other be forgotten."""
        forgotten = 0
        while forgotten < self._number:
            await world.pause(0.3, 1.0)
            victim = await world.busy_worker()
            fault = Fault(now_us(), owned=await world.owned_by([victim]))
            if not self._store.proxies[victim.place].sever(world.random.choice(self._ROLES)):
                continue
            forgotten += 1
            world.faults.append(fault)
            await asyncio.sleep(self._SECONDS)


class LostAnswers:
    """The server commits a batch, and the connection is reset in place of the answer."""

    _SECONDS = 20.0

    def __init__(self, number: int, store: ProxiedStore) -> None:
        self._number = number
        self._store = store

    async def __call__(self, world: World) -> None:
        """Lose answers until the server tells that so many of those commits stand."""
        while len(world.faults) < self._number:
            victim = await world.busy_worker()
            proxy = self._store.proxies[victim.place]
            lost = proxy.lost
            proxy.lose_answers(1, "/commits")
            async with asyncio.timeout(self._SECONDS):
                while proxy.lost == lost:
                    await asyncio.sleep(0.005)
            at_us = now_us()
            await world.pause(0.02, 0.2)
            # It may have been the answer to what the driver asks first on a new connection.
            if await self._store.execute(_LANDED) > len(world.faults):
                world.faults.append(Fault(at_us))


class LostWakeups:
    """No notification reaches the workers, which are idle; then an event is raised, and at last an orchestration started."""

    ROUND = 8
    _SECONDS = 20.0

    def __init__(self, number: int, store: ProxiedStore) -> None:
        self._number = number
        self._store = store

    async def __call__(self, world: World) -> None:
        """Say something to deaf ears, over and over."""
        wanted = len(world.faults) + self._number
        while len(world.faults) < wanted:
            size = min(wanted - len(world.faults), self.ROUND)
            await self._round(world, f"notes-{len(world.faults)}", size - 1)
            for proxy in self._store.proxies.values():
                proxy.release()

    async def _round(self, world: World, instance: str, size: int) -> None:
        client = world.hub.client
        await self._start(world, instance, size)
        await client.wait_for_start(instance, timeout=self._SECONDS)
        for proxy in self._store.proxies.values():
            proxy.hold("/ears", way="down")
        for value in range(size):
            await world.pause(1.5, 2.5)  # long enough to poll as seldom as ever
            assert await client.raise_event(instance, "note", value)
            world.load.acknowledged.events += 1
            self._note(world, instance)
        await world.pause(1.5, 2.5)
        last = f"last-{instance}"
        await self._start(world, last, 0)
        self._note(world, last)
        await client.wait(last, timeout=self._SECONDS)

    async def _start(self, world: World, instance: str, size: int) -> None:
        await world.hub.client.start("notes", Notes(size), instance_id=instance)
        world.load.acknowledged.results[instance] = list(range(size))

    def _note(self, world: World, instance: str) -> None:
        world.faults.append(Fault(now_us(), owned=frozenset({instance}), is_due=True))
