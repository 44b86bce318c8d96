"""Entities as the documented patterns use them: as functions and classes, from orchestrations and clients."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import anyio
import pytest

from durable_async import (
    Entity,
    EntityContext,
    EntityId,
    EntityOperationFailedError,
    OrchestrationContext,
    TaskHub,
    when_all,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import Styles, World

pytestmark = pytest.mark.pattern("entities")

styles = Styles()

FORMS = ("counter", "classcounter", "asynccounter", "patientcounter")
"""One counter, four ways to write it."""


@styles.entity
def counter(ctx: EntityContext, input: int) -> int | None:
    state = ctx.get_state(int, 0)
    if ctx.operation == "add":
        state += input
        ctx.set_state(state)
    elif ctx.operation == "subtract":
        state -= input
        ctx.set_state(state)
    elif ctx.operation == "get":
        return state
    elif ctx.operation == "reset":
        ctx.set_state(0)
    return None


@styles.entity
class ClassCounter(Entity[int]):
    def __init__(self) -> None:
        self.set_state(0)

    def add(self, amount: int) -> None:
        current = self.get_state(int, 0)
        self.set_state(current + amount)

    def subtract(self, amount: int) -> None:
        current = self.get_state(int, 0)
        self.set_state(current - amount)

    def get(self) -> int:
        return self.get_state(int, 0)

    def reset(self) -> None:
        self.set_state(0)


@styles.entity
class AsyncCounter(Entity[int]):
    def initial_state(self) -> int:
        return 0

    async def add(self, amount: int) -> None:
        before = self.state
        await asyncio.sleep(0.01)  # whoever came between would be lost
        self.state = before + amount

    async def subtract(self, amount: int) -> None:
        await self.add(-amount)

    async def get(self) -> int:
        return self.state

    async def reset(self) -> None:
        self.state = 0


@styles.entity
async def patientcounter(ctx: EntityContext, input: int) -> int | None:
    state = ctx.get_state(int, 0)
    await anyio.sleep(0.01)
    if ctx.operation == "get":
        return state
    ctx.set_state(
        {"add": state + (input or 0), "subtract": state - (input or 0)}.get(ctx.operation, 0)
    )
    return None


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# -- orchestrations


@styles.in_async("add_and_get")
async def add_and_get(ctx: OrchestrationContext, form: str) -> str:
    entity = EntityId(form, "my-counter")
    ctx.signal_entity(entity, "add", 5)
    value = await ctx.call_entity(entity, "get")
    return f"Counter value: {value}"


@styles.in_generator("add_and_get")
def add_and_get_in_steps(ctx: OrchestrationContext, form: str) -> Generator[Any, Any, str]:
    entity = EntityId(form, "my-counter")
    ctx.signal_entity(entity, "add", 5)
    value = yield ctx.call_entity(entity, "get")
    return f"Counter value: {value}"


@styles.in_async("all_operations")
async def all_operations(ctx: OrchestrationContext, form: str) -> list[Any]:
    entity = EntityId(form, "my-counter")
    told = [
        await ctx.call_entity(entity, "add", 10),
        await ctx.call_entity(entity, "subtract", 3),
        await ctx.call_entity(entity, "get", result_type=int),
        await ctx.call_entity(entity, "reset"),
    ]
    return [*told, await ctx.call_entity(entity, "get", result_type=int)]


@styles.in_generator("all_operations")
def all_operations_in_steps(ctx: OrchestrationContext, form: str) -> Generator[Any, Any, list[Any]]:
    entity = EntityId(form, "my-counter")
    told = []
    for operation, given in (("add", 10), ("subtract", 3), ("get", None), ("reset", None)):
        told.append((yield ctx.call_entity(entity, operation, given)))
    told.append((yield ctx.call_entity(entity, "get", result_type=int)))
    return told


@styles.in_async("by_method")
async def by_method(ctx: OrchestrationContext, form: str) -> list[int]:
    kind = {"classcounter": ClassCounter, "asynccounter": AsyncCounter}[form]
    entity = kind.entity_id("my-counter")
    ctx.signal_entity(entity, kind.add, 2)
    await ctx.call_entity(entity, kind.add, amount=3)
    return [await ctx.call_entity(entity, kind.get) for _ in range(2)]


@styles.in_generator("by_method")
def by_method_in_steps(ctx: OrchestrationContext, form: str) -> Generator[Any, Any, list[int]]:
    kind = {"classcounter": ClassCounter, "asynccounter": AsyncCounter}[form]
    entity = kind.entity_id("my-counter")
    ctx.signal_entity(entity, kind.add, 2)
    yield ctx.call_entity(entity, kind.add, amount=3)
    first = yield ctx.call_entity(entity, kind.get)
    second = yield ctx.call_entity(entity, kind.get)
    return [first, second]


@styles.in_async("many_counters")
async def many_counters(ctx: OrchestrationContext, form: str) -> int:
    entities = [EntityId(form, str(number)) for number in range(20)]
    await asyncio.gather(*[ctx.call_entity(entity, "add", 3) for entity in entities])
    values = await asyncio.gather(
        *[ctx.call_entity(entity, "get", result_type=int) for entity in entities]
    )
    return sum(values)


@styles.in_generator("many_counters")
def many_counters_in_steps(ctx: OrchestrationContext, form: str) -> Generator[Any, Any, int]:
    entities = [EntityId(form, str(number)) for number in range(20)]
    yield when_all([ctx.call_entity(entity, "add", 3) for entity in entities])
    values = yield when_all(
        [ctx.call_entity(entity, "get", result_type=int) for entity in entities]
    )
    return sum(values)


@styles.in_async("survives")
async def survives(ctx: OrchestrationContext, form: str) -> str:
    try:
        await ctx.call_entity(EntityId(form, "a"), "add", "nonsense")
    except EntityOperationFailedError as error:
        return f"{error.entity_id} {error.operation}: {error.failure.error_type.rpartition('.')[2]}"
    return "no error"


@styles.in_generator("survives")
def survives_in_steps(ctx: OrchestrationContext, form: str) -> Generator[Any, Any, str]:
    try:
        yield ctx.call_entity(EntityId(form, "a"), "add", "nonsense")
    except EntityOperationFailedError as error:
        return f"{error.entity_id} {error.operation}: {error.failure.error_type.rpartition('.')[2]}"
    return "no error"


async def value(hub: TaskHub, form: str, key: str = "my-counter") -> Any:
    return await hub.client.call_entity(EntityId(form, key), "get", result_type=int)


@virtual_time
async def test_a_counter_counts(
    env: VirtualEnvironment, world: World, style: str, form: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("all_operations", form)
        assert await handle.wait() == [None, None, 7, None, 0]


@virtual_time
async def test_a_signal_is_carried_out_before_a_later_call(
    env: VirtualEnvironment, world: World, style: str, form: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        for round_number in range(1, 6):  # cold, then warm, then known to be quick
            handle = await hub.client.start("add_and_get", form)
            assert await handle.wait() == f"Counter value: {5 * round_number}"


@pytest.mark.parametrize("kind", ["classcounter", "asynccounter"])
@virtual_time
async def test_methods_name_operations(
    env: VirtualEnvironment, world: World, style: str, kind: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("by_method", kind)
        assert await handle.wait() == [5, 5]


@virtual_time
async def test_many_entities_are_called_at_once(
    env: VirtualEnvironment, world: World, style: str, form: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("many_counters", form)
        assert await handle.wait() == 60


@virtual_time
async def test_an_orchestration_can_handle_a_failed_operation(
    env: VirtualEnvironment, world: World, style: str, form: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("survives", form)
        assert await handle.wait() == f"@{form}@a add: DecodeError"


# -- clients


@virtual_time
async def test_signals_of_a_client_are_carried_out_once_each(
    env: VirtualEnvironment, world: World, style: str, form: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        entity = EntityId(form.upper(), "my-counter")  # case does not matter
        await hub.client.signal_entity(entity, "add", 10)
        assert await value(hub, form) == 10
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(hub.client.signal_entity, entity, "add", 1)
        assert await value(hub, form) == 110


@virtual_time
async def test_a_client_reads_the_state_without_asking_the_entity(
    env: VirtualEnvironment, world: World, style: str, form: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        entity = EntityId(form, "my-counter")
        assert await hub.client.get_entity(entity) is None
        async with hub.worker():
            await hub.client.call_entity(entity, "add", 4)
        found = await hub.client.get_entity(entity, int)
        assert found is not None
        assert (found.state, found.backlog, found.locked_by) == (4, 0, None)
        await hub.client.signal_entity(entity, "add", 4)
        found = await hub.client.get_entity(entity, int)
        assert found is not None
        assert (found.state, found.backlog) == (4, 1), "no worker has come to it yet"
        async with hub.worker():
            assert await value(hub, form) == 8, "another worker takes what is in the mailbox"


@virtual_time
async def test_the_same_request_is_carried_out_once(
    env: VirtualEnvironment, world: World, style: str, form: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        entity = EntityId(form, "my-counter")
        for _ in range(3):
            await hub.client.signal_entity(entity, "add", 10, request_id="one")
            await hub.client.call_entity(entity, "add", 1, request_id="two")
        assert await value(hub, form) == 11


@virtual_time
async def test_a_class_that_sets_its_state_when_it_is_made_seeds_it_once(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        entity = ClassCounter.entity_id("new")
        assert await hub.client.call_entity(entity, ClassCounter.get) == 0
        for _ in range(2):
            await hub.client.call_entity(entity, ClassCounter.add, 5)
        assert await hub.client.call_entity(entity, ClassCounter.get) == 10
        with pytest.raises(EntityOperationFailedError):
            await hub.client.call_entity(entity, "add")
        found = await hub.client.get_entity(entity, ClassCounter)
        assert found is not None
        assert found.state == 10


@virtual_time
async def test_a_function_has_whatever_operation_it_is_asked_for(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        entity = counter.entity_id("a")
        assert await hub.client.call_entity(entity, "whatever") is None
        await hub.client.call_entity(entity, "add", 3)
        await hub.client.call_entity(entity, "delete")
        found = await hub.client.get_entity(entity)
        assert found is None or not found.has_state
        assert await value(hub, "counter", "a") == 0
