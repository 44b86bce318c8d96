"""Entities that are classes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from tests.integration.worlds import World

from durable_async.testing import VirtualEnvironment, virtual_time
from durabletask.entities import DurableEntity, EntityInstanceId

from .stage import registry_of, staged

A = EntityInstanceId("Counter", "a")
B = EntityInstanceId("counter", "b")


@dataclass
class Step:
    """An input that is a dataclass."""

    amount: int = 1


class Counter(DurableEntity):
    """Begins at nothing, which ``__init__`` says."""

    def __init__(self) -> None:
        self.set_state(0)
        self.seen = self.get_state(int)

    def add(self, amount: int) -> int:
        self.set_state(self.get_state(int, 0) + amount)
        return self.get_state(int, 0)

    def add_or_one(self, amount: int = 1) -> int:
        return self.add(amount)

    def step(self, step: Step) -> int:
        return self.add(step.amount)

    async def add_later(self, amount: int) -> int:
        await asyncio.sleep(60)
        return self.add(amount)

    def get(self) -> int:
        return self.get_state(int, 0)

    def was(self) -> Any:
        return self.seen

    def fail(self, amount: int) -> None:
        self.add(amount)
        self.signal_entity(B, "add", amount)
        raise KeyError("not this time")

    def fail_of_another(self) -> None:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    def forward(self, amount: int) -> None:
        self.signal_entity(B, "add", amount)

    def anything(self, *given: Any, **named: Any) -> Any:
        return [list(given), named]

    def no_json(self) -> Any:
        return object()

    def keep_no_json(self) -> Any:
        try:
            self.set_state(object())
        except TypeError:
            self.set_state("kept")

    def coroutine(self) -> Any:
        return self.add_later(1)

    def _hidden(self) -> str:
        return "found"


class Bare(DurableEntity):
    """Has an ``__init__`` that does not call the base class's, and operations that are no methods."""

    number = 7

    def __init__(self) -> None:
        self.shout = "".upper

    def who(self) -> Any:
        context = self.entity_context
        return [str(context.entity_id), context.orchestration_id, context.operation]

    def delete(self, input: Any = None) -> None:
        """Keep the state."""


REGISTRY = registry_of(counter=Counter, bare=Bare)


@virtual_time
async def test_a_first_state_is_no_later_one(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world, REGISTRY) as stage:
        assert await stage.call(A, "get") == 0
        assert await stage.state(A) == "0"
        assert await stage.call(A, "add", 5) == 5
    async with staged(env, world, REGISTRY) as stage:
        assert await stage.call(A, "was") == 5
        assert await stage.call(A, "add", 5) == 10
        assert await stage.call(A, "get") == 10
        assert await stage.call(B, "was") == 0


@virtual_time
async def test_async_operations_and_others(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world, REGISTRY) as stage:
        for number in range(10):  # some of them in a thread, and some not
            await stage.signal(A, "add_later", 1)
            await stage.signal(A, "add", number)
        assert await stage.call(A, "get") == 10 + 45


@virtual_time
async def test_signals_of_many_at_once(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world, REGISTRY) as stage:
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(stage.signal(EntityInstanceId("COUNTER", "a"), "add", 1))
        assert await stage.call(A, "get") == 100


@virtual_time
async def test_a_failed_operation_did_nothing(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world, REGISTRY) as stage:
        await stage.signal(A, "add", 1)
        await stage.signal(A, "fail", 10)
        await stage.signal(A, "forward", 100)
        failure = await stage.failure(A, "fail", 10)
        assert (failure.error_type, failure.message) == ("builtins.KeyError", "'not this time'")
        assert "raise KeyError" in failure.stack_trace
        assert await stage.call(A, "get") == 1
        assert await stage.call(B, "get") == 100


@virtual_time
async def test_what_caused_a_failure(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory, REGISTRY) as stage:
        failure = await stage.failure(A, "fail_of_another")
        assert failure.error_type == "builtins.ValueError"
        assert failure.cause is not None
        assert failure.cause.error_type == "builtins.KeyError"


@pytest.mark.parametrize(
    ("operation", "given", "expected"),
    [
        ("add_or_one", None, 1),
        ("add_or_one", 3, 3),
        ("step", {"amount": 2}, 2),
        ("anything", None, [[], {}]),
        ("anything", 0, [[0], {}]),
        ("_hidden", None, "found"),
        ("get_state", None, 0),
        ("set_state", 4, None),
    ],
)
@virtual_time
async def test_how_inputs_arrive(
    env: VirtualEnvironment, memory: World, operation: str, given: Any, expected: Any
) -> None:
    async with staged(env, memory, REGISTRY) as stage:
        assert await stage.call(A, operation, given) == expected


@pytest.mark.parametrize(
    ("operation", "given", "error", "message"),
    [
        ("add", None, "TypeError", "unsupported operand"),
        ("get", 1, "TypeError", "positional argument"),
        ("Add", 1, "AttributeError", "'@counter@a' does not have operation 'Add'"),
        ("__init__", None, "AttributeError", "does not have operation '__init__'"),
        ("seen", None, "TypeError", "'seen' is not callable"),
        ("no_json", None, "TypeError", "object"),
        ("coroutine", None, "TypeError", "async def"),
    ],
)
@virtual_time
async def test_what_fails(
    env: VirtualEnvironment, memory: World, operation: str, given: Any, error: str, message: str
) -> None:
    async with staged(env, memory, REGISTRY) as stage:
        await stage.call(A, "add", 1)
        failure = await stage.failure(A, operation, given)
        assert failure.error_type == f"builtins.{error}"
        assert message in failure.message
        assert await stage.call(A, "get") == 1


@virtual_time
async def test_what_cannot_be_written_fails_where_it_is_set(
    env: VirtualEnvironment, memory: World
) -> None:
    async with staged(env, memory, REGISTRY) as stage:
        await stage.call(A, "keep_no_json")
        assert await stage.state(A) == '"kept"'


@virtual_time
async def test_delete(env: VirtualEnvironment, world: World) -> None:
    bare = EntityInstanceId("bare", "a")
    async with staged(env, world, REGISTRY) as stage:
        await stage.call(A, "add", 5)
        await stage.call(A, "delete")
        assert await stage.state(A) is None
        await stage.call(A, "add", 1)
        await stage.call(A, "delete", "whatever")
        assert await stage.state(A) is None
        assert await stage.call(A, "get") == 0
        await stage.call(bare, "set_state", "stays")
        await stage.call(bare, "delete")
        assert await stage.state(bare) == '"stays"'
        await stage.call(EntityInstanceId("bare", "b"), "delete")
        assert await stage.state(EntityInstanceId("bare", "b")) is None


@virtual_time
async def test_a_class_without_calls_to_its_base(env: VirtualEnvironment, memory: World) -> None:
    bare = EntityInstanceId("bare", "a")
    async with staged(env, memory, REGISTRY) as stage:
        assert await stage.call(bare, "who") == ["@bare@a", "@bare@a", "who"]
        assert await stage.call(bare, "shout") == ""
        failure = await stage.failure(bare, "number")
        assert failure.error_type == "builtins.TypeError"


@virtual_time
async def test_constructors_that_cannot_be_called(env: VirtualEnvironment, memory: World) -> None:
    class Needy(DurableEntity):
        def __init__(self, needs: int) -> None:
            """Never runs."""

        def get(self) -> None:
            """Never runs."""

    class Another(DurableEntity):
        def __new__(cls) -> Any:
            return Replacement()

    class Replacement:
        def get(self) -> str:
            return "another"

    class Undoing(DurableEntity):
        def __init__(self) -> None:
            self.set_state(None)

        def put(self, value: Any) -> None:
            self.set_state(value)

    registry = registry_of(needy=Needy, another=Another, undoing=Undoing)
    undoing = EntityInstanceId("undoing", "a")
    async with staged(env, memory, registry) as stage:
        failure = await stage.failure(EntityInstanceId("needy", "a"), "get")
        assert failure.error_type == "builtins.TypeError"
        assert await stage.call(EntityInstanceId("another", "a"), "get") == "another"
        await stage.call(undoing, "put", 1)
        assert await stage.call(undoing, "get_state") == 1
