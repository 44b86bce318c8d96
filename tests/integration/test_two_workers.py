"""Activities that another worker runs: the queue keeps every promise that the short way keeps."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from durable_async import (
    ActivityFailedError,
    OrchestrationContext,
    OrchestrationTerminatedError,
    Registry,
    RetryPolicy,
    TaskHub,
    activity_context,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import DAY, HOUR, MINUTE, World, doomed, ran, recorded, until

front = Registry()
"""Only orchestrators."""
back = Registry()
"""Only activities."""

RETRY = RetryPolicy(max_attempts=3, first_delay=1)


@back.activity
async def double(number: int) -> int:
    ran.append(number)
    return number * 2


@back.activity
async def slow(seconds: float) -> str:
    ran.append("begun")
    try:
        await anyio.sleep(seconds)
    except asyncio.CancelledError:
        ran.append("cleaned up")
        raise
    return "ended"


@back.activity
async def flaky(fails: int) -> str:
    context = activity_context()
    ran.append((context.attempt, context.idempotency_key))
    if context.attempt <= fails:
        raise ConnectionError("not now")
    return f"attempt {context.attempt}"


@back.activity
async def beating(silent_after: int) -> str:
    context = activity_context()
    begin = context.heartbeat_details(int) or 0
    ran.append((context.attempt, begin))
    for step in range(begin, 20):
        if not begin and step == silent_after:
            await anyio.sleep(DAY)
        await anyio.sleep(10)
        context.heartbeat(step + 1)
    return f"from {begin}"


@front.orchestrator
async def doubles(ctx: OrchestrationContext, count: int) -> list[int]:
    calls = [ctx.call_activity("double", number) for number in range(count)]
    return list(await asyncio.gather(*calls))


@front.orchestrator
async def flakes(ctx: OrchestrationContext, fails: int) -> str:
    return await ctx.call_activity(flaky.with_options(retry=RETRY), fails)


@front.orchestrator
async def limited(ctx: OrchestrationContext, limits: dict[str, float]) -> str:
    options: Any = limits
    try:
        return await ctx.call_activity(slow.with_options(**options), DAY)
    except ActivityFailedError as error:
        return f"{error.failure.error_type}: {error.failure.message}"


@front.orchestrator
async def beats(ctx: OrchestrationContext, silent_after: int) -> str:
    call = beating.with_options(heartbeat=30, retry=RETRY)
    return await ctx.call_activity(call, silent_after)


@front.orchestrator
async def impatient(ctx: OrchestrationContext) -> str:
    try:
        async with asyncio.timeout(MINUTE):
            return await ctx.call_activity(slow, DAY)
    except TimeoutError:
        return "gave up"


@asynccontextmanager
async def both(world: World, env: VirtualEnvironment) -> AsyncIterator[TaskHub]:
    grace: dict[str, Any] = {"unregistered_grace_seconds": 2 * DAY}
    async with (
        world.hub(env, front) as hub,
        hub.worker(front, **grace),
        hub.worker(back),
    ):
        yield hub


@virtual_time
async def test_activities_run_where_they_are_registered(
    env: VirtualEnvironment, world: World
) -> None:
    async with both(world, env) as hub:
        handle = await hub.client.start(doubles, 50)
        assert await handle.wait() == [number * 2 for number in range(50)]
    assert sorted(ran) == list(range(50))


@virtual_time
async def test_retries(env: VirtualEnvironment, world: World) -> None:
    async with both(world, env) as hub:
        handle = await hub.client.start(flakes, 2)
        assert await handle.wait() == "attempt 3"
        assert (await recorded(hub, handle)).count("ActivityRetried") == 2
    assert [attempt for attempt, _ in ran] == [1, 2, 3]
    assert len({key for _, key in ran}) == 1


@pytest.mark.parametrize("limits", [{"start_to_close": 30.0}, {"schedule_to_close": 30.0}])
@virtual_time
async def test_time_limits_stop_the_code(
    env: VirtualEnvironment, world: World, limits: dict[str, float]
) -> None:
    async with both(world, env) as hub:
        handle = await hub.client.start(limited, limits)
        assert "TimeoutError" in await handle.wait(timeout=HOUR)
        assert 30 <= env.monotonic() < 35
        await anyio.sleep(1)
    assert ran == ["begun", "cleaned up"]


@virtual_time
async def test_the_next_attempt_finds_what_the_last_one_said(
    env: VirtualEnvironment, world: World
) -> None:
    async with both(world, env) as hub:
        handle = await hub.client.start(beats, 7)
        assert await handle.wait(timeout=HOUR) == "from 7"


@pytest.mark.parametrize("how", ["given up", "terminated"])
@virtual_time
async def test_cancellation_reaches_the_code(
    env: VirtualEnvironment, world: World, how: str
) -> None:
    async with both(world, env) as hub:
        handle = await hub.client.start(impatient)
        await until(lambda: ran)
        if how == "terminated":
            await handle.terminate()
            with pytest.raises(OrchestrationTerminatedError):
                await handle.wait(timeout=HOUR)
        else:
            assert await handle.wait(timeout=HOUR) == "gave up"
        await anyio.sleep(5 * MINUTE)
        assert ran == ["begun", "cleaned up"]


@virtual_time
async def test_another_worker_takes_over_what_a_dead_one_had_begun(
    env: VirtualEnvironment, world: World
) -> None:
    grace: dict[str, Any] = {"unregistered_grace_seconds": 2 * DAY}
    async with world.hub(env, front) as hub, hub.worker(front, **grace):
        handle = await hub.client.start(limited, {"start_to_close": 2 * DAY})
        async with doomed(hub, registry=back):
            await until(lambda: ran)
        async with hub.worker(back):
            assert await handle.wait() == "ended"
    assert ran.count("begun") == 2


@virtual_time
async def test_an_activity_may_wait_for_ever_for_a_worker_that_registers_it(
    env: VirtualEnvironment, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        world.hub(env, front) as hub,
        hub.worker(front, unregistered_grace_seconds=math.inf),
    ):
        handle = await hub.client.start(limited, {})
        await anyio.sleep(DAY)
        async with hub.worker(back):
            assert await handle.wait() == "ended"
    assert "not registered here" not in caplog.text


@virtual_time
async def test_nobody_waits_for_longer_because_what_waits_is_put_aside(
    env: VirtualEnvironment, world: World
) -> None:
    """A worker that keeps nothing warm takes it in again and again, and its time is up all the same."""
    scarce: dict[str, Any] = {"unregistered_grace_seconds": HOUR, "history_bytes_max": 1}
    async with world.hub(env, front) as hub, hub.worker(front, **scarce):
        handle = await hub.client.start(limited, {})
        assert "NotRegisteredError" in await handle.wait(timeout=HOUR + MINUTE)


@virtual_time
async def test_what_ended_while_its_orchestration_had_no_owner_is_not_run_again(
    env: VirtualEnvironment, world: World
) -> None:
    grace: dict[str, Any] = {"unregistered_grace_seconds": 2 * DAY}
    async with world.hub(env, front) as hub, hub.worker(back):
        handle = await hub.client.start(limited, {})
        async with doomed(hub, registry=front, **grace):
            await until(lambda: ran)
        await anyio.sleep(DAY + HOUR)
        async with hub.worker(front, **grace):
            assert await handle.wait() == "ended"
        await anyio.sleep(2 * DAY)
    assert ran == ["begun"]


@virtual_time
async def test_orchestrations_are_shared_out_between_workers(
    env: VirtualEnvironment, world: World
) -> None:
    everything = Registry()
    everything.add_orchestrator(doubles)
    everything.add_activity(double)
    async with (
        world.hub(env, everything) as hub,
        hub.worker(instances_max=300, claim_batch=10),
        hub.worker(instances_max=300, claim_batch=10),
    ):
        handles = await hub.client.start_many(doubles, [3] * 100)
        for handle in handles:
            assert await handle.wait() == [0, 2, 4]
    assert len(ran) == 300
