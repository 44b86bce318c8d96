"""The rhythm of a worker: what an hour of nothing costs, and how soon what was missed is found."""

from __future__ import annotations

from typing import Any, Self

import anyio
import pytest

from durable_async import OrchestrationContext, Registry, TaskHub
from durable_async.backend import Hearing
from durable_async.backends.memory import MemoryBackend
from durable_async.backends.memory.store import MemoryStore
from durable_async.errors import BackendUnavailableError
from durable_async.model.records import NO_ERRANDS, Census, Errands, Fence, Work
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.testing.conformance.driver import new
from durable_async.worker import WorkerSettings
from durable_async.worker._rhythm import ACTIVE_SECONDS, LOOKERS, Rhythm

registry = Registry()
SETTINGS = WorkerSettings()
HOUR = 3600.0


@registry.orchestrator(name="nothing")
async def nothing(ctx: OrchestrationContext) -> None:
    """End at once."""


class CountingBackend(MemoryBackend):
    """Counts what a worker asks for, and may be deaf to hints."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked: list[str] = []
        self.renewed_at: list[float] = []
        self.env = kwargs["environment"]
        self.is_deaf = False

    @property
    def hearing(self) -> Hearing:
        return Hearing.NEVER if self.is_deaf else Hearing.MOSTLY

    async def fetch(self, fence: Fence, **quotas: Any) -> Work:
        self.asked.append("fetch")
        return await super().fetch(fence, **quotas)

    def renew_lease(self, fence: Fence, lease_seconds: float) -> None:
        self.renewed_at.append(self.env.monotonic())
        super().renew_lease(fence, lease_seconds)

    async def take_over(self, fence: Fence) -> int:
        self.asked.append("take_over")
        return await super().take_over(fence)


class Idle:
    """A hub with a worker that has nothing to do, and a backend of another process on the same store."""

    def __init__(self, env: VirtualEnvironment) -> None:
        store = MemoryStore(env)
        self.backend = CountingBackend(store, environment=env)
        self.other = MemoryBackend(store, environment=env)

    async def __aenter__(self) -> Self:
        await self.backend.open()
        await self.other.open()
        hub = TaskHub(self.backend, registry=registry, environment=self.backend.env)
        self._worker = hub.worker()
        await self._worker.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._worker.__aexit__(*error)  # type: ignore[arg-type]
        await self.other.close()
        await self.backend.close()

    async def seconds_to_find(self) -> float:
        """Start something of which no hint comes; returns how long it takes until it is found."""
        env = self.backend.env
        name = env.new_id()
        row = self.backend.store.hub("default")
        hints, row.hints.publish = row.hints.publish, lambda: None  # type: ignore[method-assign]
        await self.other.create([new(name, name="nothing")])
        row.hints.publish = hints  # type: ignore[method-assign]
        begun = env.monotonic()
        while row.instances[name].attempts == 0 and not row.instances[name].status.is_terminal:
            await anyio.sleep(0.001)
        return float(env.monotonic() - begun)


@virtual_time
async def test_an_hour_of_nothing_is_few_calls_and_the_lease_goes_along(
    env: VirtualEnvironment,
) -> None:
    async with Idle(env) as idle:
        backend = idle.backend
        await anyio.sleep(HOUR)
        assert backend.asked.count("take_over") <= 6
        assert len(backend.asked) <= 2_470
        alone = len(backend.renewed_at) - HOUR / SETTINGS.heartbeat_seconds
        assert abs(alone) <= 60
        pairs = zip(backend.renewed_at, backend.renewed_at[1:], strict=False)
        assert max(after - before for before, after in pairs) <= SETTINGS.heartbeat_seconds * 2


@virtual_time
async def test_what_no_hint_tells_of_is_found(env: VirtualEnvironment) -> None:
    async with Idle(env) as idle:
        for _ in range(20):
            assert await idle.seconds_to_find() <= 1.0
        await anyio.sleep(ACTIVE_SECONDS + 2)
        assert await idle.seconds_to_find() <= 1.5
        assert await idle.seconds_to_find() <= 1.0


@virtual_time
async def test_where_nothing_can_be_heard_it_looks_more_often(env: VirtualEnvironment) -> None:
    async with Idle(env) as idle:
        idle.backend.is_deaf = True
        await anyio.sleep(ACTIVE_SECONDS * 2)
        assert await idle.seconds_to_find() <= 0.25


@virtual_time
async def test_the_more_workers_there_are_the_fewer_of_them_look_for_dead_ones(
    env: VirtualEnvironment,
) -> None:
    for workers, looks_min, looks_max in ((1, 100, 100), (4, 100, 100), (400, 0, 8)):
        rhythm = Rhythm(env, SETTINGS, lambda: False)
        rhythm.learn(Census(workers=workers, dead=0, commits=0))
        looks = 0
        for _ in range(100):
            await anyio.sleep(SETTINGS.sweep_seconds)
            looks += rhythm.errands().looks_around
            assert not rhythm.errands().looks_around  # not twice in the time of one
            rhythm.stir()
        assert looks_min <= looks <= looks_max, (workers, LOOKERS)


@virtual_time
async def test_a_hub_in_which_others_commit_is_in_use(env: VirtualEnvironment) -> None:
    rhythm = Rhythm(env, SETTINGS, lambda: False)
    await anyio.sleep(ACTIVE_SECONDS + 1)
    assert rhythm.wait_seconds() > 1.4
    rhythm.learn(Census(workers=1, dead=0, commits=7))
    assert rhythm.wait_seconds() <= SETTINGS.poll_seconds
    await anyio.sleep(ACTIVE_SECONDS + 1)
    rhythm.learn(Census(workers=1, dead=0, commits=7))
    assert rhythm.wait_seconds() > 1.4


@virtual_time
async def test_a_renewal_goes_along_only_when_it_is_near(env: VirtualEnvironment) -> None:
    rhythm = Rhythm(env, SETTINGS, lambda: False)
    assert rhythm.errands() == NO_ERRANDS
    await anyio.sleep(SETTINGS.heartbeat_seconds - SETTINGS.poll_seconds)
    assert rhythm.errands() == Errands(lease_seconds=SETTINGS.lease_seconds, looks_around=True)
    rhythm.renewed(env.monotonic())
    assert rhythm.errands() == NO_ERRANDS


@virtual_time
async def test_a_look_that_failed_is_repeated_soon(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only when the next is due."""
    async with Idle(env) as idle:
        asked = idle.backend.asked
        await anyio.sleep(ACTIVE_SECONDS / 2)
        before = asked.count("take_over")

        async def fail(self: MemoryBackend, fence: Fence) -> int:
            asked.append("take_over")
            raise BackendUnavailableError("away")

        monkeypatch.setattr(MemoryBackend, "take_over", fail)
        await anyio.sleep(ACTIVE_SECONDS)
        assert asked.count("take_over") - before > 10
        monkeypatch.undo()
        await anyio.sleep(SETTINGS.sweep_seconds * 2)
        after = asked.count("take_over")
        await anyio.sleep(ACTIVE_SECONDS / 2)
        assert asked.count("take_over") == after
