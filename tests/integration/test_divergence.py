"""Code that does not fit its history: parked, or failed where a worker says so, and going on with code that fits."""

from __future__ import annotations

from typing import Any

import anyio

from durable_async import Divergence, OrchestrationContext, Registry, Status, TaskHub
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import DAY, World, until_recorded


def deployment(*activities: str) -> Registry:
    """Return a release whose orchestrator runs these activities, and waits for an event after the first."""
    registry = Registry()

    @registry.activity(name="run")
    async def run(name: str) -> str:
        return name

    @registry.orchestrator(name="release")
    async def release(ctx: OrchestrationContext) -> list[str]:
        done: list[str] = []
        for name in activities:
            done.append(await ctx.call_activity(run, name))
            if len(done) == 2:
                await ctx.wait_for_external_event("go")
        return done

    @registry.orchestrator(name="parent")
    async def parent(ctx: OrchestrationContext) -> Any:
        return await ctx.call_sub_orchestrator("release", instance_id="child")

    return registry


async def begun(world: World, env: VirtualEnvironment, name: str) -> str:
    """Return an instance of the first release that waits in its middle."""
    async with world.running(env, deployment("a", "b")) as hub:
        handle = await hub.client.start(name)
        await until_seen(hub, "child" if name == "parent" else handle.instance_id)
        return handle.instance_id


async def until_seen(hub: TaskHub, instance_id: str) -> None:
    """Let time pass until an instance is there and has run two activities."""
    while await hub.client.get(instance_id) is None:
        await anyio.sleep(0.1)
    await until_recorded(hub, instance_id, "ActivityCompleted", times=2)


async def until_parked(hub: TaskHub, instance_id: str) -> str:
    """Let time pass until an instance is parked, and return why."""
    while True:
        state = await hub.client.get(instance_id)
        assert state is not None
        assert state.status is Status.RUNNING
        if state.parked is not None:
            return state.parked
        await anyio.sleep(1)


@virtual_time
async def test_it_is_parked_unless_told_otherwise(env: VirtualEnvironment, world: World) -> None:
    instance_id = await begun(world, env, "release")
    async with world.running(env, deployment("a", "c", "b")) as hub:
        await hub.client.raise_event(instance_id, "go")
        assert "NonDeterminismError" in await until_parked(hub, instance_id)


@virtual_time
async def test_it_fails_where_that_is_asked_for(env: VirtualEnvironment, world: World) -> None:
    instance_id = await begun(world, env, "release")
    async with world.running(env, deployment("a", "c", "b"), divergence=Divergence.FAIL) as hub:
        await hub.client.raise_event(instance_id, "go")
        state = await hub.client.wait_for_end(instance_id, timeout=DAY)
    assert state.status is Status.FAILED
    assert state.failure is not None
    assert state.failure.is_type("NonDeterminismError")
    assert '"b"' in state.failure.message
    assert '"c"' in state.failure.message


@virtual_time
async def test_its_parent_is_told(env: VirtualEnvironment, world: World) -> None:
    instance_id = await begun(world, env, "parent")
    async with world.running(env, deployment("a", "c"), divergence=Divergence.FAIL) as hub:
        await hub.client.raise_event("child", "go")
        state = await hub.client.wait_for_end(instance_id, timeout=DAY)
    assert state.failure is not None
    assert state.failure.root.is_type("NonDeterminismError")


@virtual_time
async def test_a_rewind_with_code_that_fits_lets_it_go_on(
    env: VirtualEnvironment, world: World
) -> None:
    instance_id = await begun(world, env, "release")
    async with world.running(env, deployment("a", "c"), divergence=Divergence.FAIL) as hub:
        await hub.client.raise_event(instance_id, "go")
        await hub.client.wait_for_end(instance_id, timeout=DAY)
    async with world.running(env, deployment("a", "b", "d")) as hub:
        await hub.client.rewind(instance_id)
        await hub.client.raise_event(instance_id, "go")
        assert await hub.client.wait(instance_id, timeout=DAY) == ["a", "b", "d"]
