"""Monitoring: poll until it is over, or until patience is."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import timedelta
from typing import Any, TypedDict

import pytest

from durable_async import OrchestrationContext, OrchestrationFailedError
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import Styles, World, doomed, elapsed, ran, recorded, until_recorded

pytestmark = pytest.mark.pattern("monitoring")

styles = Styles()
POLLS = {
    "good": ["running", "running", "completed"],
    "bad": ["running", "failed"],
    "endless": ["running"] * 10,
    "at once": ["completed"],
}


class Verdict(TypedDict):
    status: str
    attempts: int


@styles.activity
async def check_job_status(job_id: str) -> str:
    ran.append(job_id)
    if job_id == "unknown":
        raise KeyError(job_id)
    return POLLS[job_id][len(ran) - 1]


@styles.in_async("monitor")
async def monitor(ctx: OrchestrationContext, job_id: str) -> Verdict:
    for attempt in range(10):
        status = await ctx.call_activity(check_job_status, job_id)
        if status == "completed":
            return {"status": "success", "attempts": attempt + 1}
        if status == "failed":
            return {"status": "failed", "attempts": attempt + 1}
        await asyncio.sleep(30)
    return {"status": "timeout", "attempts": 10}


@styles.in_generator("monitor")
def monitor_generator(ctx: OrchestrationContext, job_id: str) -> Generator[Any, Any, Verdict]:
    for attempt in range(10):
        status = yield ctx.call_activity(check_job_status, job_id)
        if status == "completed":
            return {"status": "success", "attempts": attempt + 1}
        if status == "failed":
            return {"status": "failed", "attempts": attempt + 1}
        yield ctx.create_timer(timedelta(seconds=30))
    return {"status": "timeout", "attempts": 10}


@pytest.mark.parametrize(
    ("job_id", "status", "attempts", "timers"),
    [
        ("at once", "success", 1, 0),
        ("good", "success", 3, 2),
        ("bad", "failed", 2, 1),
        ("endless", "timeout", 10, 10),
    ],
)
@virtual_time
async def test_a_verdict(
    env: VirtualEnvironment,
    world: World,
    style: str,
    job_id: str,
    status: str,
    attempts: int,
    timers: int,
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("monitor", job_id)
        assert await handle.wait() == {"status": status, "attempts": attempts}
        assert (await recorded(hub, handle)).count("TimerFired") == timers
        assert 30 * timers <= elapsed(env) < 30 * timers + 2
    assert ran == [job_id] * attempts


@virtual_time
async def test_a_poll_that_raises_ends_it(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("monitor", "unknown")
        with pytest.raises(OrchestrationFailedError, match="unknown"):
            await handle.wait()


@virtual_time
async def test_a_crash_between_polls_repeats_none(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("monitor", "good")
        async with doomed(hub):
            await until_recorded(hub, handle, "TimerCreated", times=2)
        async with hub.worker():
            assert await handle.wait() == {"status": "success", "attempts": 3}
    assert ran == ["good"] * 3
