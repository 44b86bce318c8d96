"""Operations of entities, carried out: methods and functions, arguments, failures, what they send."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable_async import (
    Entity,
    EntityContext,
    EntityId,
    OrchestrationContext,
    OutsideOrchestrationError,
    ValidationError,
    entity_context,
)
from durable_async._kernel.entities import EntitySignal, OrchestrationStart
from durable_async.model.history import EntityOperation, ParentLink

from .entity_world import NOW_US, World, registry

NOW = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
OTHER = EntityId("other", "1")


# -- classes


@registry.entity
class Counter(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def add(self, amount: int) -> int:
        self.state += amount
        return self.state

    def step(self, amount: int = 1) -> int:
        return self.add(amount)

    async def later(self, amount: int) -> int:
        await asyncio.sleep(0)
        return self.add(amount)

    def get(self) -> int:
        return self.state

    def reset(self) -> None:
        self.state = 0

    def pair(self, first: int, second: int = 10, *, third: int = 100) -> list[int]:
        return [first, second, third]

    def maybe(self, amount: int | None) -> str:
        return repr(amount)

    def _hidden(self) -> None:
        raise AssertionError

    @staticmethod
    def helper() -> None:
        raise AssertionError

    @property
    def double(self) -> int:
        return self.state * 2


def test_public_methods_are_operations_and_nothing_else_is() -> None:
    assert World(Counter).failure("nonsense") == (
        "UnknownOperationError: entity @counter@x has no operation 'nonsense'; "
        "it has: add, delete, get, later, maybe, pair, reset, step"
    )
    for name in ("_hidden", "helper", "double", "state", "initial_state", "set_state", "__init__"):
        assert World(Counter).failure(name).startswith("UnknownOperationError")


def test_a_changed_state_is_kept_and_an_initial_state_that_was_looked_at_is_none() -> None:
    world = World(Counter)
    assert world.result("get") == b"0"
    assert world.state is None
    assert world.result("add", b"5") == b"5"
    assert world.result("later", b"2") == b"7"
    assert world.state == b"7"
    assert world.result("reset") == b"null"
    assert world.state == b"0", "a falsy state is a state"


def test_a_state_that_is_set_to_what_it_would_begin_as_is_kept() -> None:
    world = World(Counter)
    world.run("reset")
    assert world.state == b"0"


@pytest.mark.parametrize(
    ("operation", "input", "result"),
    [
        ("step", None, b"1"),
        ("step", b"4", b"4"),
        ("pair", b'{"first":1}', b"[1,10,100]"),
        ("pair", b'{"third":3,"first":1}', b"[1,10,3]"),
        ("get", b"null", b"0"),
        ("maybe", None, b'"None"'),
        ("maybe", b"null", b'"None"'),
    ],
)
def test_input_becomes_arguments(operation: str, input: bytes | None, result: bytes) -> None:
    assert World(Counter).result(operation, input) == result


@pytest.mark.parametrize(
    ("operation", "input", "message"),
    [
        (
            "add",
            b'"x"',
            "DecodeError: operation 'add' of entity 'counter' input at $: Expected `int`",
        ),
        (
            "add",
            None,
            "DecodeError: operation 'add' of entity 'counter' input at $: Expected `int`",
        ),
        (
            "add",
            b"1x",
            "DecodeError: operation 'add' of entity 'counter' input at $: not valid JSON",
        ),
        ("step", b"null", "DecodeError: operation 'step' of entity 'counter' input at $: Expected"),
        ("pair", None, "DecodeError: operation 'pair' of entity 'counter' input at $"),
        ("pair", b"{}", "DecodeError: operation 'pair' of entity 'counter' input at $"),
        ("get", b"1", "TypeError: operation 'get' of entity 'counter' input: it takes none"),
    ],
)
def test_input_that_does_not_fit_fails_the_operation(
    operation: str, input: bytes | None, message: str
) -> None:
    assert World(Counter, b"3").failure(operation, input).startswith(message)


def test_delete_is_there_unless_the_class_has_its_own() -> None:
    world = World(Counter, b"3")
    assert world.result("delete") == b"null"
    assert world.state is None


def test_a_state_that_cannot_be_read_fails_the_operation_and_can_be_deleted() -> None:
    world = World(Counter, b'"text"')
    assert world.failure("get").startswith(
        "DecodeError: entity 'counter' state at $: Expected `int`"
    )
    assert world.state == b'"text"'
    assert world.result("delete") == b"null"


# -- outside of a worker


def test_an_object_of_ones_own_has_a_state_and_no_context() -> None:
    counter = Counter()
    assert [counter.add(2), counter.add(3), counter.get_state(int)] == [2, 5, 5]
    assert Counter().state == 0
    with pytest.raises(
        OutsideOrchestrationError, match="the context of a Counter that no worker made"
    ):
        _ = counter.context
    with pytest.raises(OutsideOrchestrationError, match="outside an entity"):
        entity_context()


# -- functions


@registry.entity
def counter2(ctx: EntityContext, amount: int = 7) -> Any:
    state = ctx.get_state(int, 0)
    match ctx.operation:
        case "add":
            ctx.set_state(state + amount)
        case "get":
            return [state, amount]
        case "forget":
            ctx.delete_state()
        case "fail":
            ctx.set_state(-1)
            ctx.signal_entity(OTHER, "x")
            raise ValueError("no")
        case _:
            pass


@registry.entity
async def slow(ctx: EntityContext, input: int) -> Any:
    await asyncio.sleep(0)
    assert entity_context() is ctx
    if ctx.operation == "delete":
        ctx.set_state("kept")
    return input


@registry.entity
def without_types(ctx, input):  # type: ignore[no-untyped-def]
    return input


@registry.entity
def optional(ctx: EntityContext, input: int | None) -> int | None:
    return input


@registry.entity
def by_name(ctx: EntityContext, *, input: Any) -> Any:
    return input


@registry.entity
def with_default(ctx: EntityContext, input: int = 7) -> int:
    return input


@registry.entity
def bare(ctx: EntityContext) -> str:
    return ctx.operation


def test_a_function_has_every_operation_and_looks_which_it_is() -> None:
    world = World(counter2)
    assert world.result("add", b"5") == b"null"
    assert world.result("get") == b"[5,7]"
    assert world.result("get", b"null") == b"[5,7]", "None is no input"
    assert world.result("unheard of") == b"null"
    assert world.failure("fail") == "ValueError: no"
    assert world.result("forget") == b"null"
    assert world.state is None


def test_delete_deletes_unless_the_function_wrote_the_state() -> None:
    world = World(counter2, b"5")
    world.run("delete")
    assert world.state is None
    kept = World(slow, b"5")
    kept.run("delete")
    assert kept.state == b'"kept"'


@pytest.mark.parametrize("entity", [slow, without_types, optional, by_name])
def test_a_function_gets_none_for_no_input(entity: Any) -> None:
    assert World(entity).result("anything") == b"null"
    assert World(entity).result("anything", b"null") == b"null"


def test_a_functions_default_stands_for_no_input() -> None:
    assert World(with_default).result("anything") == b"7"


def test_a_function_need_not_take_an_input() -> None:
    assert World(bare).result("anything") == b'"anything"'
    assert World(bare).failure("anything", b"1").startswith("TypeError: entity 'bare' input")


# -- what operations send


@registry.entity
class Sender(Entity[int]):
    def send(self) -> str:
        context = self.context
        context.signal_entity(Counter.entity_id("a"), Counter.add, 5)
        context.signal_entity(Counter.entity_id("b"), Counter.pair, 1, third=3)
        context.signal_entity(OTHER, "by name", {"a": 1})
        context.signal_entity(OTHER, "later", at=10)
        context.signal_entity(OTHER, "then", at=NOW + timedelta(hours=1))
        context.signal_entity(OTHER, "past", at=NOW - timedelta(hours=1))
        context.signal_entity_at(timedelta(seconds=2), Counter.entity_id("a"), Counter.get)
        context.signal_entity_at(3, OTHER, "op", 1)
        first = context.start_orchestration("audit")
        second = context.start_orchestration(audit, input=5, instance_id="mine", version="2")
        return f"{first} {second} {context.now().isoformat()} {context.caller}"

    def mistake(self, number: int) -> str:
        context: Any = self.context
        mistakes: list[Callable[[], Any]] = [
            lambda: context.signal_entity("@other@1", "op"),
            lambda: context.signal_entity(OTHER, 5),
            lambda: context.signal_entity(OTHER, ""),
            lambda: context.signal_entity(OTHER, "op", at="soon"),
            lambda: context.start_orchestration("@other"),
            lambda: context.start_orchestration(Counter),
            lambda: context.start_orchestration("x", instance_id="@other@1"),
        ]
        with pytest.raises(ValidationError) as caught:
            mistakes[number]()
        return caught.value.field

    def last_words(self) -> None:
        raise SystemExit(3)


@registry.orchestrator
async def audit(ctx: OrchestrationContext, number: int) -> None: ...


def test_operations_signal_and_start_in_order() -> None:
    begun = World(Sender).begin("send", caller=ParentLink("who called", 1, 2))
    outcome = begun.run()
    assert outcome.failure is None
    assert outcome.result == b'"id1 mine 2023-11-14T22:13:20+00:00 who called"'

    def told(name: str, key: str, operation: str, input: bytes | None, after_us: int = 0) -> Any:
        due_us = NOW_US + after_us if after_us else 0
        letter = EntityOperation(operation, input, due_us=due_us)
        return EntitySignal(f"@{name}@{key}", f"@{name}", letter)

    assert outcome.signals == (
        told("counter", "a", "add", b"5"),
        told("counter", "b", "pair", b'{"first":1,"third":3}'),
        told("other", "1", "by name", b'{"a":1}'),
        told("other", "1", "later", None, 10_000_000),
        told("other", "1", "then", None, 3_600_000_000),
        told("other", "1", "past", None),
        told("counter", "a", "get", b"null", 2_000_000),
        told("other", "1", "op", b"1", 3_000_000),
    )
    assert outcome.starts == (
        OrchestrationStart("id1", "audit", None, None),
        OrchestrationStart("mine", "audit", "2", b"5"),
    )


@pytest.mark.parametrize(
    ("number", "field"),
    list(
        enumerate(
            [
                "entity",
                "operation",
                "operation",
                "due",
                "orchestrator",
                "orchestrator",
                "instance_id",
            ]
        )
    ),
)
def test_arguments_are_checked_where_they_are_given(number: int, field: str) -> None:
    assert World(Sender).result("mistake", b"%d" % number) == b'"%b"' % field.encode()


@registry.entity
class Reluctant(Entity[int]):
    def delete(self) -> str:
        return "not now"


def test_a_delete_of_ones_own_deletes_what_it_wants() -> None:
    world = World(Reluctant, b"3")
    assert world.result("delete") == b'"not now"'
    assert world.state == b"3"


def test_whatever_the_code_raises_is_the_operations_failure() -> None:
    assert World(Sender).failure("last_words") == "SystemExit: 3"


# -- cancellation


@registry.entity
class Waiting(Entity[int]):
    async def wait(self) -> None:
        self.set_state(1)
        await asyncio.sleep(3_600)

    async def lose_patience(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future


def test_an_operation_that_awaits_what_was_cancelled_fails() -> None:
    assert World(Waiting).failure("lose_patience").startswith("CancelledError")


async def test_an_operation_that_is_cancelled_has_no_outcome() -> None:
    task = asyncio.create_task(World(Waiting).begin("wait").run_async())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
