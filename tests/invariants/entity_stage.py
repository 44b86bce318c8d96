"""A stage for simulations with entities: a store that misbehaves, workers that come and go, a client for each sender; and what was seen.

All by the chance of one seed. When the story is over the faults stop, and one sound worker clears up; then the simulation looks at
what is left.
"""

from __future__ import annotations

import logging
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar
from unittest.mock import patch

import anyio
from anyio.abc import TaskGroup

from durable_async import Client, EntityId, OrchestrationHandle, Registry, TaskHub
from durable_async.backends.memory.store import MemoryStore
from durable_async.backends.sqlite import SqliteBackend
from durable_async.errors import BackendUnavailableError, InvalidTransitionError
from durable_async.testing import VirtualEnvironment, run_virtual
from durable_async.worker import _entities

from .faults import SETTINGS, Faults, Faulty, FaultyBackend, Fleet

A = TypeVar("A")

SETTLE_SECONDS = 600.0
RESIDENTS_MAX = 2
"""Workers that live where a client does, as long as the story."""

ORDERLY = replace(SETTINGS, instances_max=1_000, batch_turns_max=500, claim_batch=50)


class Simulation(Protocol):
    """A story on a stage."""

    registry: Registry

    async def play(self, stage: Stage) -> None:
        """Let clients do things, until they are done; workers come and go meanwhile."""
        ...

    async def check(self, stage: Stage) -> None:
        """Look at what is left."""
        ...


class Store(Protocol):
    """Where everything is, and a process's way there."""

    def backend(self, env: VirtualEnvironment, faults: Faults) -> Any:
        """Return the backend of a new process."""
        ...

    def expire(self, worker_id: str) -> None:
        """Let a worker's lease run out, as if its process had been frozen."""
        ...


class InMemory:
    """A store in memory."""

    def __init__(self) -> None:
        self._store: MemoryStore | None = None

    def backend(self, env: VirtualEnvironment, faults: Faults) -> Any:
        if self._store is None:
            self._store = MemoryStore(env)
        return FaultyBackend(self._store, env, faults)

    def expire(self, worker_id: str) -> None:
        assert self._store is not None
        row = self._store.hub("default").workers.get(worker_id)
        if row is not None:
            row.lease_until_us = 0


class FaultySqlite(Faulty, SqliteBackend):
    """A faulty way to a store in a file; of what other processes do nothing is heard here."""

    def __init__(self, path: Path, env: VirtualEnvironment, faults: Faults) -> None:
        super().__init__(path, environment=env, inline=True)
        self._faults = faults


class InFile:
    """A store in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def backend(self, env: VirtualEnvironment, faults: Faults) -> Any:
        return FaultySqlite(self._path, env, faults)

    def expire(self, worker_id: str) -> None:
        with sqlite3.connect(self._path) as connection:
            connection.execute("update workers set lease_until_us = 0 where id = ?", [worker_id])
        connection.close()


class EntityFleet(Fleet):
    """Workers whose bounds are drawn as well."""

    def __init__(
        self, store: Store, env: VirtualEnvironment, registry: Registry, faults: Faults
    ) -> None:
        super().__init__(None, env, registry, faults)  # type: ignore[arg-type]
        self._place = store
        chance = faults.chance
        self.settings = replace(
            SETTINGS,
            instances_max=chance.choice([3, 8, 100]),
            batch_turns_max=chance.choice([1, 3, 100]),
            claim_batch=chance.choice([1, 3, 20]),
            operations_max=chance.choice([1, 100]),
        )

    def _backend(self) -> Any:
        return self._place.backend(self._env, self._faults)

    def _fence(self, worker_id: str | None) -> None:
        self._place.expire(worker_id or "")


class Stage:
    """What a simulation plays on.

    Attributes:
        chance: The chance of the run.
        env: Its environment.
        fleet: Its workers.
    """

    def __init__(
        self,
        env: VirtualEnvironment,
        chance: random.Random,
        store: Store,
        registry: Registry,
        stack: AsyncExitStack,
        group: TaskGroup,
    ) -> None:
        self.env = env
        self.chance = chance
        self.faults = Faults(chance)
        self.faults.deafness = chance.choice([0.0, 0.3])
        self.faults.delay = chance.choice([0.0, 0.01, 0.1, 0.1, 0.3])
        self.fleet = EntityFleet(store, env, registry, self.faults)
        self._store = store
        self._registry = registry
        self._stack = stack
        self._group = group
        self._residents = self._ticks = 0

    def tick(self) -> int:
        """Return a moment that is later than all before."""
        self._ticks += 1
        return self._ticks

    def toss(self, share: float) -> bool:
        """Say yes, so often."""
        return self.chance.random() < share

    async def pause(self, seconds: float = 0.3) -> None:
        """Let some time pass, about so much."""
        await anyio.sleep(self.chance.expovariate(1 / seconds))

    async def hub(self) -> TaskHub:
        """Return the hub as a process of its own has it, to the end of the run."""
        backend = self._store.backend(self.env, self.faults)
        await backend.open()
        self._stack.push_async_callback(backend.close)
        hub = TaskHub(backend, registry=self._registry, environment=self.env)
        self._stack.callback(hub.client.close)
        return hub

    async def client(self) -> Client:
        """Return the client of a process of its own, in which there may be a worker as well."""
        hub = await self.hub()
        if self._residents < RESIDENTS_MAX and self.toss(0.3):
            self._residents += 1
            self._group.start_soon(hub.worker(settings=self.fleet.settings).run)
        return hub.client

    def new_id(self) -> str:
        """Return an id for a request."""
        return f"{self.chance.getrandbits(64):x}"

    @asynccontextmanager
    async def order(self) -> AsyncIterator[TaskHub]:
        """End all faults, and let one sound worker clear up."""
        self.fleet.is_over = True
        self.faults.rate = self.faults.deafness = 0.0
        hub = await self.hub()
        async with hub.worker(settings=ORDERLY):
            yield hub


async def persist(call: Callable[[], Awaitable[A]]) -> A:
    """Ask again for as long as the store does not answer."""
    while True:
        try:
            return await call()
        except BackendUnavailableError:
            await anyio.sleep(0.1)


async def settle(hub: TaskHub) -> None:
    """Wait until nobody has anything to do; nothing is parked, no letter is left, nobody holds a lock or waits for one."""
    with anyio.fail_after(SETTLE_SECONDS):
        while True:
            statistics = await hub.statistics()
            running = sum(
                count for status, count in statistics.by_status.items() if not status.is_terminal
            )
            if not running and not statistics.letters:
                break
            await anyio.sleep(0.5)
    assert statistics.parked == 0
    assert statistics.queued_activities == 0
    async for entity in hub.client.query_entities():
        assert entity.locked_by is None, entity
        assert not entity.parked_operations, entity
        locks = await hub.client.entity_locks(entity.entity_id)
        assert locks.held_by is None
        assert locks.waiting == ()


async def states(hub: TaskHub) -> dict[EntityId, Any]:
    """Return what all entities hold."""
    return {one.entity_id: one.state async for one in hub.client.query_entities()}


async def suspend_for_a_while(
    stage: Stage, client: Client, handle: OrchestrationHandle[Any]
) -> None:
    """Suspend an orchestration and resume it, unless it ends first."""
    try:
        await persist(lambda: client.suspend(handle))
        await stage.pause(1)
        await persist(lambda: client.resume(handle))
    except InvalidTransitionError:
        state = await persist(lambda: client.get(handle))
        assert state is not None
        assert state.is_ended


def run(simulation: Simulation, seed: int, store: Store | None = None) -> None:
    """Play a simulation with a seed, and check it; nobody may have complained of corrupt histories, or of code that diverges.

    Mostly, ``def`` operations are trusted to be quick from the first time on, so that there are many conversations.
    """

    async def main(env: VirtualEnvironment) -> None:
        async with AsyncExitStack() as stack, anyio.create_task_group() as group:
            chance = random.Random(seed)
            place = store or InMemory()
            stage = Stage(env, chance, place, simulation.registry, stack, group)
            group.start_soon(stage.fleet.run, chance.randint(1, 3))
            await simulation.play(stage)
            async with stage.order() as hub:
                await settle(hub)
                await simulation.check(stage)
            group.cancel_scope.cancel()

    trust = random.Random(f"{seed}:trust").choice([0, 0, _entities.QUICK_RUNS])
    with _complaints() as said, patch.object(_entities, "QUICK_RUNS", trust):
        run_virtual(main, seed=seed, timeout_virtual_seconds=7_200, steps_max=400_000)
    assert not [text for text in said if "Determinism" in text or "Corrupt" in text]


@contextmanager
def _complaints() -> Iterator[list[str]]:
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    ear = Ear(logging.WARNING)
    logger = logging.getLogger("durable_async")
    logger.addHandler(ear)
    try:
        yield said
    finally:
        logger.removeHandler(ear)
