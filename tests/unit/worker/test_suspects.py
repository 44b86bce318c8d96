"""Who kills its workers is parked; who was only there when it happened is not."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from durable_async import (
    Entity,
    OrchestrationContext,
    Registry,
    Status,
    TaskHub,
    WorkerSettings,
)
from durable_async.backends.memory import MemoryBackend
from durable_async.backends.memory.store import MemoryStore
from durable_async.errors import BackendUnavailableError
from durable_async.model.records import (
    Abandon,
    ActivityRecount,
    ClaimedActivity,
    ClaimedInstance,
    CommitItem,
    CommitResult,
    Fence,
    Mail,
    QueuedActivity,
    Recount,
    Work,
    uncounted,
)
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.worker import _session
from durable_async.worker._suspects import Suspects

SETTINGS = WorkerSettings(poll_seconds=5.0, unregistered_grace_seconds=10_000.0)

registry = Registry()
kill: list[Callable[[], None]] = [lambda: None]
"""What kills the process that runs at the moment."""
deaths: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def nobody_died() -> None:
    deaths.clear()


def die(of: str) -> None:
    deaths[of] += 1
    kill[0]()


@registry.activity
async def poison(delay: float) -> None:
    await asyncio.sleep(delay)
    die("activity")
    await asyncio.sleep(1000)


@registry.activity
async def harmless(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@registry.entity
class Cellar(Entity[list[str]]):
    """Keeps what it is given, and may choke on it."""

    def initial_state(self) -> list[str]:
        return []

    async def keep(self, what: str) -> list[str]:
        self.state.append(what)
        return self.state

    async def choke(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        die("entity")
        await asyncio.sleep(1000)


@registry.orchestrator
async def poisoned(ctx: OrchestrationContext, delay: float) -> None:
    await ctx.call_activity(poison, delay)


@registry.orchestrator
async def deadly(ctx: OrchestrationContext) -> None:
    await ctx.wait_for_external_event("now")
    die("code")


@registry.orchestrator
async def busy(ctx: OrchestrationContext, seconds: float) -> float:
    return await ctx.call_activity(harmless, seconds)


@registry.orchestrator
async def waiting(ctx: OrchestrationContext) -> str:
    return await ctx.wait_for_external_event("answer", str)


@registry.orchestrator
async def locking(ctx: OrchestrationContext, key: str) -> str:
    async with ctx.lock_entities([Cellar.entity_id(key)]):
        return await ctx.wait_for_external_event("answer", str)


@registry.orchestrator
async def waiting_twice(ctx: OrchestrationContext) -> list[str]:
    return [await ctx.wait_for_external_event("answer", str) for _ in range(2)]


class MortalBackend(MemoryBackend):
    """A process's way to the store; nothing passes any more when it is dead."""

    is_dead = False

    def _check(self) -> None:
        if self.is_dead:
            raise BackendUnavailableError("the process is dead")

    async def commit(self, fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        self._check()
        return await super().commit(fence, items)

    async def retire_worker(self, fence: Fence) -> None:
        self._check()
        await super().retire_worker(fence)


class Lives:
    """Worker processes one after the other: whenever one is killed the next begins."""

    def __init__(self, env: VirtualEnvironment, store: MemoryStore, run: Registry) -> None:
        self._env = env
        self._store = store
        self._run = run
        self.count = 0

    async def go_on(self) -> None:
        """Live until cancelled."""
        while True:
            await self._live()

    async def _live(self) -> None:
        self.count += 1
        backend = MortalBackend(self._store, environment=self._env)
        await backend.open()
        hub = TaskHub(backend, registry=self._run, environment=self._env)
        with anyio.CancelScope() as life:

            def end() -> None:
                backend.is_dead = True
                life.cancel()

            kill[0] = end
            await hub.worker(settings=SETTINGS).run()
        hub.client.close()
        await backend.close()


async def until_parked(hub: TaskHub, instance_id: str) -> str:
    with anyio.fail_after(1000):
        while True:
            [state] = [one async for one in hub.client.query(id_prefix=instance_id)]
            if state.parked is not None:
                return state.parked
            await anyio.sleep(0.1)


class Story:
    """A client, and processes that are killed."""

    def __init__(self, env: VirtualEnvironment, run: Registry = registry) -> None:
        self.store = MemoryStore(env)
        self.backend = MemoryBackend(self.store, environment=env)
        self._env = env
        self.lives = Lives(env, self.store, run)

    async def tell(self, story: Callable[[TaskHub], Any]) -> None:
        await self.backend.open()
        hub = TaskHub(self.backend, registry=registry, environment=self._env)
        async with anyio.create_task_group() as group:
            group.start_soon(self.lives.go_on)
            await story(hub)
            group.cancel_scope.cancel()
        hub.client.close()
        await self.backend.close()


@pytest.mark.parametrize("delay", [0.0, 0.5])
@virtual_time
async def test_an_operation_that_kills_its_worker_does_so_no_oftener_for_what_stands_before_it(
    env: VirtualEnvironment, delay: float
) -> None:
    """And those that are tried meanwhile, and take their time, do not pay for it."""
    cellar = Cellar.entity_id("dark")
    kept = [f"bottle {number}" for number in range(20)]

    async def story(hub: TaskHub) -> None:
        slow = await hub.client.start_many(busy, [1.5] * 3)
        for bottle in kept:
            await hub.client.signal_entity(cellar, Cellar.keep, bottle)
        await hub.client.signal_entity(cellar, Cellar.choke, delay)
        await hub.client.signal_entity(cellar, Cellar.keep, "last")
        assert [await one.wait(timeout=100) for one in slow] == [1.5] * 3
        with anyio.fail_after(1000):
            while (found := await hub.client.get_entity(cellar)) is None or found.state != [
                *kept,
                "last",
            ]:
                await anyio.sleep(0.5)
        assert [one.operation for one in found.parked_operations] == ["choke"]

    await Story(env).tell(story)
    assert deaths["entity"] in range(5, 8)


@pytest.mark.parametrize("delay", [0.0, 0.5])
@virtual_time
async def test_an_activity_that_kills_its_worker_parks_its_own_instance_only(
    env: VirtualEnvironment, delay: float
) -> None:
    async def story(hub: TaskHub) -> None:
        waiters = await hub.client.start_many(waiting, [None] * 30)
        workers = await hub.client.start_many(busy, [float(n % 7) for n in range(30)])
        await anyio.sleep(0.1)
        await hub.client.start(poisoned, delay, instance_id="culprit")
        assert "never came through" in await until_parked(hub, "culprit")
        assert [await one.wait(timeout=100) for one in workers] == [float(n % 7) for n in range(30)]
        for one in waiters:
            await one.raise_event("answer", "yes")
        assert {await one.wait(timeout=100) for one in waiters} == {"yes"}

    await Story(env).tell(story)
    assert deaths["activity"] in range(5, 8)


@virtual_time
async def test_code_that_kills_its_worker_is_parked_alone(
    env: VirtualEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(hub: TaskHub) -> None:
        waiters = await hub.client.start_many(waiting, [None] * 30)
        await hub.client.start(deadly, instance_id="culprit")
        await anyio.sleep(1)
        await hub.client.raise_event("culprit", "now")
        assert "never came through" in await until_parked(hub, "culprit")
        for one in waiters:
            await one.raise_event("answer", "yes")
        assert {await one.wait(timeout=100) for one in waiters} == {"yes"}

    await Story(env).tell(story)
    assert deaths["code"] in range(5, 8)
    assert "orchestration culprit is parked: claimed 5 times" in caplog.text


@virtual_time
async def test_a_queued_activity_that_kills_its_worker_fails_and_its_neighbours_do_not(
    env: VirtualEnvironment,
) -> None:
    back = Registry()
    back.add_activity(poison)
    back.add_activity(harmless)
    front = Registry()
    for one in (poisoned, busy):
        front.add_orchestrator(one)

    async def story(hub: TaskHub) -> None:
        async with hub.worker(front, settings=SETTINGS):
            workers = await hub.client.start_many(busy, [float(n % 3) for n in range(20)])
            culprit = await hub.client.start(poisoned, 0.5)
            for number, one in enumerate(workers):
                assert await one.wait(timeout=1000) == float(number % 3)
            with anyio.fail_after(1000):
                while (state := await culprit.get()) is None or not state.status.is_terminal:
                    await anyio.sleep(0.1)
            assert state.status is Status.FAILED
            assert "never came through" in str(state.failure)

    await Story(env, back).tell(story)
    assert deaths["activity"] == 5


@virtual_time
async def test_whoever_waits_through_many_deaths_is_not_blamed(env: VirtualEnvironment) -> None:
    """A month of deployments by kill -9."""

    async def story(hub: TaskHub) -> None:
        handle = await hub.client.start(waiting, instance_id="patient")
        locked = await hub.client.start(locking, "locked")
        cellar = hub.client.entity(Cellar.entity_id("locked"))
        await anyio.sleep(1)
        await cellar.signal(Cellar.keep, "it has to wait")
        for _ in range(20):
            await anyio.sleep(3)
            kill[0]()
        await anyio.sleep(3)
        await handle.raise_event("answer", "at last")
        assert await handle.wait(timeout=100) == "at last"
        await locked.raise_event("answer", "unlocked")
        assert await locked.wait(timeout=100) == "unlocked"
        assert await cellar.call(Cellar.keep, "last") == ["it has to wait", "last"]

    teller = Story(env)
    await teller.tell(story)
    assert teller.lives.count == 21


@virtual_time
async def test_letters_that_come_while_it_waits_for_its_trial_are_kept(
    env: VirtualEnvironment,
) -> None:
    """Behind one that takes its time."""

    async def story(hub: TaskHub) -> None:
        slow = await hub.client.start(busy, 30.0, instance_id="slow")
        handle = await hub.client.start(waiting, instance_id="z-waits")
        for _ in range(2):
            await anyio.sleep(1)
            kill[0]()
        await anyio.sleep(0.5)
        await handle.raise_event("answer", "kept")
        assert await handle.wait(timeout=100) == "kept"
        assert await slow.wait(timeout=100) == 30.0

    await Story(env).tell(story)


@virtual_time
async def test_letters_that_come_while_it_is_replayed_are_kept(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose history is long is replayed page by page, and the worker goes on meanwhile."""
    monkeypatch.setattr(_session, "HISTORY_BYTES_PER_CLAIM", 1)
    read = MortalBackend.read_history
    replayed: list[anyio.Event] = []

    async def read_slowly(backend: MortalBackend, *args: Any, **wanted: Any) -> Any:
        for one in replayed:
            one.set()
        await anyio.sleep(0.5)
        return await read(backend, *args, **wanted)

    monkeypatch.setattr(MortalBackend, "read_history", read_slowly)

    async def story(hub: TaskHub) -> None:
        handle = await hub.client.start(waiting_twice, instance_id="patient")
        await handle.raise_event("answer", "first")
        for _ in range(3):  # the next claim makes it a suspect
            await anyio.sleep(5)
            kill[0]()
        begun = anyio.Event()
        replayed.append(begun)
        await begun.wait()
        await handle.raise_event("answer", "second")
        assert await handle.wait(timeout=100) == ["first", "second"]

    await Story(env).tell(story)


@virtual_time
async def test_a_killer_is_parked_although_answers_to_claims_are_lost_between_its_trials(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim that nobody heard of is undone, and no trial with it."""
    fetch = MortalBackend.fetch
    claims = count()

    async def fetch_half_heard(backend: MortalBackend, *args: Any, **wanted: Any) -> Work:
        work = await fetch(backend, *args, **wanted)
        if "culprit" in ids_of(work.claimed) and next(claims) % 2:
            raise BackendUnavailableError("an answer that is lost")
        return work

    monkeypatch.setattr(MortalBackend, "fetch", fetch_half_heard)

    async def story(hub: TaskHub) -> None:
        await hub.client.start(deadly, instance_id="culprit")
        await hub.client.raise_event("culprit", "now")
        assert "never came through" in await until_parked(hub, "culprit")

    await Story(env).tell(story)
    assert deaths["code"] in range(5, 8)


def ids_of(claimed: Sequence[ClaimedInstance]) -> list[str]:
    return [one.instance_id for one in claimed]


@pytest.mark.parametrize(("told", "left"), [(0, 0), (1, 0), (3, 2), (4, 4), (6, 6)])
def test_a_claim_that_is_undone_leaves_what_was_tried(told: int, left: int) -> None:
    assert uncounted(told) == left


class Line:
    """A line of suspects whose worker does nothing else.

    Attributes:
        adopted: What was taken in for its trial.
        committed: What the store was told.
    """

    def __init__(self, env: VirtualEnvironment) -> None:
        self.adopted: list[ClaimedInstance] = []
        self.committed: list[CommitItem] = []
        self.may_adopt = anyio.Event()
        self.backend = MemoryBackend(MemoryStore(env), environment=env)
        tools: Any = SimpleNamespace(
            backend=self.backend,
            committer=self,
            settings=SETTINGS,
            slots={},
        )
        nothing: Any = None
        self.suspects = Suspects(tools, nothing, self._adopt, self._hand_on)

    def submit(self, item: CommitItem, done: Callable[[bool], None]) -> None:
        self.committed.append(item)
        done(False)

    async def _adopt(self, claimed: ClaimedInstance) -> None:
        self.adopted.append(claimed)
        await self.may_adopt.wait()

    def _hand_on(self, mail: Mail) -> None:
        raise AssertionError(mail)


def suspect(instance_id: str, attempts: int, *mail: Mail) -> ClaimedInstance:
    return ClaimedInstance(
        instance_id=instance_id,
        name="waiting",
        version=None,
        status=Status.RUNNING,
        execution=1,
        attempts=attempts,
        start_at_us=0,
        parent=None,
        history=(),
        more_history=False,
        mail=mail,
    )


def letter_to(instance_id: str, number: int) -> Mail:
    return Mail(instance_id=instance_id, id=number, execution=None, letter=b"")


@virtual_time
async def test_a_letter_that_is_told_again_is_kept_once(env: VirtualEnvironment) -> None:
    """Whether it came with the claim or after it."""
    line = Line(env)
    line.suspects.add(suspect("a", 3, letter_to("a", 1)))
    for number in (1, 2, 1, 2):
        assert line.suspects.receive(letter_to("a", number))
    async with anyio.create_task_group() as group:
        group.start_soon(line.suspects.run)
        await anyio.sleep(1)
        group.cancel_scope.cancel()
    assert [[mail.id for mail in one.mail] for one in line.adopted] == [[1, 2]]


@virtual_time
async def test_what_was_not_tried_is_handed_back_as_it_was(env: VirtualEnvironment) -> None:
    """When its worker stops; what is on trial stays until the end."""
    line = Line(env)
    activity = QueuedActivity(
        instance_id="x", execution=1, seq=1, attempt=1, name="poison", input=b""
    )
    for one in (suspect("a", 3), suspect("b", 4)):
        line.suspects.add(one)
    line.suspects.add(ClaimedActivity(item_id=7, attempts=5, activity=activity))
    async with anyio.create_task_group() as group:
        group.start_soon(line.suspects.run)
        await anyio.sleep(1)
        stopped_us = line.backend.now_us()
        line.suspects.close()
        line.suspects.add(suspect("c", 3))
        line.may_adopt.set()
        await anyio.sleep(100)
        group.cancel_scope.cancel()
    assert ids_of(line.adopted) == ["a"]
    charge, *given = line.committed
    assert charge == Recount(instance_id="a", attempts=4, execution=1)
    assert given == [
        Recount(instance_id="b", attempts=4, execution=1),
        Abandon(instance_id="b", retry_at_us=stopped_us, execution=1),
        ActivityRecount(item_id=7, attempts=5, is_returned=True),
        Recount(instance_id="c", attempts=2, execution=1),
        Abandon(instance_id="c", retry_at_us=stopped_us, execution=1),
    ]
