"""Chaining: one activity after the other."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from durable_async import (
    ActivityFailedError,
    OrchestrationContext,
    OrchestrationFailedError,
    Status,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import Styles, World, doomed, elapsed, ran, recorded, until_recorded

pytestmark = pytest.mark.pattern("chaining")

styles = Styles()
CITIES = ["Tokyo", "Seattle", "London"]
GREETINGS = ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


@styles.activity
async def hello(name: str) -> str:
    ran.append(name)
    if name == "Atlantis":
        raise LookupError(f"no such place: {name}")
    return f"Hello {name}!"


@styles.in_async("chained")
async def chained(ctx: OrchestrationContext) -> list[str]:
    first = await ctx.call_activity(hello, "Tokyo")
    second = await ctx.call_activity(hello, "Seattle")
    third = await ctx.call_activity(hello, "London")
    return [first, second, third]


@styles.in_generator("chained")
def chained_generator(ctx: OrchestrationContext) -> Generator[Any, Any, list[str]]:
    first = yield ctx.call_activity(hello, "Tokyo")
    second = yield ctx.call_activity(hello, "Seattle")
    third = yield ctx.call_activity(hello, "London")
    return [first, second, third]


@styles.in_async("sunken")
async def sunken(ctx: OrchestrationContext) -> None:
    for city in ("Tokyo", "Atlantis", "London"):
        await ctx.call_activity(hello, city)


@styles.in_generator("sunken")
def sunken_generator(ctx: OrchestrationContext) -> Generator[Any, Any, None]:
    for city in ("Tokyo", "Atlantis", "London"):
        yield ctx.call_activity(hello, city)


@styles.in_async("forgiving")
async def forgiving(ctx: OrchestrationContext) -> str:
    try:
        return await ctx.call_activity(hello, "Atlantis")
    except ActivityFailedError as error:
        return f"caught {error.failure.error_type}: {error.failure.message}"


@styles.in_generator("forgiving")
def forgiving_generator(ctx: OrchestrationContext) -> Generator[Any, Any, str]:
    try:
        return (yield ctx.call_activity(hello, "Atlantis"))
    except ActivityFailedError as error:
        return f"caught {error.failure.error_type}: {error.failure.message}"


@styles.in_async("slow")
async def slow(ctx: OrchestrationContext) -> list[str]:
    first = await ctx.call_activity(hello, "Tokyo")
    await ctx.create_timer(60)
    return [first, await ctx.call_activity(hello, "Seattle")]


@styles.in_generator("slow")
def slow_generator(ctx: OrchestrationContext) -> Generator[Any, Any, list[str]]:
    first = yield ctx.call_activity(hello, "Tokyo")
    yield ctx.create_timer(60)
    return [first, (yield ctx.call_activity(hello, "Seattle"))]


@styles.in_async("stray")
async def stray(ctx: OrchestrationContext) -> None:
    await ctx.call_activity("nobody_knows", 1)


@styles.in_generator("stray")
def stray_generator(ctx: OrchestrationContext) -> Generator[Any, Any, None]:
    yield ctx.call_activity("nobody_knows", 1)


@virtual_time
async def test_chain(env: VirtualEnvironment, world: World, style: str) -> None:
    async with world.running(env, styles[style]) as hub:
        orchestrator = styles[style].find_orchestrator("chained")
        assert orchestrator is not None
        handle = await hub.client.start(orchestrator)
        assert await hub.client.wait(handle) == GREETINGS
        state = await hub.client.get(handle)
    assert state is not None
    assert state.status is Status.COMPLETED
    assert state.output(list[str]) == GREETINGS
    assert ran == CITIES


@virtual_time
async def test_the_activities_run_one_after_the_other(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("chained")
        await handle.wait()
        kinds = await recorded(hub, handle)
    told = [kind for kind in kinds if kind.startswith("Activity")]
    assert told == ["ActivityScheduled", "ActivityCompleted"] * 3


@virtual_time
async def test_what_follows_a_failure_does_not_run(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("sunken")
        with pytest.raises(OrchestrationFailedError) as caught:
            await handle.wait()
        state = await hub.client.get(handle)
    failure = caught.value.failure
    assert failure.is_type("ActivityFailedError")
    assert failure.cause is not None
    assert failure.cause.error_type == "builtins.LookupError"
    assert failure.cause.message == "no such place: Atlantis"
    assert state is not None
    assert state.status is Status.FAILED
    assert state.failure == failure
    assert ran == ["Tokyo", "Atlantis"]


@virtual_time
async def test_code_may_catch_a_failure(env: VirtualEnvironment, world: World, style: str) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("forgiving")
        assert await handle.wait() == "caught builtins.LookupError: no such place: Atlantis"


@virtual_time
async def test_an_activity_that_nobody_registers_fails_after_a_while(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("stray")
        with pytest.raises(OrchestrationFailedError) as caught:
            await handle.wait()
        assert 300 <= elapsed(env) < 310
    cause = caught.value.failure.cause
    assert cause is not None
    assert cause.is_type("NotRegisteredError")
    assert "'nobody_knows'" in cause.message


@virtual_time
async def test_after_a_crash_no_finished_activity_runs_again(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("slow", instance_id="one")
        async with doomed(hub):
            await until_recorded(hub, handle, "TimerCreated")
    async with world.running(env, styles[style]) as hub:
        assert await hub.client.wait("one", list[str]) == ["Hello Tokyo!", "Hello Seattle!"]
    assert ran == ["Tokyo", "Seattle"]
