"""Durable timers, and execution at a time that comes with the input."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import anyio
import pytest

from durable_async import OrchestrationContext, when_all
from durable_async.testing import CALM, VirtualEnvironment, virtual_time

from .worlds import DAY, MINUTE, Styles, World, doomed, elapsed, ran, recorded, until_recorded

timers = pytest.mark.pattern("durable timers")
scheduled = pytest.mark.pattern("scheduled execution")

styles = Styles()
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""What the clock shows when virtual time begins."""


@styles.activity
async def note(what: str) -> str:
    ran.append(what)
    return f"did {what}"


@styles.in_async("delayed")
async def delayed(ctx: OrchestrationContext, seconds: float) -> str:
    await ctx.call_activity(note, "before")
    await asyncio.sleep(seconds)
    await ctx.call_activity(note, "after")
    return "Done"


@styles.in_generator("delayed")
def delayed_generator(ctx: OrchestrationContext, seconds: float) -> Generator[Any, Any, str]:
    yield ctx.call_activity(note, "before")
    yield ctx.create_timer(timedelta(seconds=seconds))
    yield ctx.call_activity(note, "after")
    return "Done"


@styles.in_async("clocks")
async def clocks(ctx: OrchestrationContext) -> list[datetime]:
    begun = ctx.now()
    await ctx.create_timer(MINUTE)
    first = ctx.now()
    await ctx.create_timer(begun + timedelta(minutes=5))
    second = ctx.now()
    await ctx.create_timer(begun)  # is past
    return [begun, first, second, ctx.now()]


@styles.in_generator("clocks")
def clocks_generator(ctx: OrchestrationContext) -> Generator[Any, Any, list[datetime]]:
    begun = ctx.now()
    yield ctx.create_timer(MINUTE)
    first = ctx.now()
    yield ctx.create_timer(begun + timedelta(minutes=5))
    second = ctx.now()
    yield ctx.create_timer(begun)
    return [begun, first, second, ctx.now()]


@styles.in_async("parallel")
async def parallel(ctx: OrchestrationContext) -> list[str]:
    order: list[str] = []

    async def after(seconds: float, name: str) -> None:
        await ctx.create_timer(seconds)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for seconds, name in ((3, "c"), (1, "a"), (2, "b")):
            group.create_task(after(seconds, name))
    return order


@styles.in_generator("parallel")
def parallel_generator(ctx: OrchestrationContext) -> Generator[Any, Any, list[str]]:
    order: list[str] = []
    timers = [ctx.create_timer(seconds) for seconds in (3, 1, 2)]
    for timer, name in zip(timers, "cab", strict=True):
        timer.add_done_callback(lambda _, name=name: order.append(name))
    yield when_all(timers)
    return order


@styles.in_async("at")
async def at(ctx: OrchestrationContext, due: datetime) -> str:
    now = ctx.now() if due.utcoffset() is not None else ctx.current_utc_datetime
    if due > now:
        await ctx.create_timer(due - now)
    return await ctx.call_activity(note, "scheduled")


@styles.in_generator("at")
def at_generator(ctx: OrchestrationContext, due: datetime) -> Generator[Any, Any, str]:
    now = ctx.now() if due.utcoffset() is not None else ctx.current_utc_datetime
    if due - now > timedelta(0):
        yield ctx.create_timer(due - now)
    return (yield ctx.call_activity(note, "scheduled"))


@styles.in_async("at_once")
async def at_once(ctx: OrchestrationContext, due: datetime) -> str:
    await ctx.create_timer(due)
    return await ctx.call_activity(note, "scheduled")


@styles.in_generator("at_once")
def at_once_generator(ctx: OrchestrationContext, due: datetime) -> Generator[Any, Any, str]:
    yield ctx.create_timer(due)
    return (yield ctx.call_activity(note, "scheduled"))


@timers
@pytest.mark.parametrize("seconds", [5 * MINUTE, 40 * DAY])
@virtual_time
async def test_a_timer_fires_on_time_and_once(
    env: VirtualEnvironment, world: World, style: str, seconds: float
) -> None:
    async with world.running(env, styles[style], settings=CALM) as hub:
        handle = await hub.client.start("delayed", seconds)
        await anyio.sleep(seconds - 1)
        assert ran == ["before"]
        assert await handle.wait() == "Done"
        assert seconds <= elapsed(env) < seconds + 2
        kinds = await recorded(hub, handle)
    assert kinds.count("TimerCreated") == kinds.count("TimerFired") == 1
    assert ran == ["before", "after"]


@timers
@virtual_time
async def test_a_timer_that_is_overdue_after_a_crash_fires_at_once(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        async with doomed(hub):
            handle = await hub.client.start("delayed", 5 * MINUTE)
            await until_recorded(hub, handle, "TimerCreated")
        await anyio.sleep(DAY)
        async with hub.worker():
            assert await handle.wait() == "Done"
        assert env.monotonic() < DAY + 30
    assert ran == ["before", "after"]


@timers
@virtual_time
async def test_a_timer_keeps_its_time_over_a_crash(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        async with doomed(hub):
            handle = await hub.client.start("delayed", DAY)
            await anyio.sleep(DAY / 2)
        async with hub.worker():
            assert await handle.wait() == "Done"
        assert DAY <= elapsed(env) < DAY + 2


@timers
@virtual_time
async def test_the_clock_of_an_orchestration(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("clocks")
        begun, first, second, last = await hub.client.wait(handle, list[datetime])
        kinds = await recorded(hub, handle)
    assert begun.utcoffset() == timedelta(0)
    assert timedelta(minutes=1) <= first - begun < timedelta(minutes=1, seconds=2)
    assert timedelta(minutes=5) <= second - begun < timedelta(minutes=5, seconds=2)
    assert last == second
    assert kinds.count("TimerCreated") == 2  # what is past is no timer


@timers
@virtual_time
async def test_timers_fire_in_the_order_of_their_times(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        async with doomed(hub):
            handle = await hub.client.start("parallel")
            await until_recorded(hub, handle, "TimerCreated", times=3)
        await anyio.sleep(DAY)  # all are due in one turn
        async with hub.worker():
            assert await hub.client.wait(handle) == ["a", "b", "c"]


ZONES = {
    "naive": None,
    "UTC": UTC,
    "east": timezone(timedelta(hours=9, minutes=30)),
    "west": timezone(-timedelta(hours=5)),
}


@scheduled
@pytest.mark.parametrize("name", ["at", "at_once"])
@pytest.mark.parametrize("zone", ZONES)
@virtual_time
async def test_it_waits_until_the_time_of_its_input(
    env: VirtualEnvironment, world: World, style: str, zone: str, name: str
) -> None:
    tz = ZONES[zone]
    instant = BEGIN + timedelta(days=3, hours=1)
    due = instant.replace(tzinfo=None) if tz is None else instant.astimezone(tz)
    async with world.running(env, styles[style], settings=CALM) as hub:
        handle = await hub.client.start(name, due)
        await anyio.sleep(3 * DAY)
        assert ran == []
        assert await handle.wait() == "did scheduled"
        state = await hub.client.get(handle)
    assert 3 * DAY + 3600 <= elapsed(env) < 3 * DAY + 3602
    assert state is not None
    assert state.input(datetime) == due
    assert state.input(datetime).utcoffset() == due.utcoffset()


@scheduled
@pytest.mark.parametrize("name", ["at", "at_once"])
@pytest.mark.parametrize("zone", ZONES)
@virtual_time
async def test_a_time_that_is_past_makes_no_timer(
    env: VirtualEnvironment, world: World, style: str, zone: str, name: str
) -> None:
    tz = ZONES[zone]
    instant = BEGIN - timedelta(hours=1)
    due = instant.replace(tzinfo=None) if tz is None else instant.astimezone(tz)
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start(name, due)
        assert await handle.wait() == "did scheduled"
        assert "TimerCreated" not in await recorded(hub, handle)
        assert env.monotonic() < 10


@scheduled
@virtual_time
async def test_the_delay_counts_from_the_orchestrations_own_clock(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    due = BEGIN + timedelta(hours=2)
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("at", due)
        async with doomed(hub):
            await until_recorded(hub, handle, "TimerCreated")
        await anyio.sleep(DAY)  # replayed when the wall clock shows another day
        async with hub.worker():
            assert await handle.wait() == "did scheduled"
        assert (await recorded(hub, handle)).count("TimerCreated") == 1


@scheduled
@pytest.mark.parametrize("start_at", [BEGIN + timedelta(hours=6), 6 * 3600.0, timedelta(hours=6)])
@virtual_time
async def test_a_start_can_be_put_off(
    env: VirtualEnvironment, world: World, style: str, start_at: Any
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("delayed", 60.0, start_at=start_at)
        await anyio.sleep(5.9 * 3600)
        state = await handle.get()
        assert state is not None
        assert state.status.value == "pending"
        assert ran == []
        assert await handle.wait() == "Done"
        assert 6 * 3600 + 60 <= elapsed(env) < 6 * 3600 + 65
