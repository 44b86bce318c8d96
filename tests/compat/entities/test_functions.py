"""Entities that are functions, and what all entities can do by their context."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone
from typing import Any, TypedDict

import pytest
from tests.integration.worlds import World

from durable_async import OrchestrationContext, RegistrationError, Registry
from durable_async.testing import VirtualEnvironment, virtual_time
from durabletask._runtime.entity_operations import add_entity, unregistered_entity
from durabletask._runtime.failures import to_native as recorded
from durabletask.entities import DurableEntity, EntityContext, EntityInstanceId

from .stage import CONVERTER, registry_of, staged

A, B = EntityInstanceId("box", "a"), EntityInstanceId("box", "b")


@dataclass
class Point:
    x: int
    y: int = 0


class Shape(TypedDict):
    x: int


def box(ctx: EntityContext, input: Any) -> Any:
    """Does what most tests need."""
    match ctx.operation:
        case "set":
            ctx.set_state(input)
        case "clear":
            ctx.set_state(None)
        case "get":
            return ctx.get_state()
        case "get_or":
            return ctx.get_state(None, input)
        case "get_int":
            return ctx.get_state(int)
        case "change_a_copy":
            ctx.get_state().append("lost")
            return ctx.get_state()
        case "who":
            return [str(ctx.entity_id), ctx.orchestration_id, ctx.operation, repr(ctx)]
        case _:
            return _further(ctx, input)


def _further(ctx: EntityContext, input: Any) -> Any:
    match ctx.operation:
        case "point":
            point = ctx.get_state(Point)
            assert isinstance(point, Point)
            return [point.x, point.y]
        case "shape":
            return ctx.get_state(Shape)
        case "list":
            return ctx.get_state(list[int])  # type: ignore[arg-type]
        case "forward":
            ctx.signal_entity(B, "set", input)
        case "in_an_hour":
            naive = ctx.current_utc_datetime
            aware = naive.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=5)))
            ctx.signal_entity(B, "set", "aware", aware + timedelta(hours=1))
            ctx.signal_entity(A, "set", "naive", naive + timedelta(hours=2))
            ctx.signal_entity(B, "set", "past", naive - timedelta(hours=2))
        case "start":
            return ctx.schedule_new_orchestration("told", *input)
    return None


async def slow(ctx: EntityContext, input: Any) -> Any:
    await asyncio.sleep(60)
    return box(ctx, input)


class Callables:
    async def __call__(self, ctx: EntityContext, input: Any) -> Any:
        return await slow(ctx, input)


def typed(ctx: EntityContext, point: Point) -> Any:
    return [type(point).__name__, point.x]


REGISTRY = registry_of(box=box, slow=slow, callables=Callables(), typed=typed)


@pytest.mark.parametrize("state", [0, "", False, [], {}, 0.0, "null"])
@virtual_time
async def test_falsy_states_are_states(env: VirtualEnvironment, memory: World, state: Any) -> None:
    async with staged(env, memory, REGISTRY) as stage:
        assert await stage.call(A, "get_or", "none") == "none"
        await stage.call(A, "set", state)
        assert await stage.call(A, "get_or", "none") == state
        await stage.call(A, "clear")
        assert await stage.call(A, "get_or", "none") == "none"
        assert await stage.state(A) is None


@virtual_time
async def test_states_survive_and_copies_are_copies(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world, REGISTRY) as stage:
        await stage.call(A, "set", [0, "", {"ü": None}])
    async with staged(env, world, REGISTRY) as stage:
        assert await stage.call(A, "change_a_copy") == [0, "", {"ü": None}]
        assert await stage.call(A, "get") == [0, "", {"ü": None}]


@virtual_time
async def test_states_with_a_type(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory, REGISTRY) as stage:
        assert await stage.call(A, "get_int") is None
        await stage.call(A, "set", {"x": 3})
        assert await stage.call(A, "point") == [3, 0]
        assert await stage.call(A, "shape") == {"x": 3}
        failure = await stage.failure(A, "get_int")
        assert failure.error_type == "builtins.TypeError"
        assert failure.message == "the state cannot be read into int"
        await stage.call(A, "set", ["1", 2])
        assert await stage.call(A, "list") in ([1, 2], ["1", 2])
        await stage.call(A, "set", "12")
        assert await stage.call(A, "get_int") == 12


@virtual_time
async def test_an_input_of_an_annotated_type(env: VirtualEnvironment, memory: World) -> None:
    entity = EntityInstanceId("typed", "a")
    async with staged(env, memory, REGISTRY) as stage:
        assert await stage.call(entity, "any", {"x": 1}) == ["Point", 1]


@virtual_time
async def test_annotations_that_are_known_only_around(
    env: VirtualEnvironment, memory: World
) -> None:
    @dataclass
    class Local:
        x: int

    def function(ctx: EntityContext, local: Local) -> str:
        return type(local).__name__

    class Kind(DurableEntity):
        def take(self, local: Local) -> str:
            return type(local).__name__

    registry = registry_of(function=function, kind=Kind)
    async with staged(env, memory, registry) as stage:
        for name in ("function", "kind"):
            assert await stage.call(EntityInstanceId(name, "a"), "take", {"x": 1}) == "Local"


@virtual_time
async def test_functions_that_wait(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world, REGISTRY) as stage:
        for name in ("slow", "callables"):
            entity = EntityInstanceId(name, "a")
            await stage.call(entity, "set", 1)
            assert await stage.call(entity, "get") == 1
            assert await stage.call(entity, "who") == [
                f"@{name}@a",
                f"@{name}@a",
                "who",
                f"<EntityContext @{name}@a 'who'>",
            ]
            await stage.call(entity, "set", [])
            assert (await stage.failure(entity, "get_int")).error_type == "builtins.TypeError"


@virtual_time
async def test_a_function_decides_what_delete_does(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory, REGISTRY) as stage:
        await stage.call(A, "set", 1)
        await stage.call(A, "delete")
        assert await stage.call(A, "get") == 1


@virtual_time
async def test_signals_now_and_later(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world, REGISTRY) as stage:
        await stage.call(A, "forward", "at once")
        assert await stage.call(B, "get") == "at once"
        await stage.call(A, "in_an_hour")
        assert await stage.call(B, "get") == "past"
        await asyncio.sleep(3_500)
        assert await stage.call(B, "get") == "past"
        await asyncio.sleep(200)
        assert (await stage.call(B, "get"), await stage.call(A, "get")) == ("aware", None)
        await asyncio.sleep(3_600)
        assert await stage.call(A, "get") == "naive"


@virtual_time
async def test_orchestrations_are_started(env: VirtualEnvironment, world: World) -> None:
    registry = registry_of(box=box)

    @registry.orchestrator
    async def told(ctx: OrchestrationContext, text: str | None) -> str | None:
        if text == '"waits"':
            await ctx.wait_for_external_event("go on")
        return text

    async with staged(env, world, registry) as stage:
        client = stage.hub.client
        assert await stage.call(A, "start", ["waits", "child"]) == "child"
        await stage.call(A, "start", ["not while it runs", "child"])
        await client.raise_event("child", "go on")
        assert (await client.wait_for_end("child")).output() == '"waits"'
        await stage.call(A, "start", ["again", "child"])
        assert (await client.wait_for_end("child")).output() == '"again"'
        made = await stage.call(A, "start", [])
        assert len(made) == 32
        assert (await client.wait_for_end(made)).output() is None
        failure = await stage.failure(A, "start", ["x", "@not@this"])
        assert failure.error_type.endswith("ValidationError")


@virtual_time
async def test_an_entity_that_nobody_registered(env: VirtualEnvironment, memory: World) -> None:
    class NotRegisteredError(ValueError):
        pass

    registry = Registry()
    registry.add_entity(unregistered_entity("@other", NotRegisteredError, recorded))
    async with staged(env, memory, registry) as stage:
        failure = await stage.failure(EntityInstanceId("other", "a"), "any", 1)
        assert failure.error_type == f"{__name__}.{NotRegisteredError.__qualname__}"
        assert failure.message == "Entity function named 'other' was not registered!"


def test_a_name_is_taken_once() -> None:
    registry = registry_of(box=box)
    with pytest.raises(RegistrationError):
        add_entity(registry, "BOX", slow, CONVERTER, recorded)
    with pytest.raises(ValueError, match="@"):
        add_entity(registry, "b@x", slow, CONVERTER, recorded)
