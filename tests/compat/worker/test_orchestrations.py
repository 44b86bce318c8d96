"""Orchestrators of the documented shape, in virtual time: what they wait for, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import anyio
import pytest
from tests.integration.worlds import DAY, HOUR, World, elapsed

from durable_async import Status
from durable_async.testing import VirtualEnvironment, virtual_time
from durabletask import task
from durabletask.worker import TaskHubGrpcWorker, VersioningOptions

from .stage import running


def shout(ctx: task.ActivityContext, text: str) -> str:
    return text.upper()


@virtual_time
async def test_generators_and_coroutines_call_each_other(
    env: VirtualEnvironment, world: World, worker: TaskHubGrpcWorker
) -> None:
    def classic(ctx: task.OrchestrationContext, text: str) -> Generator[Any, Any, Any]:
        first = yield ctx.call_activity(shout, input=text)
        if len(text) > 3:
            return first
        second = yield ctx.call_sub_orchestrator(modern, input=text + "s")
        return [first, second]

    async def modern(ctx: task.OrchestrationContext, text: str) -> Any:
        first = await ctx.call_activity(shout, input=text)
        both = await asyncio.gather(
            ctx.call_activity(shout, input="a"),  # type: ignore[arg-type]
            ctx.call_sub_orchestrator(classic, input=text + "s"),
        )
        return [first, *both]

    worker.add_orchestrator(classic)
    worker.add_orchestrator(modern)
    worker.add_activity(shout)
    async with running(world, env, worker) as there:
        assert await there.outcome(classic, "abc") == ["ABC", ["ABCS", "A", "ABCSS"]]
        assert await there.outcome(modern, "xy") == ["XY", "A", ["XYS", ["XYSS", "A", "XYSSS"]]]


@virtual_time
async def test_an_async_orchestrator_gives_up_what_it_waits_for(
    env: VirtualEnvironment, world: World, worker: TaskHubGrpcWorker
) -> None:
    async def impatient(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            async with asyncio.timeout(3600):
                await ctx.wait_for_external_event("news")
        except TimeoutError:
            return await ctx.wait_for_external_event("news")

    worker.add_orchestrator(impatient)
    async with running(world, env, worker) as there:
        instance_id = await there.start(impatient)
        await anyio.sleep(2 * HOUR)
        await there.raise_event(instance_id, "NEWS", "late")
        state = await there.ended(instance_id)
    assert state.output() == '"late"'


@virtual_time
async def test_a_long_timer_is_several_in_a_row(env: VirtualEnvironment, world: World) -> None:
    def patient(ctx: task.OrchestrationContext, _: Any) -> Generator[Any, Any, Any]:
        yield ctx.create_timer(timedelta(hours=10))
        return "done"

    worker = TaskHubGrpcWorker(maximum_timer_interval=timedelta(hours=3))
    worker.add_orchestrator(patient)
    async with running(world, env, worker) as there:
        instance_id = await there.start(patient)
        await there.ended(instance_id)
        recorded = await there.recorded(instance_id)
    assert 10 * HOUR <= elapsed(env) < 10 * HOUR + 60
    assert recorded.count("TimerCreated") == recorded.count("TimerFired") == 4


@virtual_time
async def test_a_long_timer_that_is_cancelled_begins_no_further_one(
    env: VirtualEnvironment, world: World
) -> None:
    def fickle(ctx: task.OrchestrationContext, _: Any) -> Generator[Any, Any, Any]:
        timer = ctx.create_timer(timedelta(hours=10))
        yield ctx.create_timer(timedelta(hours=1.5))
        assert timer.cancel()
        assert not timer.cancel()
        yield ctx.create_timer(timedelta(hours=20))
        return timer.is_cancelled

    worker = TaskHubGrpcWorker(maximum_timer_interval=timedelta(hours=1))
    worker.add_orchestrator(fickle)
    async with running(world, env, worker) as there:
        instance_id = await there.start(fickle)
        state = await there.ended(instance_id)
        recorded = await there.recorded(instance_id)
    assert state.output() == "true"
    assert recorded.count("TimerCreated") == 2 + 2 + 20


@virtual_time
async def test_what_is_called_at_the_very_end_happens(
    env: VirtualEnvironment, world: World, worker: TaskHubGrpcWorker
) -> None:
    happened: list[str] = []

    def note(ctx: task.ActivityContext, text: str) -> None:
        happened.append(text)

    def returns(ctx: task.OrchestrationContext, _: Any) -> Generator[Any, Any, Any]:
        yield ctx.call_activity(note, input="first")
        ctx.call_activity(note, input="returned")
        return "over"

    def raises(ctx: task.OrchestrationContext, _: Any) -> Generator[Any, Any, Any]:
        ctx.call_activity(note, input="raised")
        yield ctx.call_activity(note, input="waited")
        ctx.call_activity(note, input="raised too")
        raise LookupError("lost")

    def renews(ctx: task.OrchestrationContext, life: int) -> Generator[Any, Any, Any]:
        if life == 2:
            return "second life"
        ctx.continue_as_new(2)
        ctx.call_activity(note, input="renewed")
        yield ctx.create_timer(timedelta(days=1))
        happened.append("never")

    def plainly(ctx: task.OrchestrationContext, _: Any) -> str:
        ctx.call_activity(note, input="plain")
        return "plain"

    for function in (returns, raises, renews, plainly):
        worker.add_orchestrator(function)
    worker.add_activity(note)
    async with running(world, env, worker) as there:
        assert await there.outcome(returns) == "over"
        assert (await there.failure(raises)) == ("builtins.LookupError", "lost")
        assert await there.outcome(renews, 1) == "second life"
        assert await there.outcome(plainly) == "plain"
    assert sorted(happened) == sorted(
        ["first", "returned", "raised", "waited", "raised too", "renewed", "plain"]
    )
    assert elapsed(env) < HOUR


@virtual_time
async def test_a_loser_of_an_earlier_turn_is_not_waited_for(
    env: VirtualEnvironment, world: World, worker: TaskHubGrpcWorker
) -> None:
    async def slow(ctx: task.ActivityContext, _: Any) -> None:
        await anyio.sleep(DAY)

    def races(ctx: task.OrchestrationContext, _: Any) -> Generator[Any, Any, Any]:
        timer = ctx.create_timer(timedelta(minutes=1))
        winner = yield task.when_any([ctx.call_activity(slow), timer])
        return winner == timer

    worker.add_orchestrator(races)
    worker.add_activity(slow)
    async with running(world, env, worker) as there:
        assert await there.outcome(races) is True
    assert elapsed(env) < HOUR


@virtual_time
async def test_a_child_is_started_again_under_its_id(
    env: VirtualEnvironment, world: World, worker: TaskHubGrpcWorker
) -> None:
    lives: list[tuple[str, str | None]] = []

    def child(ctx: task.OrchestrationContext, _: Any) -> Generator[Any, Any, Any]:
        lives.append((ctx.instance_id, ctx.version))
        yield ctx.create_timer(timedelta(seconds=1))
        if len(lives) < 3:
            raise ValueError("not yet")
        return len(lives)

    def parent(ctx: task.OrchestrationContext, _: Any) -> Generator[Any, Any, Any]:
        policy = task.RetryPolicy(
            first_retry_interval=timedelta(minutes=1),
            max_number_of_attempts=3,
            backoff_coefficient=2,
        )
        return (yield ctx.call_sub_orchestrator(child, retry_policy=policy, version="7"))

    worker.add_orchestrator(child)
    worker.add_orchestrator(parent)
    async with running(world, env, worker) as there:
        instance_id = await there.start(parent)
        state = await there.ended(instance_id)
    assert state.output() == "3"
    assert set(lives) == {(f"{instance_id}:0001", "7")}
    assert 180 < elapsed(env) < 200


@virtual_time
async def test_a_wrong_yield_fails_it_at_once(
    env: VirtualEnvironment, world: World, worker: TaskHubGrpcWorker
) -> None:
    def wrong(ctx: task.OrchestrationContext, _: Any) -> Generator[Any, Any, Any]:
        yield 42

    worker.add_orchestrator(wrong)
    async with running(world, env, worker) as there:
        kind, message = await there.failure(wrong)
    assert kind == "builtins.TypeError"
    assert "yielded a non-Task object, 42" in message


@virtual_time
async def test_code_that_does_not_fit_its_history_fails(
    env: VirtualEnvironment, world: World
) -> None:
    def deployment(*activities: str) -> TaskHubGrpcWorker:
        def release(ctx: task.OrchestrationContext, _: Any) -> Generator[Any, Any, Any]:
            for name in activities:
                yield ctx.call_activity(shout, input=name)
            yield ctx.wait_for_external_event("go")

        worker = TaskHubGrpcWorker()
        worker.add_orchestrator(release)
        worker.add_activity(shout)
        return worker

    async with running(world, env, deployment("a", "b")) as there:
        instance_id = await there.start("release")
        while (await there.recorded(instance_id)).count("ActivityCompleted") < 2:
            await anyio.sleep(0.1)
    async with running(world, env, deployment("a", "c", "b")) as there:
        await there.raise_event(instance_id, "go")
        state = await there.ended(instance_id)
    assert state.status is Status.FAILED
    assert state.failure is not None
    assert state.failure.error_type == "durable_async.errors.NonDeterminismError"


@virtual_time
async def test_it_begins_anew_although_it_would_wait_on_its_way_out(
    env: VirtualEnvironment, world: World, worker: TaskHubGrpcWorker
) -> None:
    def classic(ctx: task.OrchestrationContext, number: int) -> Generator[Any, Any, Any]:
        try:
            if number == 0:
                ctx.continue_as_new(1)
                yield ctx.create_timer(timedelta(days=1))
            return "ended"
        finally:
            yield ctx.call_activity(tidied, input=f"classic {number}")

    async def modern(ctx: task.OrchestrationContext, number: int) -> Any:
        try:
            if number == 0:
                ctx.continue_as_new(1)
                await ctx.create_timer(timedelta(days=1))
            return "ended"
        finally:
            await ctx.call_activity(tidied, input=f"modern {number}")

    done: list[str] = []

    def tidied(ctx: task.ActivityContext, what: str) -> None:
        done.append(what)

    worker.add_orchestrator(classic)
    worker.add_orchestrator(modern)
    worker.add_activity(tidied)
    async with running(world, env, worker) as there:
        assert await there.outcome(classic, 0) == "ended"
        assert await there.outcome(modern, 0) == "ended"
    assert done == ["classic 0", "classic 1", "modern 0", "modern 1"]


@virtual_time
async def test_a_child_keeps_the_default_version_that_it_was_started_with(
    env: VirtualEnvironment, world: World
) -> None:
    def parent(ctx: task.OrchestrationContext, _: Any) -> Generator[Any, Any, Any]:
        first = yield ctx.call_sub_orchestrator(child)
        second = yield ctx.call_sub_orchestrator(child)
        return [first, second]

    def child(ctx: task.OrchestrationContext, _: Any) -> Generator[Any, Any, Any]:
        yield ctx.wait_for_external_event("go")
        return ctx.version

    def deployment(version: str | None) -> TaskHubGrpcWorker:
        worker = TaskHubGrpcWorker()
        worker.add_orchestrator(parent)
        worker.add_orchestrator(child)
        if version is not None:
            worker.use_versioning(VersioningOptions(version=version, default_version=version))
        return worker

    async with running(world, env, deployment("1.0")) as there:
        instance_id = await there.start(parent)
        while "SubOrchestrationScheduled" not in await there.recorded(instance_id):
            await anyio.sleep(0.1)
    async with running(world, env, deployment("2.0")) as there:
        await there.raise_event(f"{instance_id}:0001", "go")
        while (await there.recorded(instance_id)).count("SubOrchestrationScheduled") < 2:
            await anyio.sleep(0.1)
    async with running(world, env, deployment(None)) as there:
        await there.raise_event(f"{instance_id}:0002", "go")
        state = await there.ended(instance_id)
    assert state.failure is None
    assert state.output() == '["1.0", "2.0"]'


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (1, 0), (0, 1)])
@virtual_time
async def test_the_longest_interval_may_change_while_a_timer_is_waited_for(
    env: VirtualEnvironment, memory: World, before: float, after: float
) -> None:
    def deployment(hours: float) -> TaskHubGrpcWorker:
        def patient(ctx: task.OrchestrationContext, _: Any) -> Generator[Any, Any, Any]:
            yield ctx.create_timer(timedelta(hours=10))
            return "done"

        worker = TaskHubGrpcWorker(maximum_timer_interval=timedelta(hours=hours))
        worker.add_orchestrator(patient)
        return worker

    async with running(memory, env, deployment(before)) as there:
        instance_id = await there.start("patient")
        await anyio.sleep(2.5 * HOUR)
    async with running(memory, env, deployment(after)) as there:
        state = await there.ended(instance_id)
    assert state.output() == '"done"'
    assert 10 * HOUR <= elapsed(env) < 10 * HOUR + 60


@virtual_time
async def test_a_retry_policy_may_change_while_a_retry_is_waited_for(
    env: VirtualEnvironment, memory: World
) -> None:
    lives: list[str] = []

    def deployment(hours: float) -> TaskHubGrpcWorker:
        def child(ctx: task.OrchestrationContext, _: Any) -> Any:
            lives.append(ctx.instance_id)
            if len(lives) == 1:
                raise ValueError("not yet")
            return "done"

        def parent(ctx: task.OrchestrationContext, _: Any) -> Generator[Any, Any, Any]:
            policy = task.RetryPolicy(
                first_retry_interval=timedelta(hours=hours), max_number_of_attempts=2
            )
            return (yield ctx.call_sub_orchestrator(child, retry_policy=policy))

        worker = TaskHubGrpcWorker()
        worker.add_orchestrator(child)
        worker.add_orchestrator(parent)
        return worker

    async with running(memory, env, deployment(3)) as there:
        instance_id = await there.start("parent")
        await anyio.sleep(HOUR)
    async with running(memory, env, deployment(5)) as there:
        state = await there.ended(instance_id)
    assert state.output() == '"done"'
    assert 3 * HOUR <= elapsed(env) < 3 * HOUR + 60
