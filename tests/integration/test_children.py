"""Sub-orchestrations, in parallel and below each other."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import anyio
import pytest

from durable_async import (
    OrchestrationContext,
    OrchestrationFailedError,
    Registry,
    ReusePolicy,
    Status,
    SubOrchestrationFailedError,
    when_all,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import Styles, World, doomed, ran, recorded, until_recorded

pytestmark = pytest.mark.pattern("sub-orchestrations")

styles = Styles()


@styles.activity
async def activity_a(data: str) -> str:
    if data == "bad":
        raise ValueError("bad data")
    await anyio.sleep(10 - len(data))
    ran.append(f"a {data}")
    return f"<{data}>"


@styles.activity
async def activity_b(data: str) -> str:
    ran.append(f"b {data}")
    return data.upper()


@styles.in_async("child")
async def child(ctx: OrchestrationContext, data: str) -> str:
    result = await ctx.call_activity(activity_a, data)
    return await ctx.call_activity(activity_b, result)


@styles.in_generator("child")
def child_generator(ctx: OrchestrationContext, data: str) -> Generator[Any, Any, str]:
    result = yield ctx.call_activity(activity_a, data)
    return (yield ctx.call_activity(activity_b, result))


@styles.in_async("parent")
async def parent(ctx: OrchestrationContext, items: list[str]) -> list[str]:
    return await asyncio.gather(*(ctx.call_sub_orchestrator(child, item) for item in items))


@styles.in_generator("parent")
def parent_generator(ctx: OrchestrationContext, items: list[str]) -> Generator[Any, Any, list[str]]:
    return (yield when_all([ctx.call_sub_orchestrator(child_generator, item) for item in items]))


@styles.in_async("who")
async def who(ctx: OrchestrationContext) -> list[str | None]:
    return [ctx.instance_id, ctx.parent_instance_id, ctx.version]


@styles.in_generator("who")
def who_generator(ctx: OrchestrationContext) -> Generator[Any, Any, list[str | None]]:
    yield ctx.create_timer(1)
    return [ctx.instance_id, ctx.parent_instance_id, ctx.version]


@styles.in_async("named")
async def named(ctx: OrchestrationContext) -> list[Any]:
    return [
        await ctx.call_sub_orchestrator("who", instance_id="my-child", version="7"),
        await ctx.call_sub_orchestrator("who"),
    ]


@styles.in_generator("named")
def named_generator(ctx: OrchestrationContext) -> Generator[Any, Any, list[Any]]:
    first = yield ctx.call_sub_orchestrator("who", instance_id="my-child", version="7")
    return [first, (yield ctx.call_sub_orchestrator("who"))]


@styles.in_async("careful")
async def careful(ctx: OrchestrationContext, name: str) -> str:
    try:
        return str(await ctx.call_sub_orchestrator(name, "bad", instance_id="child-of-careful"))
    except SubOrchestrationFailedError as error:
        inner = error.failure.cause or error.failure
        return f"{error.failure.error_type} <- {inner.error_type}: {inner.message}"


@styles.in_generator("careful")
def careful_generator(ctx: OrchestrationContext, name: str) -> Generator[Any, Any, str]:
    try:
        return str((yield ctx.call_sub_orchestrator(name, "bad", instance_id="child-of-careful")))
    except SubOrchestrationFailedError as error:
        inner = error.failure.cause or error.failure
        return f"{error.failure.error_type} <- {inner.error_type}: {inner.message}"


@styles.in_async("renewing")
async def renewing(ctx: OrchestrationContext, items: list[str]) -> list[str]:
    return [
        await ctx.call_sub_orchestrator(
            child, item, instance_id="renewed", reuse=ReusePolicy.REPLACE_TERMINAL
        )
        for item in items
    ]


@styles.in_generator("renewing")
def renewing_generator(
    ctx: OrchestrationContext, items: list[str]
) -> Generator[Any, Any, list[str]]:
    options: Any = {"instance_id": "renewed", "reuse": ReusePolicy.REPLACE_TERMINAL}
    results = []
    for item in items:
        result = yield ctx.call_sub_orchestrator("child", item, **options)
        results.append(result)
    return results


@styles.in_async("tree")
async def tree(ctx: OrchestrationContext, depth: int) -> int:
    if depth == 0:
        await ctx.wait_for_external_event("never")
    return await ctx.call_sub_orchestrator("tree", depth - 1, instance_id=f"tree-{depth - 1}") + 1


@styles.in_generator("tree")
def tree_generator(ctx: OrchestrationContext, depth: int) -> Generator[Any, Any, int]:
    if depth == 0:
        yield ctx.wait_for_external_event("never")
    child = ctx.call_sub_orchestrator("tree", depth - 1, instance_id=f"tree-{depth - 1}")
    return (yield child) + 1


@styles.in_async("impatient")
async def impatient(ctx: OrchestrationContext) -> str:
    try:
        async with asyncio.timeout(60):
            await ctx.call_sub_orchestrator("tree", 0, instance_id="slow-child")
    except TimeoutError:
        return "gave up"
    return "done"


@styles.in_generator("impatient")
def impatient_generator(ctx: OrchestrationContext) -> Generator[Any, Any, str]:
    child = ctx.call_sub_orchestrator("tree", 0, instance_id="slow-child")
    yield ctx.create_timer(60)
    child.cancel()
    return "gave up"


async def arrived(ctx: OrchestrationContext, data: str) -> str:
    return f"came {data}"


ITEMS = ["one", "four", "seventeen", "x"]
RESULTS = ["<ONE>", "<FOUR>", "<SEVENTEEN>", "<X>"]


@pytest.mark.parametrize("count", [0, 1, 4])
@virtual_time
async def test_results_come_in_the_order_of_the_items(
    env: VirtualEnvironment, world: World, style: str, count: int
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("parent", ITEMS[:count])
        assert await handle.wait() == RESULTS[:count]
        assert len([state async for state in hub.client.query(parent=handle)]) == count
    if count == 4:
        assert [what for what in ran if what.startswith("a ")] == [
            "a seventeen",
            "a four",
            "a one",
            "a x",
        ]


@virtual_time
async def test_ids_of_children_are_the_same_in_every_run(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("parent", ["x", "y"], instance_id="P")
        await handle.wait()
        ids = [state.instance_id async for state in hub.client.query(parent="P")]
        assert sorted(ids) == ["P:1.1", "P:1.2"]


@virtual_time
async def test_a_child_knows_its_parent_its_id_and_its_version(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("named", instance_id="top", version="3")
        assert await handle.wait() == [["my-child", "top", "7"], ["top:1.2", "top", None]]
        child_state = await hub.client.get("my-child")
        assert child_state is not None
        assert child_state.parent_instance_id == "top"
        assert child_state.version == "7"


@virtual_time
async def test_the_childs_failure_is_kept_inside_the_parents(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("parent", ["bad"])
        with pytest.raises(OrchestrationFailedError) as caught:
            await handle.wait()
    failure = caught.value.failure
    types = []
    cause: Any = failure
    while cause is not None:
        types.append(cause.error_type.rpartition(".")[2])
        cause = cause.cause
    assert types == ["SubOrchestrationFailedError", "ActivityFailedError", "ValueError"]


@virtual_time
async def test_a_parent_may_catch_a_childs_failure(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("careful", "child")
        text = await handle.wait()
    assert text == "durable_async.errors.ActivityFailedError <- builtins.ValueError: bad data"


@virtual_time
async def test_a_child_whose_id_is_taken_fails_in_the_parent(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        await (await hub.client.start("who", instance_id="child-of-careful")).wait()
        handle = await hub.client.start("careful", "child")
        assert "InstanceExistsError" in await handle.wait()


@virtual_time
async def test_a_child_may_begin_anew_under_the_id_of_one_that_has_ended(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("renewing", ITEMS)
        async with doomed(hub):
            await until_recorded(hub, handle, "SubOrchestrationCompleted", times=2)
        async with hub.worker():
            assert await handle.wait() == RESULTS
        state = await hub.client.get("renewed")
        assert state is not None
        assert (state.execution, state.parent_instance_id) == (4, handle.instance_id)


@virtual_time
async def test_a_child_that_has_not_ended_is_not_replaced(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        await hub.client.start("tree", 0, instance_id="renewed")
        await hub.client.wait_for_start("renewed")
        with pytest.raises(OrchestrationFailedError, match="'renewed' has not ended"):
            await (await hub.client.start("renewing", ITEMS)).wait()
        state = await hub.client.get("renewed")
        assert state is not None
        assert (state.status, state.execution) == (Status.RUNNING, 1)


@virtual_time
async def test_a_child_that_no_worker_knows_waits_for_one_that_does(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    """Durable Task fails the parent; here an unknown name waits for a deployment, as at top level."""
    later = Registry()
    later.orchestrator(name="unheard_of")(arrived)
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("careful", "unheard_of")
        await until_recorded(hub, handle, "SubOrchestrationScheduled")
        await anyio.sleep(3600)
        state = await hub.client.get("child-of-careful")
        assert state is not None
        assert state.status is Status.PENDING
        async with hub.worker(later):
            assert await handle.wait(timeout=3600) == "came bad"


@virtual_time
async def test_a_child_that_no_worker_knows_can_be_terminated(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("careful", "unheard_of")
        await until_recorded(hub, handle, "SubOrchestrationScheduled")
        await hub.client.terminate("child-of-careful")
        assert "OrchestrationTerminatedError" in await handle.wait(timeout=3600)


@virtual_time
async def test_termination_reaches_the_whole_tree(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("tree", 3, instance_id="tree-3")
        await until_recorded_start(hub, "tree-0")
        await handle.terminate()
        for depth in range(4):
            state = await hub.client.wait_for_end(f"tree-{depth}")
            assert state.status is Status.TERMINATED


@virtual_time
async def test_termination_of_one_alone_leaves_its_children(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("tree", 2, instance_id="tree-2")
        await until_recorded_start(hub, "tree-0")
        await handle.terminate(recursive=False)
        assert (await hub.client.wait_for_end("tree-2")).status is Status.TERMINATED
        await anyio.sleep(3600)
        for depth in range(2):
            state = await hub.client.get(f"tree-{depth}")
            assert state is not None
            assert state.status is Status.RUNNING


@virtual_time
async def test_a_child_that_was_given_up_is_terminated(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("impatient")
        assert await handle.wait() == "gave up"
        assert (await hub.client.wait_for_end("slow-child")).status is Status.TERMINATED


@virtual_time
async def test_children_go_on_over_a_crash(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("parent", ITEMS)
        async with doomed(hub):
            await until_recorded(hub, handle, "SubOrchestrationCompleted", times=2)
        async with hub.worker():
            assert await handle.wait() == RESULTS
        assert (await recorded(hub, handle)).count("SubOrchestrationScheduled") == 4
    assert sorted(ran) == sorted([f"a {item}" for item in ITEMS] + [f"b <{i}>" for i in ITEMS])


async def until_recorded_start(hub: Any, instance_id: str) -> None:
    with anyio.fail_after(3600):
        while await hub.client.get(instance_id) is None:
            await anyio.sleep(0.01)
    await hub.client.wait_for_start(instance_id)
