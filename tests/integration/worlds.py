"""Worlds for stories: a store that outlives its hubs, in virtual time, and orchestrators in both styles."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio

from durable_async import (
    Activity,
    OrchestrationHandle,
    Orchestrator,
    Registry,
    TaskHub,
    WorkerSettings,
)
from durable_async.backend import Backend
from durable_async.backends.memory import MemoryBackend
from durable_async.backends.memory.store import MemoryStore
from durable_async.backends.sqlite import SqliteBackend
from durable_async.errors import BackendUnavailableError
from durable_async.model.records import CommitItem, CommitResult, Fence
from durable_async.serialization import DataConverter
from durable_async.testing import VirtualEnvironment
from durable_async.testing.postgres import BridgedBackend, PostgresLab
from durable_async.worker import Worker

Instance = str | OrchestrationHandle[Any]
F = TypeVar("F", bound=Callable[..., Any])

ASYNC, GENERATOR = "async", "generator"
MEMORY, SQLITE, POSTGRES = "memory", "sqlite", "postgres"

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0

ran: list[Any] = []
"""What activities did, in order; empty at the beginning of each test."""


PATIENT = WorkerSettings(
    lease_seconds=1800.0,
    heartbeat_seconds=600.0,
    sweep_seconds=600.0,
    poll_seconds=3600.0,
    turn_seconds_max=1200.0,
    stall_seconds_max=1800.0,
)
"""What a worker does every second is most of what costs time where a day takes none; hints tell it of work."""


class PatientHub(TaskHub):
    """A hub whose workers look round every few minutes."""

    def worker(
        self,
        registry: Registry | None = None,
        *,
        settings: WorkerSettings | None = None,
        **changes: Any,
    ) -> Worker:
        """Return a worker with patient settings, changed as asked."""
        return super().worker(registry, settings=settings or replace(PATIENT, **changes))


@dataclass
class World:
    """A store that hubs come and go on.

    Attributes:
        kind: ``memory``, ``sqlite`` or ``postgres``.
        lab: Where hubs in Postgres are.
        letters_max: How many letters a mailbox takes from clients.
    """

    kind: str
    folder: Path
    name: str
    lab: PostgresLab | None = None
    letters_max: int = 10_000
    _store: MemoryStore | None = field(default=None)

    @asynccontextmanager
    async def hub(
        self,
        env: VirtualEnvironment,
        registry: Registry,
        *,
        payloads: DataConverter | None = None,
    ) -> AsyncIterator[TaskHub]:
        """Open the hub; whoever opens it again finds what is there."""
        backend = self._backend(env)
        await backend.open()
        try:
            hub = PatientHub(backend, registry=registry, environment=env, payloads=payloads)
            try:
                yield hub
            finally:
                hub.client.close()
        finally:
            await backend.close()

    @asynccontextmanager
    async def running(
        self, env: VirtualEnvironment, registry: Registry, **settings: Any
    ) -> AsyncIterator[TaskHub]:
        """Open the hub, with a worker."""
        async with self.hub(env, registry) as hub, hub.worker(**settings):
            yield hub

    @asynccontextmanager
    async def real_hub(self, registry: Registry) -> AsyncIterator[TaskHub]:
        """Open a hub in real time, as an application does."""
        async with TaskHub.open(self._url(), hub=f"{self.name}-real", registry=registry) as hub:
            yield hub

    def _url(self) -> str:
        if self.lab is not None:
            return self.lab.dsn
        return "memory://" if self.kind == MEMORY else f"sqlite:///{self.folder / 'real.db'}"

    def _backend(self, env: VirtualEnvironment) -> Backend:
        bound: Any = {"letters_max": self.letters_max}
        if self.lab is not None:
            return BridgedBackend(self.lab, env, clock=self.name, hub=self.name, **bound)
        if self.kind == SQLITE:
            return SqliteBackend(self.folder / "hub.db", environment=env, inline=True, **bound)
        if self._store is None:
            self._store = MemoryStore(env)
        return MemoryBackend(self._store, **bound)


class Styles:
    """Two registries with the same names in them: one of ``async def`` orchestrators, one of generators."""

    def __init__(self) -> None:
        self._registries = {ASYNC: Registry(), GENERATOR: Registry()}

    def __getitem__(self, style: str) -> Registry:
        return self._registries[style]

    def activity(self, function: Any = None, /, **options: Any) -> Any:
        """Register an activity with both."""
        if function is None:
            return lambda later: self.activity(later, **options)
        made: Activity[Any, Any] = self._registries[ASYNC].activity(**options)(function)
        self._registries[GENERATOR].add_activity(made)
        return made

    def entity(self, code: Any = None, /, **options: Any) -> Any:
        """Register an entity with both."""
        if code is None:
            return lambda later: self.entity(later, **options)
        first, second = self._registries.values()
        made = first.entity(code) if not options else first.entity(**options)(code)
        name = made.__durable_entity_name__ if isinstance(made, type) else made.name
        definition = first.find_entity(f"@{name}")
        assert definition is not None
        second.add_entity(definition)
        return made

    def both(self, function: Any) -> Any:
        """Register an orchestrator with both, as it is."""
        made: Orchestrator[Any, Any] = self._registries[ASYNC].orchestrator(function)
        self._registries[GENERATOR].add_orchestrator(made)
        return made

    def in_async(self, name: str) -> Callable[[F], Any]:
        """Register an orchestrator's ``async def`` form."""
        return self._registries[ASYNC].orchestrator(name=name)

    def in_generator(self, name: str) -> Callable[[F], Any]:
        """Register its generator form."""
        return self._registries[GENERATOR].orchestrator(name=name)


def elapsed(env: VirtualEnvironment) -> float:
    """Return the seconds since virtual time began, as precisely as clocks go, which count microseconds."""
    return round(env.monotonic(), 6)


class _Silenced:
    """A store that its worker does not reach any more when it has died, nor when it would say goodbye.

    Attributes:
        is_dead: Whether it has died.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.is_dead = False

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._backend, verb)

    async def commit(self, fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        if self.is_dead:
            raise BackendUnavailableError(f"{fence.worker_id} is dead")
        return await self._backend.commit(fence, items)

    async def retire_worker(self, fence: Fence) -> None:
        raise BackendUnavailableError(f"{fence.worker_id} is dead")


@asynccontextmanager
async def doomed(
    hub: TaskHub, registry: Registry | None = None, **settings: Any
) -> AsyncIterator[Callable[[], None]]:
    """Run a worker that dies when the block ends or the function is called: it hands nothing back, its lease runs out."""
    mortal = copy.copy(hub)
    silenced = _Silenced(hub.backend)
    mortal._opened = hub._open()._replace(backend=cast("Backend", silenced))
    worker = mortal.worker(registry, **settings)
    async with anyio.create_task_group() as group:
        await group.start(worker.run)

        def die() -> None:
            silenced.is_dead = True
            group.cancel_scope.cancel()

        yield die
        die()


async def until(condition: Callable[[], object], *, seconds: float = HOUR) -> None:
    """Let time pass until a condition holds."""
    with anyio.fail_after(seconds):
        pauses = _pauses()
        while not condition():
            await anyio.sleep(next(pauses))


async def recorded(hub: TaskHub, instance: Instance) -> list[str]:
    """Return the kinds of events in an instance's history, in order."""
    return [type(event).__name__ for event in await hub.client.history(instance)]


async def until_recorded(
    hub: TaskHub, instance: Instance, kind: str, *, times: int = 1, seconds: float = HOUR
) -> None:
    """Let time pass until an instance's history holds an event of a kind, so many times."""
    with anyio.fail_after(seconds):
        pauses = _pauses()
        while (await recorded(hub, instance)).count(kind) < times:
            await anyio.sleep(next(pauses))


def _pauses() -> Iterator[float]:
    """Look often at first, and after long waits not much later than at the right moment."""
    pause = 0.01
    while True:
        yield pause
        pause = min(pause * 1.02, 1.0)
