"""A store that misbehaves, and workers that come and go: all by the chance of one seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import msgspec

from durable_async import Registry, TaskHub, WorkerSettings
from durable_async.backend import Hearing
from durable_async.backends.memory import MemoryBackend
from durable_async.backends.memory.store import MemoryStore
from durable_async.errors import BackendUnavailableError
from durable_async.model.records import Fence, Work
from durable_async.testing import VirtualEnvironment

T = TypeVar("T")

SETTINGS = WorkerSettings(
    instances_max=4,
    activities_max=3,
    backlog_max=2,
    claim_batch=3,
    batch_turns_max=3,
    lease_seconds=6.0,
    heartbeat_seconds=1.0,
    sweep_seconds=0.5,
    attempts_max=10_000,
    shutdown_seconds=2.0,
)


class Faults:
    """What goes wrong, and how often.

    Attributes:
        rate: Share of calls that are lost on their way, and again of answers that are.
        delay: Longest time that a call is on its way, in seconds, and again an answer.
        deafness: Share of hints that are lost; as many come late.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.rate = chance.choice([0.0, 0.02, 0.1])
        self.delay = chance.choice([0.0, 0.01, 0.1])
        self.deafness = 0.0

    async def pause(self) -> None:
        """Be on the way for a while."""
        if self.delay and self.chance.random() < 0.7:
            await anyio.sleep(self.chance.random() * self.delay)
        else:
            await anyio.lowlevel.checkpoint()

    def strike(self, what: str) -> None:
        """Raise, now and then."""
        if self.chance.random() < self.rate:
            raise BackendUnavailableError(what)


class Faulty:
    """One process's way to the store, mixed into a backend: calls and answers take time, and get lost.

    Attributes:
        is_dead: Whether the process was killed: nothing it says arrives any more.
    """

    _faults: Faults
    is_dead = False

    async def _pass(self, call: Callable[[], Awaitable[T]]) -> T:
        self._check()
        await self._faults.pause()
        self._check()
        self._faults.strike("not sent")
        answer = await call()
        await self._faults.pause()
        self._check()
        self._faults.strike("sent, and no answer")
        return answer

    def _check(self) -> None:
        if self.is_dead:
            raise BackendUnavailableError("the process is dead")

    @property
    def hearing(self) -> Hearing:
        return Hearing.MOSTLY if self._faults.deafness else super().hearing  # type: ignore[misc,no-any-return]

    def listen(
        self,
        on_work: Callable[[], None],
        on_changed: Callable[[Any], None],
        on_progress: Callable[[Any], None] | None = None,
    ) -> Any:
        is_over = anyio.Event()

        def hard_of_hearing(listener: Callable[..., None]) -> Callable[..., None]:
            def hear(*what: Any) -> None:
                share = self._faults.deafness
                luck = self._faults.chance.random() if share else 1.0
                if luck >= 2 * share:
                    listener(*what)
                elif luck >= share:
                    asyncio.get_running_loop().call_later(0.5 * luck, late, *what)

            def late(*what: Any) -> None:
                if not is_over.is_set():
                    listener(*what)

            return hear

        stop = super().listen(  # type: ignore[misc]
            hard_of_hearing(on_work),
            hard_of_hearing(on_changed),
            None if on_progress is None else hard_of_hearing(on_progress),
        )

        def stop_all() -> None:
            is_over.set()
            stop()

        return stop_all

    def renew_lease(self, fence: Fence, lease_seconds: float) -> None:
        self._check()
        super().renew_lease(fence, lease_seconds)  # type: ignore[misc]


def _through(name: str) -> Any:
    async def verb(self: Faulty, *args: Any, **kwargs: Any) -> Any:
        plain = getattr(super(Faulty, self), name)
        return await self._pass(lambda: plain(*args, **kwargs))

    return verb


for _name in (
    "register_worker", "retire_worker", "take_over", "take_stock", "unwanted_activities", "read_fence", "fetch", "commit", "read_history",
    "create", "send", "read", "read_answers", "read_letters", "read_entities", "query_entities", "discard_entities", "purge", "rewrite",
    "unpark", "expire", "read_workers", "read_queued",
):  # fmt: skip
    setattr(Faulty, _name, _through(_name))


class FaultyBackend(Faulty, MemoryBackend):
    """A faulty way to a store in memory."""

    def __init__(self, store: MemoryStore, env: VirtualEnvironment, faults: Faults) -> None:
        super().__init__(store, environment=env)
        self._faults = faults

    async def fetch(self, fence: Fence, **quotas: Any) -> Work:
        async def call() -> Work:
            work = await MemoryBackend.fetch(self, fence, **quotas)
            marked = dict.fromkeys(mail.instance_id for mail in work.mail)
            found = self.store.hub("default").instances
            again = [mail for one in marked for mail in found[one].mailbox.values()]
            return msgspec.structs.replace(work, mail=tuple(again))  # those reported before, too

        return await self._pass(call)


class Fleet:
    """Workers on one store, each on a backend of its own; they are stopped, cancelled, killed and fenced at random.

    Attributes:
        is_over: Whether no worker begins any more.
        settings: Those of the workers.
    """

    def __init__(
        self, store: MemoryStore, env: VirtualEnvironment, registry: Registry, faults: Faults
    ) -> None:
        self._store = store
        self._env = env
        self._registry = registry
        self._faults = faults
        self.is_over = False
        self.settings = SETTINGS

    async def run(self, size: int) -> None:
        """Keep so many workers going, each for a short life after the other, until it is over; the last ones stay."""
        async with anyio.create_task_group() as group:
            for _ in range(size):
                group.start_soon(self._lives)

    async def _lives(self) -> None:
        while not self.is_over:
            await self._live()

    async def _live(self) -> None:
        backend = self._backend()
        await backend.open()
        hub = TaskHub(backend, registry=self._registry, environment=self._env)
        try:
            with anyio.CancelScope() as life:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._fate, life, backend, hub, group)
        finally:
            hub.client.close()
            await backend.close()

    async def _fate(self, life: anyio.CancelScope, backend: Any, hub: TaskHub, group: Any) -> None:
        worker = hub.worker(settings=self.settings)
        group.start_soon(worker.run)
        await anyio.sleep(self._faults.chance.expovariate(1 / 4))
        match self._faults.chance.choice(["stop", "cancel", "kill", "fence", "fence"]):
            case "stop":
                await worker.stop()
            case "cancel":
                life.cancel()
            case "kill":
                backend.is_dead = True
                await backend.close()
                life.cancel()
            case _:
                self._fence(worker.worker_id)
                await anyio.sleep(self._faults.chance.expovariate(1 / 4))
                life.cancel()

    def _backend(self) -> Any:
        return FaultyBackend(self._store, self._env, self._faults)

    def _fence(self, worker_id: str | None) -> None:
        """Let a lease run out, as if the process had been frozen."""
        row = self._store.hub("default").workers.get(worker_id or "")
        if row is not None:
            row.lease_until_us = 0


def rows_of(store: MemoryStore) -> Sequence[Any]:
    """Return the instances as they are in the store."""
    return tuple(store.hub("default").instances.values())
