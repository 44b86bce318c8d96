"""Version-aware orchestrations: new code that old instances do not see."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
from packaging.version import InvalidVersion, parse

from durable_async import OrchestrationContext, Registry
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import ASYNC, Styles, World, doomed, until_recorded

pytestmark = pytest.mark.pattern("version-aware")

styles = Styles()


def compare_version(left: str | None, right: str) -> int:
    """Return -1, 0 or 1: by packaging's rules, and as text where they do not apply."""
    if left is None:
        return -1
    try:
        first, second = parse(left), parse(right)
    except InvalidVersion:
        return (left > right) - (left < right)
    return (first > second) - (first < second)


@styles.activity
async def say_hello(name: str) -> str:
    return f"Hello {name}"


@styles.activity
async def say_goodbye(name: str) -> str:
    return f"Goodbye {name}"


@styles.in_async("versioned")
async def versioned(ctx: OrchestrationContext, name: str) -> dict[str, Any]:
    results = [await ctx.call_activity(say_hello, name)]
    if compare_version(ctx.version, "2.0.0") >= 0:
        results.append(await ctx.call_activity(say_goodbye, name))
    return {"version": ctx.version, "results": results}


@styles.in_generator("versioned")
def versioned_generator(
    ctx: OrchestrationContext, name: str
) -> Generator[Any, Any, dict[str, Any]]:
    results = [(yield ctx.call_activity(say_hello, name))]
    if compare_version(ctx.version, "2.0.0") >= 0:
        results.append((yield ctx.call_activity(say_goodbye, name)))
    return {"version": ctx.version, "results": results}


def old_deployment(style: str) -> Registry:
    """What ran before there was a goodbye; it waits where the new code says it."""
    old = Registry()
    old.add_activity(say_hello)
    if style == ASYNC:

        @old.orchestrator(name="deployed")
        async def before(ctx: OrchestrationContext, name: str) -> list[str]:
            hello = await ctx.call_activity(say_hello, name)
            await ctx.wait_for_external_event("go")
            return [hello]
    else:

        @old.orchestrator(name="deployed")
        def before_generator(
            ctx: OrchestrationContext, name: str
        ) -> Generator[Any, Any, list[str]]:
            hello = yield ctx.call_activity(say_hello, name)
            yield ctx.wait_for_external_event("go")
            return [hello]

    return old


@styles.in_async("deployed")
async def deployed(ctx: OrchestrationContext, name: str) -> list[str]:
    results = [await ctx.call_activity(say_hello, name)]
    if compare_version(ctx.version, "2") >= 0:
        results.append(await ctx.call_activity(say_goodbye, name))
    await ctx.wait_for_external_event("go")
    return results


@styles.in_generator("deployed")
def deployed_generator(ctx: OrchestrationContext, name: str) -> Generator[Any, Any, list[str]]:
    results = [(yield ctx.call_activity(say_hello, name))]
    if compare_version(ctx.version, "2") >= 0:
        results.append((yield ctx.call_activity(say_goodbye, name)))
    yield ctx.wait_for_external_event("go")
    return results


@pytest.mark.parametrize("version", [None, "1.0.0", "1.10", "2.0.0rc1"])
@virtual_time
async def test_old_versions_take_the_old_path(
    env: VirtualEnvironment, world: World, style: str, version: str | None
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("versioned", "Ann", version=version)
        assert await handle.wait() == {"version": version, "results": ["Hello Ann"]}


@pytest.mark.parametrize("version", ["2.0.0", "10.0.0", "v2", "abc"])
@virtual_time
async def test_new_versions_take_the_new_path(
    env: VirtualEnvironment, world: World, style: str, version: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("versioned", "Ann", version=version)
        assert await handle.wait() == {"version": version, "results": ["Hello Ann", "Goodbye Ann"]}
        state = await handle.get()
        assert state is not None
        assert state.version == version


@virtual_time
async def test_an_empty_version_is_no_version(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("versioned", "Ann", version="")
        assert await handle.wait() == {"version": None, "results": ["Hello Ann"]}


@virtual_time
async def test_old_and_new_instances_go_on_side_by_side_after_a_deployment(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, old_deployment(style)) as hub:
        old = await hub.client.start("deployed", "Ann", version="1", instance_id="old")
        async with doomed(hub):
            await until_recorded(hub, old, "ActivityCompleted")
    async with world.running(env, styles[style]) as hub:
        new = await hub.client.start("deployed", "Bob", version="2")
        await hub.client.raise_events([("old", "go", None), (new, "go", None)])
        assert await hub.client.wait("old") == ["Hello Ann"]
        assert await new.wait() == ["Hello Bob", "Goodbye Bob"]


@virtual_time
async def test_a_default_version_of_children_may_change_while_they_go_on(
    env: VirtualEnvironment, world: World
) -> None:
    def release(version: str, default: str | None) -> Registry:
        registry = Registry()

        @registry.orchestrator(name="parent")
        async def parent(ctx: OrchestrationContext) -> list[str | None]:
            children = [
                ctx.call_sub_orchestrator("child", version=version, default_version="0"),
                ctx.call_sub_orchestrator("child", version=None, default_version=default),
                ctx.call_sub_orchestrator("child", default_version=default, instance_id="own"),
            ]
            await ctx.wait_for_external_event("go")
            return list(await asyncio.gather(*children))

        @registry.orchestrator(name="child")
        async def child(ctx: OrchestrationContext) -> str | None:
            return ctx.version

        return registry

    async with world.hub(env, release("1", "2")) as hub:
        handle = await hub.client.start("parent", instance_id="p")
        async with doomed(hub):
            await until_recorded(hub, handle, "SubOrchestrationScheduled", times=3)
    async with world.running(env, release("1", "")) as hub:
        handle = hub.client.handle("p")
        await handle.raise_event("go")
        assert await handle.wait() == ["1", "2", "2"]
