"""Fan-out and fan-in, all at once or in batches: results in the order of the items, whoever finishes first."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from durable_async import OrchestrationContext, OrchestrationFailedError, when_all
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import Styles, World, doomed, ran, recorded, until_recorded

fan_out = pytest.mark.pattern("fan-out/fan-in")
batched = pytest.mark.pattern("batched fan-out")

styles = Styles()
at_work: set[str] = set()
most_at_work: list[int] = []


@dataclass
class Summary:
    work_items: list[str]
    results: list[int]
    total: int


@styles.activity
async def get_work_items(count: int) -> list[str]:
    ran.append("list")
    return [f"work item {number}" for number in range(count)]


@styles.activity
async def process_work_item(item: str) -> int:
    number = int(item.rsplit(" ", 1)[1])
    at_work.add(item)
    most_at_work.append(len(at_work))
    try:
        await anyio.sleep(1 + (number * 7919) % 13)  # they end in another order than they began
    finally:
        at_work.discard(item)
    ran.append(item)
    return number * 10


@styles.activity
async def fragile(number: int) -> int:
    await anyio.sleep(10 - number)
    ran.append(number)
    if number in (3, 6):
        raise ValueError(f"item {number} is broken")
    return number


@styles.activity
async def draw() -> float:
    ran.append("drawn")
    return len(ran) / 7


@styles.in_async("fan_out")
async def fan_out_async(ctx: OrchestrationContext, count: int) -> Summary:
    items = await ctx.call_activity(get_work_items, count)
    results = await asyncio.gather(*(ctx.call_activity(process_work_item, item) for item in items))
    return Summary(items, list(results), sum(results))


@styles.in_generator("fan_out")
def fan_out_generator(ctx: OrchestrationContext, count: int) -> Generator[Any, Any, Summary]:
    items = yield ctx.call_activity(get_work_items, count)
    results = yield when_all([ctx.call_activity(process_work_item, item) for item in items])
    return Summary(items, results, sum(results))


@styles.in_async("batched")
async def batched_async(ctx: OrchestrationContext, count: int) -> dict[str, int]:
    items = await ctx.call_activity(get_work_items, count)
    total = 0
    for first in range(0, len(items), 10):
        batch = items[first : first + 10]
        total += sum(await when_all([ctx.call_activity(process_work_item, item) for item in batch]))
    return {"total": total}


@styles.in_generator("batched")
def batched_generator(ctx: OrchestrationContext, count: int) -> Generator[Any, Any, dict[str, int]]:
    items = yield ctx.call_activity(get_work_items, count)
    total = 0
    for first in range(0, len(items), 10):
        batch = items[first : first + 10]
        total += sum((yield when_all([ctx.call_activity(process_work_item, one) for one in batch])))
    return {"total": total}


@styles.in_async("partly_broken")
async def partly_broken(ctx: OrchestrationContext) -> list[int]:
    return await when_all([ctx.call_activity(fragile, number) for number in range(8)])


@styles.in_generator("partly_broken")
def partly_broken_generator(ctx: OrchestrationContext) -> Generator[Any, Any, list[int]]:
    return (yield when_all([ctx.call_activity(fragile, number) for number in range(8)]))


@styles.in_async("drawing")
async def drawing(ctx: OrchestrationContext) -> list[float]:
    drawn = [await ctx.call_activity(draw), await ctx.call_activity(draw)]
    await ctx.create_timer(60)
    return drawn


@styles.in_generator("drawing")
def drawing_generator(ctx: OrchestrationContext) -> Generator[Any, Any, list[float]]:
    drawn = [(yield ctx.call_activity(draw)), (yield ctx.call_activity(draw))]
    yield ctx.create_timer(60)
    return drawn


@pytest.fixture(autouse=True)
def nobody_at_work() -> None:
    at_work.clear()
    most_at_work.clear()


@fan_out
@pytest.mark.parametrize("count", [0, 1, 2, 10, 300])
@virtual_time
async def test_results_come_in_the_order_of_the_items(
    env: VirtualEnvironment, world: World, style: str, count: int
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("fan_out", count)
        summary = await hub.client.wait(handle, Summary)
    assert summary.work_items == [f"work item {number}" for number in range(count)]
    assert summary.results == [number * 10 for number in range(count)]
    assert summary.total == sum(range(count)) * 10
    assert len(ran) == count + 1
    if count >= 10:
        assert ran[1:] != summary.work_items  # they did end in another order
        assert max(most_at_work) == count


@fan_out
@virtual_time
async def test_all_end_before_the_first_failure_is_raised(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("partly_broken")
        with pytest.raises(OrchestrationFailedError) as caught:
            await handle.wait()
        kinds = await recorded(hub, handle)
    cause = caught.value.failure.cause
    assert cause is not None
    assert cause.message == "item 6 is broken"  # the first that failed, not the first of the list
    assert sorted(ran) == list(range(8))
    assert kinds.count("ActivityCompleted") == 6
    assert kinds.count("ActivityFailed") == 2


@fan_out
@virtual_time
async def test_what_an_activity_returned_is_read_again_and_not_done_again(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("drawing")
        async with doomed(hub):
            await until_recorded(hub, handle, "TimerCreated")
        async with hub.worker():
            assert await hub.client.wait(handle, list[float]) == [1 / 7, 2 / 7]
    assert ran == ["drawn", "drawn"]


@batched
@pytest.mark.parametrize("count", [0, 1, 10, 23])
@virtual_time
async def test_a_batch_begins_when_the_one_before_has_ended(
    env: VirtualEnvironment, world: World, style: str, count: int
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("batched", count)
        assert await hub.client.wait(handle) == {"total": sum(range(count)) * 10}
    assert max(most_at_work, default=0) <= 10
    batches = [ran[1:][first : first + 10] for first in range(0, count, 10)]
    assert [len(batch) for batch in batches] == [10, 10, 3][: len(batches)] or count < 23
    for number, batch in enumerate(batches):
        members = range(number * 10, min(count, number * 10 + 10))
        assert sorted(batch) == sorted(f"work item {member}" for member in members)


@batched
@virtual_time
async def test_a_crash_in_a_batch_repeats_only_what_had_not_ended(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("batched", 23)
        async with doomed(hub):
            await until_recorded(hub, handle, "ActivityCompleted", times=15)
        async with hub.worker():
            assert await hub.client.wait(handle) == {"total": 2530}
    assert sorted(ran) == sorted(["list", *(f"work item {number}" for number in range(23))])
