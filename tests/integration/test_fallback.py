"""Work of any name: what stands in for code that is not registered."""

from __future__ import annotations

import functools
from typing import Any

import anyio
import pytest

from durable_async import (
    Activity,
    ActivityOptions,
    EntityContext,
    EntityId,
    EntityOperationFailedError,
    FunctionEntity,
    OrchestrationContext,
    OrchestrationFailedError,
    OrchestrationTerminatedError,
    Orchestrator,
    Registry,
)
from durable_async.registry import EntityDefinition
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import MINUTE, World, elapsed, ran


class NobodyKnowsError(Exception):
    """What fails here what nobody registers."""


class Refusing:
    """Fails whatever nobody registers.

    Attributes:
        asked: What it was asked about.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []

    def orchestrator(self, name: str) -> Orchestrator[Any, Any]:
        async def refuse(ctx: OrchestrationContext, input: Any = None) -> Any:
            raise NobodyKnowsError(f"orchestrator {name}")

        self.asked.append(name)
        return Orchestrator(refuse, name)

    def activity(self, name: str) -> Activity[Any, Any]:
        async def refuse(input: Any = None) -> Any:
            ran.append(name)
            raise NobodyKnowsError(f"activity {name}")

        self.asked.append(name)
        return Activity(refuse, name, ActivityOptions())

    def entity(self, stored_name: str) -> EntityDefinition:
        def refuse(ctx: EntityContext, input: Any = None) -> Any:
            raise NobodyKnowsError(f"entity {stored_name}, operation {ctx.operation}")

        self.asked.append(stored_name)
        return FunctionEntity(refuse, stored_name[1:])


def registry() -> Registry:
    made = Registry(fallback=Refusing())

    @made.orchestrator
    async def calls(ctx: OrchestrationContext, name: str) -> str:
        return str(await ctx.call_activity(name, 1))

    @made.orchestrator
    async def starts(ctx: OrchestrationContext, name: str) -> str:
        return str(await ctx.call_sub_orchestrator(name, 1, version="7"))

    @made.activity
    async def known(number: int) -> int:
        return number + 1

    return made


@virtual_time
async def test_what_nobody_registers_fails_at_once(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry()) as hub:
        cases = {
            ("strange", None): "orchestrator strange",
            ("calls", "odd"): "activity odd",
            ("starts", "weird"): "orchestrator weird",
        }
        for (name, input), message in cases.items():
            handle = await hub.client.start(name, input, version="3")
            with pytest.raises(OrchestrationFailedError, match=message):
                await handle.wait()
        with pytest.raises(EntityOperationFailedError, match="entity @thing, operation push"):
            await hub.client.call_entity(EntityId("thing", "1"), "push", 5)
        assert (await hub.statistics()).queued_activities == 0
        assert elapsed(env) < 2


@virtual_time
async def test_what_is_registered_runs(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry()) as hub:
        handle = await hub.client.start("calls", "known")
        assert await handle.wait() == "2"


@virtual_time
async def test_activities_in_the_queue_are_taken_whatever_their_name(
    env: VirtualEnvironment, world: World
) -> None:
    """They were put there by workers that do not know them, and have no fallback."""
    plain = Registry()
    found = registry().find_orchestrator("calls")
    assert found is not None
    plain.add_orchestrator(found)
    async with world.running(env, plain) as hub:
        handle = await hub.client.start("calls", "odd")
        await anyio.sleep(MINUTE)
        assert ran == []
        async with hub.worker(registry()):
            with pytest.raises(OrchestrationFailedError, match="activity odd"):
                await handle.wait()
    assert ran == ["odd"]


@virtual_time
async def test_what_waited_for_a_worker_that_knows_it_is_terminated_or_fails(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.hub(env, Registry()) as hub:
        for instance_id in ("one", "two"):
            await hub.client.start("strange", instance_id=instance_id)
        await hub.client.terminate("two", "enough")
    async with world.running(env, registry()) as hub:
        with pytest.raises(OrchestrationFailedError, match="orchestrator strange"):
            await hub.client.wait("one")
        with pytest.raises(OrchestrationTerminatedError):
            await hub.client.wait("two")


@virtual_time
async def test_names_and_versions_decide_together(env: VirtualEnvironment, world: World) -> None:
    """Of a version that is not taken here, an unknown name waits, too."""
    fallback = Refusing()
    picky = Registry(fallback=fallback, accepts=lambda name, version: version == "1")
    async with world.running(env, picky) as hub:
        await hub.client.start("strange", version="2", instance_id="other")
        handle = await hub.client.start("strange", version="1")
        with pytest.raises(OrchestrationFailedError, match="orchestrator strange"):
            await handle.wait()
        await anyio.sleep(MINUTE)
        state = await hub.client.get("other")
        assert state is not None
        assert not state.status.is_terminal


@virtual_time
async def test_a_fallback_is_asked_once_for_each_name(
    env: VirtualEnvironment, world: World
) -> None:
    fallback = Refusing()
    made = Registry(fallback=fallback)
    wait = functools.partial(pytest.raises, OrchestrationFailedError)
    async with world.running(env, made) as hub:
        for _ in range(3):
            for name in ("x", "y"):
                handle = await hub.client.start(name)
                with wait(match=f"orchestrator {name}"):
                    await handle.wait()
    assert sorted(fallback.asked) == ["x", "y"]
