"""Activities that take too long, fall silent, or are not wanted any more: their code is stopped."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest

from durable_async import (
    ActivityCancelledError,
    ActivityFailedError,
    OrchestrationContext,
    OrchestrationTerminatedError,
    Registry,
    RetryPolicy,
    activity_context,
    when_any,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import DAY, HOUR, MINUTE, World, doomed, elapsed, ran, recorded, until, until_recorded

registry = Registry()
RETRY = RetryPolicy(max_attempts=3, first_delay=1)
begun, stopped = threading.Event(), threading.Event()


@registry.activity
async def slow(seconds: float) -> str:
    ran.append("begun")
    try:
        await anyio.sleep(seconds)
    except asyncio.CancelledError:
        ran.append("cleaned up")
        raise
    ran.append("ended")
    return "ended"


@registry.activity
async def beating(silent_after: int) -> str:
    """Beat every 10 seconds; the first attempt falls silent."""
    context = activity_context()
    begin = context.heartbeat_details(int) or 0
    ran.append((context.attempt, begin))
    for step in range(begin, 20):
        if context.attempt == 1 and step == silent_after:
            await anyio.sleep(DAY)
        await anyio.sleep(10)
        context.heartbeat(step + 1)
    return f"attempt {context.attempt} from {begin}"


@registry.activity
def threaded() -> str:
    context = activity_context()
    begun.set()
    while not context.is_cancelled:
        threading.Event().wait(0.001)
    try:
        context.raise_if_cancelled()
    except ActivityCancelledError as error:
        ran.append(str(error))
        stopped.set()
        raise
    return "never"


@pytest.fixture(autouse=True)
def no_thread_began() -> None:
    begun.clear()
    stopped.clear()


async def happened(event: threading.Event) -> bool:
    return await anyio.to_thread.run_sync(event.wait, 30)


@registry.orchestrator
async def limited(ctx: OrchestrationContext, limits: dict[str, float]) -> str:
    seconds = limits.pop("seconds", DAY)
    options: Any = limits
    try:
        return await ctx.call_activity(slow.with_options(**options), seconds)
    except ActivityFailedError as error:
        return f"{error.failure.error_type}: {error.failure.message}"


@registry.orchestrator
async def limited_retried(ctx: OrchestrationContext, limits: dict[str, float]) -> str:
    options: Any = limits
    try:
        return await ctx.call_activity(slow.with_options(retry=RETRY, **options), DAY)
    except ActivityFailedError as error:
        return f"{error.failure.error_type}: {error.failure.message}"


@registry.orchestrator
async def long_haul(ctx: OrchestrationContext, silent_after: int) -> str:
    call = beating.with_options(heartbeat=30, retry=RETRY)
    return await ctx.call_activity(call, silent_after)


@registry.orchestrator
async def impatient(ctx: OrchestrationContext) -> str:
    try:
        async with asyncio.timeout(MINUTE):
            return await ctx.call_activity(slow, DAY)
    except TimeoutError:
        return "gave up"


@registry.orchestrator
async def giving_up(ctx: OrchestrationContext) -> str:
    call = ctx.call_activity(slow, DAY)
    timer = ctx.create_timer(MINUTE)
    winner: Any = await when_any([call, timer])
    call.cancel()
    try:
        await call
    except asyncio.CancelledError:
        return "cancelled" if winner is timer else "ended"
    return "not cancelled"


@registry.orchestrator
async def racing(ctx: OrchestrationContext) -> str:
    async with asyncio.TaskGroup() as group:
        first = group.create_task(ctx.call_activity(slow, DAY))
        await ctx.create_timer(5)
        first.cancel()
    return "raced"


@registry.orchestrator
async def calls_threaded(ctx: OrchestrationContext) -> str:
    call = ctx.call_activity(threaded)
    await ctx.wait_for_external_event("begun")
    call.cancel()
    return "gave up"


@registry.orchestrator
async def limits_threaded(ctx: OrchestrationContext) -> str:
    try:
        return await ctx.call_activity(threaded.with_options(start_to_close=1))
    except ActivityFailedError as error:
        return error.failure.error_type


@registry.orchestrator
async def waits_for_threaded(ctx: OrchestrationContext) -> str:
    return await ctx.call_activity(threaded)


@virtual_time
async def test_start_to_close_stops_the_code(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(limited, {"start_to_close": 30.0})
        text = await handle.wait()
        assert 30 <= elapsed(env) < 32
    assert text == "builtins.TimeoutError: activity 'slow', attempt 1: not done within 30.0 s"
    assert ran == ["begun", "cleaned up"]


@virtual_time
async def test_within_its_limits_nothing_happens(env: VirtualEnvironment, world: World) -> None:
    limits = {"seconds": 29.0, "start_to_close": 30.0, "schedule_to_close": 31.0, "heartbeat": 30.0}
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(limited, limits)
        assert await handle.wait() == "ended"


@virtual_time
async def test_each_attempt_has_its_own_start_to_close(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(limited_retried, {"start_to_close": 10.0})
        assert "attempt 3" in await handle.wait()
        assert 33 <= elapsed(env) < 36  # three times ten, and pauses of one and two
    assert ran == ["begun", "cleaned up"] * 3


@virtual_time
async def test_schedule_to_close_counts_all_attempts(env: VirtualEnvironment, world: World) -> None:
    limits = {"start_to_close": 10.0, "schedule_to_close": 17.0}
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(limited_retried, limits)
        assert "TimeoutError" in await handle.wait()
        assert 17 <= elapsed(env) < 18
    assert ran == ["begun", "cleaned up"] * 2


@virtual_time
async def test_schedule_to_close_counts_from_the_call_over_a_crash(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.hub(env, registry) as hub:
        handle = await hub.client.start(limited, {"schedule_to_close": 2 * HOUR})
        async with doomed(hub):
            await until(lambda: ran)
            await anyio.sleep(HOUR / 2)
        async with hub.worker():
            assert "TimeoutError" in await handle.wait()
        assert 2 * HOUR <= elapsed(env) < 2 * HOUR + 10


@virtual_time
async def test_silence_ends_an_attempt_and_the_next_finds_what_it_said(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(long_haul, 7)
        assert await handle.wait() == "attempt 2 from 7"
        assert 70 + 30 + 1 + 130 <= elapsed(env) < 235
    assert ran == [(1, 0), (2, 7)]


@virtual_time
async def test_beating_keeps_an_attempt_alive(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(long_haul, 100)
        assert await handle.wait() == "attempt 1 from 0"


@virtual_time
async def test_after_a_takeover_the_attempt_finds_what_was_said(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.hub(env, registry) as hub:
        handle = await hub.client.start(long_haul, 100)
        async with doomed(hub):
            await until_recorded(hub, handle, "ActivityHeartbeat", times=5)
        async with hub.worker():
            assert await handle.wait() == "attempt 1 from 5"
    assert ran == [(1, 0), (1, 5)]


@pytest.mark.parametrize(
    ("orchestrator", "result"),
    [(impatient, "gave up"), (giving_up, "cancelled"), (racing, "raced")],
)
@virtual_time
async def test_cancellation_reaches_the_code(
    env: VirtualEnvironment, world: World, orchestrator: Any, result: str
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(orchestrator)
        assert await handle.wait() == result
        await anyio.sleep(1)
        assert ran == ["begun", "cleaned up"]
        assert "ActivityCancelRequested" in await recorded(hub, handle)


@virtual_time
async def test_termination_cancels_what_runs(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(impatient)
        await until(lambda: ran)
        await handle.terminate()
        with pytest.raises(OrchestrationTerminatedError):
            await handle.wait()
        await anyio.sleep(1)
    assert ran == ["begun", "cleaned up"]


@virtual_time
async def test_a_worker_that_stops_gives_activities_a_while(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.hub(env, registry) as hub:
        handle = await hub.client.start(limited, {"seconds": 60.0})
        async with hub.worker(shutdown_seconds=120):
            await until(lambda: ran)
        assert ran == ["begun", "ended"]
        async with hub.worker():
            assert await handle.wait() == "ended"
    assert ran == ["begun", "ended"]  # what ended in the grace time counts


@virtual_time
async def test_a_worker_that_stops_cancels_what_takes_longer(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.hub(env, registry) as hub:
        handle = await hub.client.start(limited, {"seconds": 60.0})
        async with hub.worker(shutdown_seconds=5):
            await until(lambda: ran)
        assert ran == ["begun", "cleaned up"]
        async with hub.worker():
            assert await handle.wait() == "ended"
    assert ran == ["begun", "cleaned up", "begun", "ended"]


@pytest.mark.parametrize(
    ("orchestrator", "result"),
    [(calls_threaded, "gave up"), (limits_threaded, "builtins.TimeoutError")],
)
async def test_cancellation_reaches_a_thread_that_asks(
    world: World, orchestrator: Any, result: str
) -> None:
    async with world.real_hub(registry) as hub, hub.worker():
        handle = await hub.client.start(orchestrator)
        assert await happened(begun)
        await handle.raise_event("begun")
        assert await handle.wait(30) == result
        assert await happened(stopped)
    assert ran == ["activity 'threaded' was cancelled"]


async def test_termination_reaches_a_thread_that_asks(world: World) -> None:
    async with world.real_hub(registry) as hub, hub.worker():
        handle = await hub.client.start(waits_for_threaded)
        assert await happened(begun)
        await handle.terminate()
        with pytest.raises(OrchestrationTerminatedError):
            await handle.wait(30)
        assert await happened(stopped)
    assert ran == ["activity 'threaded' was cancelled"]
