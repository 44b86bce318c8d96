"""Turns that are taken one after the other see one time, which is read again before anything could wait for it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from durable_async import OrchestrationContext, Registry, TaskHub
from durable_async.testing import VirtualEnvironment, virtual_time

from .hubs import UnreliableBackend

registry = Registry()


@registry.activity
async def noop() -> None:
    pass


@registry.orchestrator
async def clocks(ctx: OrchestrationContext, naps: int) -> list[datetime]:
    seen = [ctx.now()]
    for _ in range(naps):
        await ctx.call_activity(noop)
        seen.append(ctx.now())
    return seen


@registry.orchestrator
async def nap(ctx: OrchestrationContext, seconds: float) -> datetime:
    await asyncio.sleep(seconds)
    return ctx.now()


class Ticking(UnreliableBackend):
    """A store whose clock moves by a second whenever somebody looks at it."""

    looks = 0

    def now_us(self) -> int:
        self.looks += 1
        return super().now_us() + self.looks * 1_000_000


async def hub_on(env: VirtualEnvironment) -> tuple[TaskHub, Ticking]:
    backend = Ticking(environment=env)
    await backend.open()
    return TaskHub(backend, registry=registry, environment=env), backend


@virtual_time
async def test_turns_of_one_slice_see_one_time_and_later_ones_a_later_time(
    env: VirtualEnvironment,
) -> None:
    hub, backend = await hub_on(env)
    handles = await hub.client.start_many(clocks, [3] * 20)
    async with hub.worker():
        seen = [await handle.wait(timeout=60) for handle in handles]
    first, *others = seen
    assert all(other == first for other in others)
    assert sorted(set(first)) == first
    hub.client.close()
    await backend.close()


@virtual_time
async def test_what_is_due_by_the_end_of_a_turn_is_so_for_the_next_one(
    env: VirtualEnvironment,
) -> None:
    """Otherwise it would be given turns in which it finds nothing due, as long as the slice lasts."""
    hub, backend = await hub_on(env)
    handles = await hub.client.start_many(nap, [float(number) for number in range(20)])
    begun = super(Ticking, backend).now_us()
    async with hub.worker():
        for number, handle in enumerate(handles):
            woken = await handle.wait(timeout=600)
            epoch = datetime.fromtimestamp(begun / 1e6, tz=woken.tzinfo)
            assert woken - epoch >= timedelta(seconds=number)
    hub.client.close()
    await backend.close()
