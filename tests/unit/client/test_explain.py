"""explain: what is waited for, what is in the way, and where the code stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from durable_async import (
    Entity,
    InstanceNotFoundError,
    OrchestrationContext,
    Registry,
    RetryPolicy,
    Status,
    TaskHub,
    ValidationError,
    WorkerSettings,
    when_all,
)
from durable_async.model.explanation import Explanation, ObstacleKind, Stand, Wait, WaitKind
from durable_async.model.records import HistoryPage, HistoryRow
from durable_async.testing import VirtualEnvironment, run_virtual

registry = Registry()


@registry.activity
async def hang(number: int) -> None:
    await asyncio.sleep(10**6)


@registry.activity(retry=RetryPolicy(max_attempts=5, first_delay=3600))
async def fail(number: int) -> None:
    raise LookupError("not there")


@registry.entity
class Account(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def add(self, amount: int) -> int:
        self.state += amount
        return self.state


@registry.orchestrator
async def one_activity(ctx: OrchestrationContext) -> None:
    await step(ctx)


async def step(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(hang, 1)  # the line of one_activity


@registry.activity
async def nothing(number: int) -> None: ...


@registry.orchestrator
async def crowd(ctx: OrchestrationContext, size: int) -> None:
    await asyncio.gather(*(ctx.call_activity(nothing, number) for number in range(size)))
    await ctx.wait_for_external_event("end")


@registry.orchestrator
async def retries(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(fail, 1)


@registry.orchestrator
async def approval(ctx: OrchestrationContext) -> None:
    async with asyncio.timeout(3600):
        await ctx.wait_for_external_event("approved", str)  # the line of approval


@registry.orchestrator
async def many(ctx: OrchestrationContext) -> None:
    await asyncio.gather(*(ctx.call_activity(hang, number) for number in range(100)))


@registry.orchestrator
def many_in_generator_style(ctx: OrchestrationContext) -> Generator[Any, Any, None]:
    yield from inner(ctx)


def inner(ctx: OrchestrationContext) -> Generator[Any, Any, None]:
    yield when_all([ctx.call_activity(hang, number) for number in range(100)])  # the line of inner


@registry.orchestrator
async def tasks(ctx: OrchestrationContext) -> None:
    async def sleeps() -> None:
        await asyncio.sleep(60)

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeps(), name="sleeper")
        group.create_task(step(ctx), name="stepper")


@registry.orchestrator
async def parent(ctx: OrchestrationContext) -> None:
    await ctx.call_sub_orchestrator(approval, instance_id="child")


@registry.orchestrator
async def holds(ctx: OrchestrationContext) -> None:
    async with ctx.lock_entities([Account.entity_id("a")]):
        await ctx.wait_for_external_event("go")


@registry.orchestrator
async def calls(ctx: OrchestrationContext) -> None:
    await ctx.call_entity(Account.entity_id("a"), Account.add, 1)


@asynccontextmanager
async def a_hub(env: VirtualEnvironment) -> AsyncGenerator[TaskHub, None]:
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub:
        yield hub


async def run_to_rest(hub: TaskHub, *names: str) -> None:
    """Start orchestrations whose ids are their names, one after the other, and let each come to rest."""
    for name in names:
        await hub.client.start(name, instance_id=name)
        await asyncio.sleep(5)


def explained(name: str, **settings: Any) -> Explanation:
    """Explain an orchestration that a worker runs and that has come to rest."""
    found: list[Explanation] = []

    async def story(env: VirtualEnvironment) -> None:
        async with a_hub(env) as hub, hub.worker(**settings):
            await run_to_rest(hub, name)
            found.append(await hub.explain(name))

    run_virtual(story)
    return found[0]


def lines(stand: Stand) -> list[str]:
    return [line.text for line in stand.lines]


def test_an_activity_with_its_line() -> None:
    one = explained("one_activity")
    (wait,) = one.waits
    assert (wait.kind, wait.name, wait.attempt, wait.until) == (
        WaitKind.ACTIVITY,
        "hang",
        1,
        None,
    )
    assert (one.obstacles, one.code, one.owner is not None) == ((), None, True)
    (stand,) = one.stands
    assert lines(stand) == [
        "await step(ctx)",
        "await ctx.call_activity(hang, 1)  # the line of one_activity",
    ]
    assert [line.function for line in stand.lines] == ["one_activity", "step"]
    assert (stand.task, stand.seqs) == ("one_activity", (wait.seq,))
    assert wait.line == stand.lines[-1]
    assert (wait.worker, wait.is_queued) == (one.owner, False)
    said = f"activity 'hang' (#1), attempt 1 on worker {one.owner}, since {_said(wait.since)}"
    assert one.sentences == (f"{said}, at test_explain.py:{stand.lines[-1].line}",)


def _said(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def test_an_activity_that_nobody_here_runs_is_in_the_queue() -> None:
    alone = Registry()

    @alone.orchestrator(name="one_activity")
    async def elsewhere(ctx: OrchestrationContext) -> None:
        await ctx.call_activity("hang", 1)

    async def story(env: VirtualEnvironment) -> None:
        async with a_hub(env) as hub, hub.worker(alone):
            await run_to_rest(hub, "one_activity")
            (wait,) = (await hub.explain("one_activity")).waits
            assert (wait.is_queued, wait.worker) == (True, None)
            assert "attempt 1, in the queue for any worker that registers it" in str(wait)
            async with hub.worker() as other:
                await asyncio.sleep(5)
                (wait,) = (await hub.explain("one_activity")).waits
                assert (wait.is_queued, wait.worker) == (True, other.worker_id)

    run_virtual(story)


def test_an_activity_that_is_tried_again_later() -> None:
    one = explained("retries")
    (wait,) = one.waits
    assert wait.attempt == 2
    assert wait.until is not None
    assert wait.until - wait.since == timedelta(hours=1)
    assert wait.trouble is not None
    assert wait.trouble.endswith("LookupError: not there")
    assert "attempt 2 at" in one.sentences[0]


def test_an_event_and_the_timer_beside_it() -> None:
    one = explained("approval")
    by_kind = {wait.kind: wait for wait in one.waits}
    assert by_kind[WaitKind.EVENT].name == "approved"
    assert by_kind[WaitKind.EVENT].since == by_kind[WaitKind.TIMER].since
    until = by_kind[WaitKind.TIMER].until
    assert until == by_kind[WaitKind.TIMER].since + timedelta(hours=1)
    (stand,) = one.stands
    assert lines(stand)[-1].endswith("# the line of approval")
    assert stand.events == ("approved",)


@pytest.mark.parametrize("name", ["many", "many_in_generator_style"])
def test_a_hundred_activities_are_one_sentence(name: str) -> None:
    one = explained(name)
    assert len(one.waits) == 100
    said = f"100 activities 'hang', the oldest since {_said(one.waits[0].since)}"
    assert [sentence.partition(", at")[0] for sentence in one.sentences] == [said]
    assert len(one.stands) == 1


def test_generator_style_has_its_lines() -> None:
    (stand,) = explained("many_in_generator_style").stands
    assert [line.function for line in stand.lines] == ["many_in_generator_style", "inner"]
    assert lines(stand)[-1].endswith("# the line of inner")


def test_each_task_has_its_stand() -> None:
    one = explained("tasks")
    stands = {stand.task: stand for stand in one.stands}
    assert set(stands) == {"tasks", "sleeper", "stepper"}
    assert lines(stands["sleeper"]) == ["await asyncio.sleep(60)"]
    assert stands["stepper"].seqs == tuple(
        wait.seq for wait in one.waits if wait.kind is WaitKind.ACTIVITY
    )


def test_a_child_with_its_status() -> None:
    (wait,) = explained("parent").waits
    assert (wait.kind, wait.name, wait.target, wait.status) == (
        WaitKind.SUB_ORCHESTRATION,
        "approval",
        "child",
        Status.RUNNING,
    )


def test_a_lock_that_somebody_else_has() -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with a_hub(env) as hub, hub.worker():
            await run_to_rest(hub, "holds", "calls")
            await hub.client.start(holds, instance_id="second")
            await asyncio.sleep(1)
            holder = await hub.explain("holds")
            assert holder.holds == ("@account@a",)
            assert "it has '@account@a' locked" in holder.sentences
            for name, kind in (("calls", WaitKind.ENTITY), ("second", WaitKind.LOCK)):
                (wait,) = (await hub.explain(name)).waits
                assert (wait.kind, wait.target, wait.holder) == (kind, "@account@a", "holds")
                assert "which 'holds' has locked" in str(wait)

    run_virtual(story)


def test_suspended_with_the_reason() -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with a_hub(env) as hub, hub.worker():
            await run_to_rest(hub, "approval")
            await hub.client.suspend("approval", "lunch")
            await asyncio.sleep(1)
            await hub.client.raise_event("approval", "aproved", "typo")
            await asyncio.sleep(1)
            one = await hub.explain("approval")
            (obstacle,) = one.obstacles
            assert obstacle.kind is ObstacleKind.SUSPENDED
            assert obstacle.text == "it is suspended (lunch), until resume is called"
            assert obstacle.since is not None
            assert one.unclaimed == (("aproved", 1),)
            assert "event 'aproved' came once, and nothing has taken it" in one.sentences

    run_virtual(story)


def test_parked_with_the_reason_and_the_line_where_it_stands() -> None:
    one = explained("many", turn_calls_max=10)
    (obstacle,) = one.obstacles
    assert obstacle.kind is ObstacleKind.PARKED
    assert "LimitExceededError" in obstacle.text


def test_not_begun_is_told_apart() -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with a_hub(env) as hub:
            await hub.client.start(approval, instance_id="now")
            await hub.client.start(approval, instance_id="later", start_at=3600)
            await hub.client.start("unknown", instance_id="unknown")
            assert await kinds(hub, "later") == [ObstacleKind.NOT_YET]
            assert await kinds(hub, "now") == [ObstacleKind.NO_WORKER]
            async with hub.worker():
                await asyncio.sleep(1)
                (obstacle,) = (await hub.explain("unknown")).obstacles
                assert obstacle.kind is ObstacleKind.NOT_TAKEN_UP
                assert "register 'unknown', which is not registered in this process" in str(
                    obstacle
                )
                assert await kinds(hub, "now") == []

    run_virtual(story)


async def kinds(hub: TaskHub, instance_id: str) -> list[ObstacleKind]:
    return [obstacle.kind for obstacle in (await hub.explain(instance_id)).obstacles]


def test_code_that_does_not_fit_is_told_with_both_sides() -> None:
    other = Registry()

    @other.orchestrator(name="one_activity")
    async def changed(ctx: OrchestrationContext) -> None:
        await asyncio.sleep(5)

    async def story(env: VirtualEnvironment) -> None:
        async with a_hub(env) as hub, hub.worker():
            await run_to_rest(hub, "one_activity")
            hub._registry = other
            one = await hub.explain("one_activity")
            (obstacle,) = one.obstacles
            assert obstacle.kind is ObstacleKind.DIVERGENT
            assert "NonDeterminismError" in obstacle.text
            assert "history: ActivityScheduled" in obstacle.text
            assert (one.stands, one.code) == ((), "its code does not fit its history")
            assert [wait.name for wait in one.waits] == ["hang"]

    run_virtual(story)


def test_without_the_code_the_history_tells_what_it_knows() -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with a_hub(env) as hub, hub.worker():
            await run_to_rest(hub, "one_activity", "holds")
            hub._registry = Registry()
            one = await hub.explain("one_activity")
            assert one.code == "no orchestrator 'one_activity' is registered in this process"
            assert [wait.name for wait in one.waits] == ["hang"]
            other = await hub.explain("holds")
            assert other.waits == ()
            assert other.sentences == (
                "it has '@account@a' locked",
                "nothing that its history knows is under way: it waits for an external event",
            )

    run_virtual(story)


def test_a_damaged_history_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with a_hub(env) as hub, hub.worker():
            await run_to_rest(hub, "one_activity")
            page = await hub.backend.read_history("one_activity", bytes_max=10**6)
            rows = (page.rows[0], HistoryRow(turn=1, events=b"\xc1"))

            async def damaged(*_: object, **__: object) -> HistoryPage:
                return HistoryPage(execution=1, rows=rows)

            monkeypatch.setattr(hub.backend, "read_history", damaged)
            one = await hub.explain("one_activity")
            (obstacle,) = one.obstacles
            assert obstacle.kind is ObstacleKind.DAMAGED
            assert "cannot be read" in obstacle.text
            assert (one.waits, one.code) == ((), "its history cannot be read")

    run_virtual(story)


def test_a_version_that_is_not_run_here_is_not_replayed() -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with a_hub(env) as hub, hub.worker():
            await hub.client.start(one_activity, instance_id="old", version="1")
            await asyncio.sleep(5)
            newer = Registry(accepts=lambda _, version: version != "1")
            newer.add_orchestrator(one_activity)
            hub._registry = newer
            one = await hub.explain("old")
            assert one.code == "the version '1' is none that runs in this process"
            assert [wait.name for wait in one.waits] == ["hang"]

    run_virtual(story)


def test_a_dead_worker_is_told() -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with a_hub(env) as hub:
            fence = await hub.backend.register_worker("dead", 1.0)
            await hub.client.start(one_activity, instance_id="i")
            await hub.backend.fetch(
                fence,
                number=1,
                instances=1,
                activities=0,
                names=None,
                activity_names=None,
                history_bytes_max=1,
            )
            await asyncio.sleep(60)
            await hub.backend.register_worker("alive", 15.0)
            (obstacle,) = (await hub.explain("i")).obstacles
            assert obstacle.text.startswith("the worker that has it, dead, is not alive")

    run_virtual(story)


async def test_code_that_does_not_come_back_is_interrupted_and_said_to_be_in_the_way(
    tmp_path: Path,
) -> None:
    restless = Registry()

    @restless.orchestrator
    async def approval(ctx: OrchestrationContext) -> None:
        while True:
            pass

    url, settings = f"sqlite:///{tmp_path}/hub.db", WorkerSettings(turn_seconds_max=0.05)
    async with TaskHub.open(url, registry=registry) as hub, hub.worker():
        await hub.client.start("approval", instance_id="a")
        await hub.client.wait_for_start("a", timeout=30)
    async with TaskHub.open(url, registry=restless, settings=settings) as hub:
        one = await hub.explain("a")
    assert (one.stands, one.code) == ((), "its code does not come to rest")
    (obstacle,) = (found for found in one.obstacles if found.kind is ObstacleKind.DIVERGENT)
    assert "it ran for more than 0.05 s" in obstacle.text
    assert "in approval" in obstacle.text


def test_the_end_is_told_with_the_failure() -> None:
    registry_of_one = Registry()

    @registry_of_one.orchestrator
    async def fails(ctx: OrchestrationContext) -> None:
        raise LookupError("nobody")

    async def story(env: VirtualEnvironment) -> None:
        async with TaskHub.open("memory://", registry=registry_of_one, environment=env) as hub:
            async with hub.worker():
                await hub.client.start(fails, instance_id="f")
                await hub.client.wait_for_end("f")
            one = await hub.explain("f")
            assert one.obstacles[0].kind is ObstacleKind.ENDED
            assert "LookupError: nobody" in str(one)
            with pytest.raises(InstanceNotFoundError):
                await hub.explain("nobody")
            with pytest.raises(ValidationError, match="is an entity"):
                await hub.explain("@account@a")

    run_virtual(story)


def test_few_turns_with_much_in_them_let_others_run_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A dashboard explains in the event loop of whoever has it, as often as somebody looks."""
    pauses: list[int] = []

    async def pause() -> None:
        pauses.append(1)

    async def story(env: VirtualEnvironment) -> None:
        async with TaskHub.open("memory://", registry=registry, environment=env) as hub:
            async with hub.worker():
                await hub.client.start(crowd, 300, instance_id="a")
                await asyncio.sleep(10)
            events = len(await hub.client.history("a"))
            assert events > 600
            with monkeypatch.context() as patched:
                patched.setattr("anyio.lowlevel.checkpoint", pause)
                await hub.explain("a")
            assert len(pauses) >= 2

    run_virtual(story)


def test_explaining_changes_nothing_and_leaves_nothing_behind() -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with a_hub(env) as hub, hub.worker():
            await run_to_rest(hub, "approval")
            before = await hub.client.history("approval")
            first, second = await asyncio.gather(hub.explain("approval"), hub.explain("approval"))
            assert first.waits == second.waits
            assert await hub.client.history("approval") == before
            await hub.client.raise_event("approval", "approved", "Ada")
            await hub.client.wait("approval")

    run_virtual(story)


def test_many_of_a_kind_are_summed_up_with_when_the_next_is_due() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    one = Explanation(
        instance_id="i",
        name="n",
        version=None,
        status=Status.RUNNING,
        at=at,
        moved_at=at,
        owner="w",
        waits=tuple(
            Wait(kind=WaitKind.TIMER, seq=n, since=at, until=at + timedelta(hours=n))
            for n in range(1, 6)
        ),
    )
    assert one.sentences == (
        "5 timers, the oldest since 2026-01-01 00:00:00 UTC, the next one due at 2026-01-01 01:00:00 UTC",
    )
