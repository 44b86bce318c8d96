"""Once more: restart from the beginning, rewind from where it failed, unpark after a correction."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from durable_async import (
    ActivityFailedError,
    InstanceExistsError,
    InvalidTransitionError,
    OrchestrationContext,
    OrchestrationFailedError,
    OrchestrationTerminatedError,
    Registry,
    RetryPolicy,
    Status,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import HOUR, MINUTE, World, ran, recorded, until_recorded

registry = Registry()
broken: set[str] = set()
"""What does not work at the moment."""


@registry.activity
async def step(name: str) -> str:
    ran.append(name)
    if name in broken:
        raise ConnectionError(f"{name} is broken")
    return name.upper()


@registry.orchestrator
async def three_steps(ctx: OrchestrationContext, prefix: str) -> str:
    results = [await ctx.call_activity(step, prefix + name) for name in ("a", "b", "c")]
    return " ".join(results)


@registry.orchestrator
async def side_by_side(ctx: OrchestrationContext) -> str:
    calls = [ctx.call_activity(step, name) for name in ("a", "b", "c")]
    return " ".join(await asyncio.gather(*calls))


@registry.orchestrator
async def retried(ctx: OrchestrationContext) -> str:
    policy = RetryPolicy(max_attempts=3, first_delay=1)
    await ctx.call_activity(step, "a")
    return await ctx.call_activity(step.with_options(retry=policy), "b")


@registry.orchestrator
async def parent(ctx: OrchestrationContext, depth: int) -> str:
    if depth == 0:
        return await ctx.call_sub_orchestrator(three_steps, "", instance_id="leaf")
    good = ctx.call_sub_orchestrator(three_steps, f"{depth}", instance_id=f"good-{depth}")
    below = ctx.call_sub_orchestrator(parent, depth - 1, instance_id=f"level-{depth - 1}")
    return " | ".join([await good, await below])


@registry.orchestrator
async def compensating(ctx: OrchestrationContext) -> str:
    try:
        await ctx.call_activity(step, "a")
    except ActivityFailedError:
        await ctx.call_activity(step, "undo")
    return await ctx.call_activity(step, "b")


@pytest.fixture(autouse=True)
def all_works() -> None:
    broken.clear()


async def state_of(hub: Any, instance: Any) -> Any:
    state = await hub.client.get(instance)
    assert state is not None
    return state


@virtual_time
async def test_restart_under_the_same_id(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        first = await hub.client.start(
            three_steps, "x", instance_id="R", version="3", tags={"t": "1"}
        )
        await first.wait()
        again = await hub.client.restart(first)
        assert again.instance_id == "R"
        assert await again.wait(timeout=MINUTE) == "XA XB XC"
        state = await state_of(hub, "R")
        assert (state.execution, state.version, state.tags) == (2, "3", {"t": "1"})
    assert ran == ["xa", "xb", "xc"] * 2


@virtual_time
async def test_restart_under_another_id(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        first = await hub.client.start(three_steps, "x", instance_id="R")
        await first.terminate()
        await hub.client.wait_for_end(first)
        again = await hub.client.restart("R", instance_id="S")
        assert again.instance_id == "S"
        assert await again.wait(timeout=MINUTE) == "XA XB XC"
        assert (await state_of(hub, "R")).status is Status.TERMINATED
        with pytest.raises(InstanceExistsError):
            await hub.client.restart("R", instance_id="S")


@virtual_time
async def test_a_restart_keeps_the_type_of_its_handle(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        first = await hub.client.start(three_steps, "x")
        await first.wait()
        again = await hub.client.restart(first)
        assert again.result_type is str


@virtual_time
async def test_only_what_has_ended_is_restarted_and_what_failed_rewound(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        put_off = await hub.client.start(three_steps, "x", start_at=HOUR)
        for verb in (hub.client.restart, hub.client.rewind):
            with pytest.raises(InvalidTransitionError, match="pending"):
                await verb(put_off)
        done = await hub.client.start(three_steps, "x")
        await done.wait()
        with pytest.raises(InvalidTransitionError, match="completed, not failed"):
            await hub.client.rewind(done)


@virtual_time
async def test_rewind_does_again_only_what_failed(env: VirtualEnvironment, world: World) -> None:
    broken.add("b")
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(three_steps, "", instance_id="W")
        with pytest.raises(OrchestrationFailedError, match="b is broken"):
            await handle.wait()
        broken.clear()
        await hub.client.rewind(handle, "the network is back")
        assert await handle.wait(timeout=MINUTE) == "A B C"
        assert ran == ["a", "b", "b", "c"]
        state = await state_of(hub, "W")
        assert state.status is Status.COMPLETED
        assert state.failure is None
        kinds = await recorded(hub, handle)
    assert "ExecutionRewound" in kinds
    assert "ExecutionFailed" not in kinds


@virtual_time
async def test_rewind_as_often_as_needed(env: VirtualEnvironment, world: World) -> None:
    broken.update("bc")
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(three_steps, "")
        for repair in ("", "b", "c"):
            if repair:
                broken.discard(repair)
            if broken:
                with pytest.raises(OrchestrationFailedError):
                    await handle.wait(timeout=MINUTE)
                await hub.client.rewind(handle)
        assert await handle.wait(timeout=MINUTE) == "A B C"


@virtual_time
async def test_rewind_of_a_fan_out(env: VirtualEnvironment, world: World) -> None:
    broken.update("ac")
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(side_by_side)
        with pytest.raises(OrchestrationFailedError):
            await handle.wait()
        await anyio.sleep(1)
        broken.clear()
        await hub.client.rewind(handle)
        assert await handle.wait(timeout=MINUTE) == "A B C"
    assert ran.count("b") <= 2


@virtual_time
async def test_rewind_of_an_activity_that_was_tried_again(
    env: VirtualEnvironment, world: World
) -> None:
    broken.add("b")
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(retried)
        with pytest.raises(OrchestrationFailedError):
            await handle.wait()
        assert ran == ["a", "b", "b", "b"]
        broken.clear()
        await hub.client.rewind(handle)
        assert await handle.wait(timeout=MINUTE) == "B"
    assert ran == ["a", "b", "b", "b", "b"]


@virtual_time
async def test_rewind_goes_down_the_tree(env: VirtualEnvironment, world: World) -> None:
    broken.add("b")
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(parent, 2, instance_id="level-2")
        with pytest.raises(OrchestrationFailedError):
            await handle.wait()
        broken.clear()
        await hub.client.rewind(handle)
        assert await handle.wait(timeout=MINUTE) == "2A 2B 2C | 1A 1B 1C | A B C"
        assert (await state_of(hub, "leaf")).parent_instance_id == "level-0"
    assert sorted(ran) == sorted(["1a", "1b", "1c", "2a", "2b", "2c", "a", "b", "b", "c"])


@virtual_time
async def test_a_failure_that_the_code_answered_is_its_past(
    env: VirtualEnvironment, world: World
) -> None:
    broken.update("ab")
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(compensating)
        with pytest.raises(OrchestrationFailedError, match="b is broken"):
            await handle.wait()
        broken.clear()
        await hub.client.rewind(handle)
        assert await handle.wait(timeout=MINUTE) == "B"
    assert ran == ["a", "undo", "b", "b"]


@virtual_time
async def test_rewind_with_corrected_code(env: VirtualEnvironment, world: World) -> None:
    wrong, right = Registry(), Registry()
    for each in (wrong, right):
        each.add_activity(step)

    @wrong.orchestrator(name="report")
    async def report(ctx: OrchestrationContext) -> int:
        return int(await ctx.call_activity(step, "a"))

    @right.orchestrator(name="report")
    async def corrected(ctx: OrchestrationContext) -> int:
        return len(await ctx.call_activity(step, "a"))

    async with world.hub(env, wrong) as hub:
        async with hub.worker(wrong):
            handle = await hub.client.start("report")
            with pytest.raises(OrchestrationFailedError, match="ValueError"):
                await handle.wait()
        await hub.client.rewind(handle)
        async with hub.worker(right):
            assert await handle.wait(timeout=MINUTE) == 1
    assert ran == ["a"]


def changed(style_of_change: str) -> Registry:
    """A deployment of ``three_steps`` that does something else."""
    other = Registry()
    other.add_activity(step)

    @other.orchestrator(name="steps")
    async def steps(ctx: OrchestrationContext) -> str:
        await ctx.call_activity(step, "a")
        if style_of_change == "another":
            await ctx.call_activity(step, "x")
        if style_of_change == "one more":
            await ctx.call_activity(step, "b")
            ctx.call_activity(step, "x")
        if style_of_change == "original":
            await ctx.call_activity(step, "b")
        await ctx.wait_for_external_event("go")
        return await ctx.call_activity(step, "c")

    return other


@pytest.mark.parametrize(
    ("change", "history", "code"),
    [
        ("another", '"b"', '"x"'),
        ("one more", "nothing more", '"x"'),
        ("removed", '"b"', "nothing more"),
    ],
)
@virtual_time
async def test_a_changed_orchestrator_is_parked_and_goes_on_when_it_is_corrected(
    env: VirtualEnvironment, world: World, change: str, history: str, code: str
) -> None:
    original = changed("original")
    async with world.hub(env, original) as hub:
        async with hub.worker(original):
            handle = await hub.client.start("steps", instance_id="P")
            await until_recorded(hub, handle, "ActivityCompleted", times=2)
        async with hub.worker(changed(change)):
            await handle.raise_event("go")
            with anyio.fail_after(HOUR):
                while (await state_of(hub, handle)).parked is None:
                    await anyio.sleep(1)
        state = await state_of(hub, handle)
        assert state.status is Status.RUNNING  # it did not fail
        lines = state.parked.splitlines()
        assert (
            "NonDeterminismError: the code of instance 'P' does not match its history" in lines[0]
        )
        assert lines[1].startswith("  history: ")
        assert history in lines[1]
        assert lines[2].startswith("  code: ")
        assert code in lines[2]
        assert "test_again.py:" in lines[3]
        assert [s.instance_id async for s in hub.client.query(parked=True)] == ["P"]
        assert ran == ["a", "b"]
        async with hub.worker(original):
            await anyio.sleep(HOUR)  # it stays parked until somebody says so
            assert (await state_of(hub, handle)).parked is not None
            assert await hub.client.unpark(handle) is True
            assert await hub.client.unpark(handle) is False
            assert await handle.wait(timeout=MINUTE) == "C"
        assert (await state_of(hub, handle)).parked is None
    assert ran == ["a", "b", "c"]


@virtual_time
async def test_what_is_parked_can_be_terminated(env: VirtualEnvironment, world: World) -> None:
    async with world.hub(env, registry) as hub:
        async with hub.worker(changed("original")):
            handle = await hub.client.start("steps", instance_id="P")
            await until_recorded(hub, handle, "ActivityCompleted", times=2)
        async with hub.worker(changed("removed")):
            with anyio.fail_after(HOUR):
                while (await state_of(hub, handle)).parked is None:
                    await anyio.sleep(1)
            await handle.terminate()
            with pytest.raises(OrchestrationTerminatedError):
                await handle.wait(timeout=HOUR)


@registry.orchestrator
async def fan_out_of_children(ctx: OrchestrationContext, names: list[str]) -> list[str]:
    return await asyncio.gather(
        *(ctx.call_sub_orchestrator(child, name, instance_id=f"child-{name}") for name in names)
    )


@registry.orchestrator
async def child(ctx: OrchestrationContext, name: str) -> str:
    if name == "patient":
        return await ctx.wait_for_external_event("go", str)
    if name == "slow":
        await asyncio.sleep(MINUTE)
    return await ctx.call_activity(step, name)


@virtual_time
async def test_rewind_of_many_children_that_failed(env: VirtualEnvironment, world: World) -> None:
    """Those that failed when their parent had ended already are done again, too."""
    broken.update("abc")
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(fan_out_of_children, ["a", "b", "slow", "c"])
        with pytest.raises(OrchestrationFailedError):
            await handle.wait()
        broken.clear()
        for name in ("a", "b", "slow", "c"):
            await hub.client.wait_for_end(f"child-{name}", timeout=HOUR)
        await hub.client.rewind(handle)
        assert await handle.wait(timeout=MINUTE) == ["A", "B", "SLOW", "C"]
    assert sorted(ran) == ["a", "a", "b", "b", "c", "c", "slow"]


@virtual_time
async def test_rewind_of_a_parent_whose_child_was_rewound_before(
    env: VirtualEnvironment, world: World
) -> None:
    broken.add("a")
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(fan_out_of_children, ["a"])
        with pytest.raises(OrchestrationFailedError):
            await handle.wait()
        broken.clear()
        await hub.client.rewind("child-a")
        assert await hub.client.wait("child-a", str, timeout=MINUTE) == "A"
        await hub.client.rewind(handle)
        assert await handle.wait(timeout=MINUTE) == ["A"]
    assert ran == ["a", "a"]


@virtual_time
async def test_rewind_waits_for_children_that_go_on(env: VirtualEnvironment, world: World) -> None:
    """A rewound parent would not hear of them."""
    broken.add("a")
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(fan_out_of_children, ["a", "patient"])
        with pytest.raises(OrchestrationFailedError):
            await handle.wait()
        broken.clear()
        with pytest.raises(
            InvalidTransitionError, match="'child-patient' still running, not at rest"
        ):
            await hub.client.rewind(handle)
        assert (await state_of(hub, handle)).status is Status.FAILED
        await hub.client.raise_event("child-patient", "go", "went")
        await hub.client.wait_for_end("child-patient", timeout=MINUTE)
        await hub.client.rewind(handle)
        assert await handle.wait(timeout=MINUTE) == ["A", "went"]


@virtual_time
async def test_rewind_tells_of_children_that_are_lost(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        foreign = await hub.client.start(child, "x", instance_id="child-x")
        await foreign.wait()
        for name, ending, reason in (
            ("patient", hub.client.terminate, "was terminated"),
            ("slow", hub.client.purge, "was purged"),
            ("x", hub.client.get, "exists already"),
        ):
            broken.add("a")
            handle = await hub.client.start(fan_out_of_children, ["a", name])
            with pytest.raises(OrchestrationFailedError, match=r"a is broken|exists already"):
                await handle.wait()
            if name == "slow":
                await hub.client.wait_for_end("child-slow", timeout=HOUR)
            await ending(f"child-{name}")
            await hub.client.wait_for_end("child-a", timeout=HOUR)
            if name == "patient":
                await hub.client.wait_for_end("child-patient", timeout=HOUR)
            broken.clear()
            await hub.client.rewind(handle)
            with pytest.raises(OrchestrationFailedError, match=reason):
                await handle.wait(timeout=MINUTE)
            await hub.client.wait_for_end("child-a", timeout=HOUR)
            await hub.client.purge("child-a")
