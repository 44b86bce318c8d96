"""Limits of one orchestration: a warning, then it is parked with nothing written, and goes on when it may."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from durable_async import (
    OrchestrationContext,
    OrchestrationFailedError,
    Registry,
    TaskHub,
)
from durable_async.errors import ConfigurationError
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.worker import WorkerSettings

from .hubs import opened

registry = Registry()


@registry.orchestrator
async def diary(ctx: OrchestrationContext, pages: int) -> int:
    for _ in range(pages):
        await ctx.wait_for_external_event("page", str)
    return pages


@registry.orchestrator
async def fan(ctx: OrchestrationContext, width: int) -> int:
    timers = [ctx.create_timer(1.0) for _ in range(width)]
    for timer in timers:
        await timer
    return width


ran: list[int] = []


@registry.activity
async def measure(width: int) -> int:
    ran.append(width)
    return width


@registry.orchestrator
async def measured(ctx: OrchestrationContext, width: int) -> int:
    found = await ctx.call_activity(measure, width)
    for timer in [ctx.create_timer(1.0) for _ in range(found)]:
        await timer
    return found


@registry.orchestrator
async def nest(ctx: OrchestrationContext, levels: int) -> int:
    if levels == 0:
        return 0
    return 1 + await ctx.call_sub_orchestrator(nest, levels - 1)


@registry.orchestrator
async def status(ctx: OrchestrationContext, size: int) -> str:
    ctx.set_custom_status("x" * size)
    return "published"


@registry.orchestrator
async def bites_its_tail(ctx: OrchestrationContext, rounds: int) -> str:
    for _ in range(3):
        await ctx.create_timer(1.0)
    if rounds == 0:
        return "done"
    ctx.continue_as_new(rounds - 1)


async def write(hub: TaskHub, instance_id: str, pages: int, size: int = 1) -> None:
    for _ in range(pages):
        await hub.client.raise_event(instance_id, "page", "x" * size)
        await anyio.sleep(0.1)


async def parked(hub: TaskHub, instance_id: str) -> str:
    state = await hub.client.get(instance_id)
    assert state is not None
    return state.parked or ""


@virtual_time
async def test_a_history_over_the_limit_is_parked_and_goes_on_with_a_higher_one(
    env: VirtualEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "durable_async")
    async with opened(env, registry) as (hub, _):
        async with hub.worker(instance_events_max=20):
            await hub.client.start(diary, 12, instance_id="long")
            neighbour = await hub.client.start(diary, 3, instance_id="short")
            await write(hub, "long", 12)
            await write(hub, "short", 3)
            assert await neighbour.wait(timeout=10) == 3
            reason = await parked(hub, "long")
            assert reason.startswith("LimitExceededError: events in its history: 21 is over the")
            assert "instance_events_max" in reason
            assert len(await hub.client.history("long")) == 19
            assert (await hub.statistics()).parked == 1
        warned = [one for one in caplog.messages if "every replay" in one]
        assert len([one for one in warned if "orchestration long" in one]) == 1
        async with hub.worker(instance_events_max=200):
            assert await hub.client.unpark("long")
            assert await hub.client.wait("long", timeout=10) == 12


@virtual_time
async def test_so_is_one_of_many_bytes(env: VirtualEnvironment) -> None:
    async with opened(env, registry) as (hub, _), hub.worker(instance_bytes_max=10_000):
        await hub.client.start(diary, 12, instance_id="long")
        await write(hub, "long", 12, size=1_000)
        assert "instance_bytes_max" in await parked(hub, "long")


@virtual_time
async def test_one_that_continues_as_new_in_time_never_gets_there(env: VirtualEnvironment) -> None:
    async with opened(env, registry) as (hub, _), hub.worker(instance_events_max=10):
        handle = await hub.client.start(bites_its_tail, 20)
        assert await handle.wait(timeout=1_000) == "done"


@virtual_time
async def test_a_turn_that_asks_for_too_much_is_parked_at_once(env: VirtualEnvironment) -> None:
    async with opened(env, registry) as (hub, _):
        async with hub.worker(turn_calls_max=100):
            assert await (await hub.client.start(fan, 100)).wait(timeout=10) == 100
            await hub.client.start(fan, 101, instance_id="wide")
            await anyio.sleep(0.5)
            reason = await parked(hub, "wide")
            assert "durable calls in one turn: 101 is over the limit of 100" in reason
            assert len(await hub.client.history("wide")) == 1
        async with hub.worker():
            assert await hub.client.unpark("wide")
            assert await hub.client.wait("wide", timeout=10) == 101


@virtual_time
async def test_what_its_activities_returned_is_kept(env: VirtualEnvironment) -> None:
    """Although nobody but the worker knew it, whose turn came to nothing."""
    ran.clear()
    async with opened(env, registry) as (hub, _):
        async with hub.worker(turn_calls_max=100):
            await hub.client.start(measured, 101, instance_id="wide")
            await anyio.sleep(0.5)
            assert "durable calls in one turn" in await parked(hub, "wide")
        async with hub.worker():
            assert await hub.client.unpark("wide")
            assert await hub.client.wait("wide", timeout=10) == 101
    assert ran == [101]


@virtual_time
async def test_sub_orchestrations_may_be_thirty_two_deep(env: VirtualEnvironment) -> None:
    async with opened(env, registry) as (hub, _), hub.worker():
        assert await (await hub.client.start(nest, 32)).wait(timeout=100) == 32
        handle = await hub.client.start(nest, 33)
        with pytest.raises(OrchestrationFailedError, match="33 is over the limit of 32"):
            await handle.wait(timeout=100)


@virtual_time
async def test_a_custom_status_may_have_64_kib(env: VirtualEnvironment) -> None:
    async with opened(env, registry) as (hub, _), hub.worker():
        most = 64 * 1024 - len('""')
        assert await (await hub.client.start(status, most)).wait(timeout=10) == "published"
        handle = await hub.client.start(status, most + 1)
        with pytest.raises(OrchestrationFailedError, match="over the limit of 65,536"):
            await handle.wait(timeout=10)


@pytest.mark.parametrize("name", ["instance_events_max", "instance_bytes_max", "turn_calls_max"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    changes: dict[str, Any] = {name: 0}
    with pytest.raises(ConfigurationError, match=name):
        WorkerSettings(**changes)
