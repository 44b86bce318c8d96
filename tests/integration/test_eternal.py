"""Eternal orchestrations: continue-as-new keeps the id, drops the history, and loses no event."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import anyio
import pytest

from durable_async import OrchestrationContext, OrchestrationTerminatedError, TaskHub
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import DAY, MINUTE, Styles, World, doomed, ran, recorded, until

pytestmark = pytest.mark.pattern("eternal")

styles = Styles()


@styles.activity
async def periodic_work(iteration: int) -> None:
    ran.append(iteration)


@styles.activity
async def slow_work() -> None:
    try:
        await anyio.sleep(DAY)
    except asyncio.CancelledError:
        ran.append("cancelled")
        raise


@styles.in_async("eternal")
async def eternal(ctx: OrchestrationContext, iteration: int) -> None:
    await ctx.call_activity(periodic_work, iteration)
    await ctx.create_timer(timedelta(minutes=5))
    ctx.continue_as_new(iteration + 1)


@styles.in_generator("eternal")
def eternal_generator(ctx: OrchestrationContext, iteration: int) -> Generator[Any, Any, None]:
    yield ctx.call_activity(periodic_work, iteration)
    yield ctx.create_timer(timedelta(minutes=5))
    ctx.continue_as_new(iteration + 1)


@styles.in_async("collector")
async def collector(ctx: OrchestrationContext, got: list[int]) -> list[int]:
    number = await ctx.wait_for_external_event("number", int)
    got = [*got, number]
    if len(got) < 5:
        ctx.continue_as_new(got)
    return got


@styles.in_generator("collector")
def collector_generator(
    ctx: OrchestrationContext, got: list[int]
) -> Generator[Any, Any, list[int]]:
    number = yield ctx.wait_for_external_event("number", int)
    got = [*got, number]
    if len(got) < 5:
        ctx.continue_as_new(got)
    return got


@styles.in_async("forgetful")
async def forgetful(ctx: OrchestrationContext, round_number: int) -> str:
    if round_number == 0:
        await ctx.wait_for_external_event("go")
        ctx.continue_as_new(1, keep_events=False)
    return str(await ctx.wait_for_external_event("number"))


@styles.in_generator("forgetful")
def forgetful_generator(ctx: OrchestrationContext, round_number: int) -> Generator[Any, Any, str]:
    if round_number == 0:
        yield ctx.wait_for_external_event("go")
        ctx.continue_as_new(1, keep_events=False)
    return str((yield ctx.wait_for_external_event("number")))


@styles.in_async("versions")
async def versions(ctx: OrchestrationContext, seen: list[Any]) -> list[Any]:
    seen = [*seen, [ctx.execution, ctx.version]]
    if len(seen) == 1:
        ctx.continue_as_new(seen)
    if len(seen) == 2:
        ctx.continue_as_new(seen, version="2")
    await ctx.create_timer(1)
    return seen


@styles.in_generator("versions")
def versions_generator(ctx: OrchestrationContext, seen: list[Any]) -> Generator[Any, Any, Any]:
    seen = [*seen, [ctx.execution, ctx.version]]
    if len(seen) == 1:
        ctx.continue_as_new(seen)
    if len(seen) == 2:
        ctx.continue_as_new(seen, version="2")
    yield ctx.create_timer(1)
    return seen


@styles.in_async("leaver")
async def leaver(ctx: OrchestrationContext, again: bool) -> str:
    if again:
        return f"{ctx.execution}: {ctx.now() is not None}"
    ctx.set_custom_status("leaving")
    ctx.call_activity(slow_work)
    await ctx.create_timer(5)
    try:
        ctx.continue_as_new(True)
    finally:
        await ctx.call_activity(periodic_work, -1)


@styles.in_generator("leaver")
def leaver_generator(ctx: OrchestrationContext, again: bool) -> Generator[Any, Any, str]:
    if again:
        return f"{ctx.execution}: {ctx.now() is not None}"
    ctx.set_custom_status("leaving")
    ctx.call_activity(slow_work)
    yield ctx.create_timer(5)
    try:
        ctx.continue_as_new(True)
    finally:
        yield ctx.call_activity(periodic_work, -1)


@styles.both
async def father(ctx: OrchestrationContext) -> list[int]:
    result: list[int] = await ctx.call_sub_orchestrator(
        "collector", [], instance_id="son", result_type=list[int]
    )
    return result


async def bounded(hub: TaskHub, handle: Any) -> bool:
    return len(await recorded(hub, handle)) < 12


@virtual_time
async def test_it_goes_on_until_it_is_terminated(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("eternal", 0, instance_id="heartbeat")
        await anyio.sleep(100 * 5 * MINUTE - MINUTE)
        assert ran == list(range(100))
        state = await handle.get()
        assert state is not None
        assert state.instance_id == "heartbeat"
        assert state.execution == 100
        assert state.input(int) == 99
        assert await bounded(hub, handle)
        await handle.terminate()
        with pytest.raises(OrchestrationTerminatedError):
            await handle.wait()
        await anyio.sleep(DAY)
    assert len(ran) == 100


@virtual_time
async def test_crashes_between_iterations_skip_and_repeat_nothing(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("eternal", 0)
        for lives in range(1, 6):
            async with doomed(hub):
                await until(lambda lives=lives: len(ran) == lives * 3)
                await anyio.sleep(MINUTE)
        await handle.terminate()
        async with hub.worker():
            await hub.client.wait_for_end(handle)
    assert ran == list(range(15))


@virtual_time
async def test_events_that_came_early_are_kept_in_order(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("collector", [])
        await hub.client.raise_events([(handle, "number", number) for number in range(5)])
        async with hub.worker():
            assert await handle.wait() == [0, 1, 2, 3, 4]
        state = await handle.get()
        assert state is not None
        assert state.execution == 5


@virtual_time
async def test_events_that_come_during_the_change_are_kept(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("collector", [])
        for number in range(5):
            await hub.client.raise_event(handle, "number", number)
        assert await handle.wait() == [0, 1, 2, 3, 4]


@virtual_time
async def test_events_are_kept_over_a_crash(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("collector", [])
        async with doomed(hub):
            await hub.client.raise_events([(handle, "number", number) for number in range(2)])
            await anyio.sleep(MINUTE)
            await hub.client.raise_event(handle, "other")
        await hub.client.raise_events([(handle, "number", number) for number in range(2, 5)])
        async with hub.worker():
            assert await handle.wait() == [0, 1, 2, 3, 4]


@virtual_time
async def test_events_that_were_received_are_dropped_on_request(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("forgetful", 0)
        await hub.client.raise_event(handle, "number", 1)
        await anyio.sleep(MINUTE)  # it has arrived
        await hub.client.raise_event(handle, "go")
        await anyio.sleep(MINUTE)
        await hub.client.raise_event(handle, "number", 2)
        assert await handle.wait() == "2"


@virtual_time
async def test_execution_and_version_of_the_next(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("versions", [], version="1")
        assert await handle.wait() == [[1, "1"], [2, "1"], [3, "2"]]
        state = await handle.get()
        assert state is not None
        assert state.version == "2"


@virtual_time
async def test_it_leaves_nothing_behind(env: VirtualEnvironment, world: World, style: str) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("leaver", False)
        assert await handle.wait() == "2: True"
        state = await handle.get()
        assert state is not None
        assert state.custom_status() is None
        await anyio.sleep(1)
    assert ran == [-1, "cancelled"]  # its clean-up ran, its activity was cancelled


@virtual_time
async def test_a_parent_waits_for_the_last_execution(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("father")
        with anyio.fail_after(60):
            while await hub.client.get("son") is None:
                await anyio.sleep(0.01)
        for number in range(5):
            await hub.client.raise_event("son", "number", number)
            await anyio.sleep(1)
        assert await handle.wait() == [0, 1, 2, 3, 4]
