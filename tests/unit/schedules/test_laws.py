"""One run for each tick, whatever is killed and whatever its user does meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from hypothesis import given, settings, strategies as st

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
from durable_async.errors import BackendUnavailableError, ValidationError
from durable_async.model.records import CommitItem, CommitResult, Fence
from durable_async.schedules import CatchUp, Overlap, ScheduleState
from durable_async.schedules._ticks import ticks_after
from durable_async.testing import VirtualEnvironment, run_virtual

SETTINGS = WorkerSettings(lease_seconds=5.0, heartbeat_seconds=1.0, poll_seconds=1.0)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

registry = Registry()


@registry.entity
class Book(Entity[list[str]]):
    """Counts runs: what a killed process did not commit is not in it, and what one committed is in it once."""

    def initial_state(self) -> list[str]:
        return []

    def note(self, what: str) -> None:
        self.state.append(what)


BOOK = Book.entity_id("of runs")


@registry.orchestrator
async def noted(ctx: OrchestrationContext, seconds: float) -> None:
    ctx.signal_entity(BOOK, Book.note, ctx.instance_id)
    await asyncio.sleep(seconds)


class MortalBackend(MemoryBackend):
    """A process's way to the store; nothing passes any more when it is dead, and now and then an answer is lost."""

    is_dead = False
    loses_answer = False

    async def commit(self, fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        self._check()
        result = await super().commit(fence, items)
        if self.loses_answer:
            self.is_dead = True
            raise BackendUnavailableError("the process died of the answer")
        return result

    async def retire_worker(self, fence: Fence) -> None:
        self._check()
        await super().retire_worker(fence)

    def _check(self) -> None:
        if self.is_dead:
            raise BackendUnavailableError("the process is dead")


class Process:
    """A worker process that is started again whenever it is killed; its own clock may be wrong."""

    def __init__(self, env: VirtualEnvironment, store: MemoryStore, skew: float) -> None:
        self._env = VirtualEnvironment(env.loop, seed=f"skewed by {skew}")
        self._env.skew_us = round(skew * 1e6)
        self._store = store
        self._end: Callable[[], None] = lambda: None
        self._backend: MortalBackend | None = None

    async def go_on(self) -> None:
        while True:
            await self._live()
            await anyio.sleep(0.2)

    async def _live(self) -> None:
        self._backend = backend = MortalBackend(self._store, environment=self._env)
        await backend.open()
        hub = TaskHub(backend, registry=registry, environment=self._env)
        with anyio.CancelScope() as life:
            self._end = life.cancel
            await hub.worker(settings=SETTINGS).run()
        hub.client.close()
        await backend.close()

    async def kill(self, answer: bool) -> None:
        """Kill it now, or when its next commit is through."""
        if self._backend is None:
            return
        if answer:
            self._backend.loses_answer = True
            await anyio.sleep(1.0)
        self._backend.is_dead = True
        self._end()


Story = Callable[[TaskHub], Awaitable[None]]


async def play(
    env: VirtualEnvironment, story: Story, kills: list[tuple[float, int, bool]], skews: list[float]
) -> None:
    store = MemoryStore(env)
    processes = [Process(env, store, skew) for skew in skews]
    backend = MemoryBackend(store, environment=env)
    await backend.open()
    hub = TaskHub(backend, registry=registry, environment=env)
    async with anyio.create_task_group() as group:
        for process in processes:
            group.start_soon(process.go_on)
        group.start_soon(_storm, env, processes, kills)
        await story(hub)
        group.cancel_scope.cancel()
    hub.client.close()
    await backend.close()


async def _storm(
    env: VirtualEnvironment, processes: list[Process], kills: list[tuple[float, int, bool]]
) -> None:
    for moment, which, answer in sorted(kills):
        await anyio.sleep(max(0.0, moment - env.monotonic()))
        await processes[which % len(processes)].kill(answer)


async def book(hub: TaskHub) -> Counter[str]:
    found = await hub.client.get_entity(BOOK, Book)
    return Counter(found.state if found is not None and found.state is not None else [])


async def settle(hub: TaskHub, schedule_id: str) -> ScheduleState:
    """Return a schedule that is through with what is past."""
    with anyio.fail_after(600):
        while True:
            state = await hub.schedules.describe(schedule_id)
            going = any(run.status in (Status.PENDING, Status.RUNNING) for run in state.runs)
            if state.next_tick is None and not state.waiting and not going:
                return state
            await anyio.sleep(3)


SECONDS = 60.0
kills = st.lists(st.tuples(st.floats(0.5, SECONDS), st.integers(0, 2), st.booleans()), max_size=12)
skews = st.lists(st.sampled_from([0.0, -30.0, 45.0, 3600.0]), min_size=1, max_size=3)


@pytest.fixture(autouse=True)
def no_complaints(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


@settings(max_examples=15)
@given(
    kills,
    skews,
    st.sampled_from([0.5, 1.0, 3.0, 7.3]),
    st.sampled_from([Overlap.ALLOW, Overlap.BUFFER_ALL]),
    st.sampled_from([0.0, 2.0]),
)
def test_each_tick_has_one_run_whatever_is_killed(
    kills: list[tuple[float, int, bool]],
    skews: list[float],
    every: float,
    overlap: Overlap,
    lasts: float,
) -> None:
    end = BEGIN + timedelta(seconds=SECONDS)
    lasts = lasts if overlap is Overlap.ALLOW else min(lasts, every / 4)

    async def story(hub: TaskHub) -> None:
        made = await hub.schedules.create(
            "s", noted, lasts, every=every, end=end, overlap=overlap, catch_up=CatchUp.ALL
        )
        state = await settle(hub, "s")
        ticks = [*ticks_after(made.spec, made.created_at, made.created_at)]
        expected = {f"s:{tick.replace(tzinfo=None).isoformat()}Z" for tick in ticks}
        assert await book(hub) == Counter(expected)
        assert (state.started, state.skipped, state.missed) == (len(ticks), 0, 0)

    run_virtual(lambda env: play(env, story, kills, skews))


class Edit:
    """What a user does at some moment."""

    def __init__(self, after: float, verb: str, every: float) -> None:
        self.after, self.verb, self.every = after, verb, every

    def __repr__(self) -> str:
        return f"after {self.after:.2f}: {self.verb} {self.every}"

    async def do(self, hub: TaskHub) -> None:
        match self.verb:
            case "pause":
                await hub.schedules.pause("s")
            case "resume":
                await hub.schedules.resume("s")
            case "update":
                with contextlib.suppress(ValidationError):  # its end has come
                    await hub.schedules.update("s", every=self.every)
            case "trigger":
                await hub.schedules.trigger("s")
            case _:
                now = datetime.now(UTC) + timedelta(days=3650)
                await hub.schedules.backfill("s", BEGIN, now)


edits = st.lists(
    st.builds(
        Edit,
        st.floats(0.0, 5.0),
        st.sampled_from(["pause", "resume", "update", "trigger", "backfill"]),
        st.sampled_from([0.5, 1.0, 4.0]),
    ),
    max_size=8,
)


@settings(max_examples=12)
@given(edits, kills, st.sampled_from(list(Overlap)), st.sampled_from(list(CatchUp)))
def test_no_tick_has_two_runs_whatever_its_user_does(
    edits: list[Edit], kills: list[tuple[float, int, bool]], overlap: Overlap, catch_up: CatchUp
) -> None:
    """And what was counted as started is what ran."""

    async def story(hub: TaskHub) -> None:
        await hub.schedules.create(
            "s", noted, 1.5, every=1.0, end=BEGIN + timedelta(seconds=25), overlap=overlap, catch_up=catch_up
        )  # fmt: skip
        for edit in edits:
            await anyio.sleep(edit.after)
            await edit.do(hub)
        await hub.schedules.resume("s")
        state = await settle(hub, "s")
        found = await book(hub)
        assert set(found.values()) <= {1}
        terminated = {
            one.instance_id async for one in hub.client.query(statuses=[Status.TERMINATED])
        }
        there = {one.instance_id async for one in hub.client.query(tags={"schedule": "s"})}
        assert len(there) == state.started
        assert there - terminated <= found.keys() <= there

    run_virtual(lambda env: play(env, story, kills, [0.0, 0.0]))


def model_of_skip(ticks: list[float], lasts: list[float]) -> list[float]:
    """Which ticks are started if each run keeps those away that come while it goes on."""
    started: list[float] = []
    free_at = 0.0
    for tick in ticks:
        if tick > free_at:
            free_at = tick + lasts[len(started) % len(lasts)]
            started.append(tick)
    return started


@settings(max_examples=8)
@given(st.floats(0.3, 9.7).map(lambda seconds: round(seconds, 1)), st.sampled_from([2.0, 3.0, 5.0]))
def test_skipping_is_what_the_model_does(lasts: float, every: float) -> None:
    lasts += 0.05  # never at the moment of a tick

    async def story(hub: TaskHub) -> None:
        made = await hub.schedules.create(
            "s",
            noted,
            lasts,
            every=every,
            end=BEGIN + timedelta(seconds=SECONDS),
            overlap=Overlap.SKIP,
        )
        state = await settle(hub, "s")
        all_ticks = [*ticks_after(made.spec, made.created_at, made.created_at)]
        seconds = [(tick - BEGIN).total_seconds() for tick in all_ticks]
        expected = model_of_skip(seconds, [lasts])
        ran = [datetime.fromisoformat(one.partition(":")[2]) for one in await book(hub)]
        assert sorted((tick - BEGIN).total_seconds() for tick in ran) == expected
        assert state.skipped == len(all_ticks) - len(expected)

    run_virtual(lambda env: play(env, story, [], [0.0]))


def test_several_workers_and_thousands_of_ticks_are_as_many_runs() -> None:
    """The store was away for an hour, and all that is late begins at once, a hundred an operation."""

    async def story(hub: TaskHub) -> None:
        await hub.schedules.create(
            "s", noted, 0.0, every=1.0, overlap=Overlap.ALLOW, catch_up=CatchUp.ALL
        )
        await anyio.sleep(5)

    async def afterwards(env: VirtualEnvironment) -> None:
        store = MemoryStore(env)
        await _with(env, store, story)
        await anyio.sleep(3600)

        async def late(hub: TaskHub) -> None:
            await anyio.sleep(20)
            found = await book(hub)
            assert set(found.values()) == {1}
            assert 3600 < len(found) < 3640

        await _with(env, store, late)

    run_virtual(afterwards)


async def _with(env: VirtualEnvironment, store: MemoryStore, story: Story) -> None:
    backend = MemoryBackend(store, environment=env)
    await backend.open()
    hub = TaskHub(backend, registry=registry, environment=env)
    async with hub.worker(settings=SETTINGS), hub.worker(settings=SETTINGS):
        await story(hub)
    hub.client.close()
    await backend.close()
