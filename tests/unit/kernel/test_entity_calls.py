"""Calls and signals to entities, as orchestrators make them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable_async import JsonConverter
from durable_async.errors import (
    EncodeError,
    EntityOperationFailedError,
    NonDeterminismError,
    OutsideOrchestrationError,
    RegistrationError,
    ValidationError,
)
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    EntityCallAbandoned,
    EntityCallCompleted,
    EntityCalled,
    EntityCallFailed,
    EntitySignaled,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionResumed,
    ExecutionSuspended,
)
from durable_async.model.identity import EntityId

from .driver import START_US, Driver, commands

A = EntityId("Counter", "a")
B = EntityId("counter", "b")
START = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
SECOND = 1_000_000


class Counter:
    """Stands for a class of entities: only its methods are asked what goes in and comes out."""

    def get(self) -> int:
        raise NotImplementedError

    async def add(self, amount: int, *, times: int = 1) -> tuple[int, int]:
        raise NotImplementedError

    def move(self, at: datetime, by: timedelta = timedelta(0)) -> None:
        raise NotImplementedError

    def spread(self, *amounts: int) -> None:
        raise NotImplementedError


class Greeter:
    def greet(self, name: str = "you") -> str:
        raise NotImplementedError


def answered(driver: Driver, *letters: Any) -> Any:
    """Run the first turn, then one with these letters; return the outcome, which a replay repeats."""
    driver.turn()
    for letter in letters:
        driver.answer(letter)
    outcome = driver.run()
    assert driver.replayed().outcome == outcome or isinstance(outcome, ExecutionFailed)
    return outcome


# -- calls


def test_a_call_by_name_is_recorded_and_gives_the_result() -> None:
    async def orchestrator(ctx: Any) -> Any:
        return await ctx.call_entity(A, "add", 5)

    driver = Driver(orchestrator)
    outcome = answered(driver, EntityCallCompleted(1, b"7"))
    assert outcome == ExecutionCompleted(b"7")
    assert commands(driver.history) == [EntityCalled(1, "@counter@a", "add", b"5")]


def test_a_generator_calls_the_same_way() -> None:
    def orchestrator(ctx: Any) -> Generator[Any, Any, Any]:
        return (yield ctx.call_entity(A, "add", 5))

    driver = Driver(orchestrator)
    assert answered(driver, EntityCallCompleted(1, b"7")) == ExecutionCompleted(b"7")


def test_no_input_by_name_is_no_payload() -> None:
    async def orchestrator(ctx: Any) -> Any:
        ctx.call_entity(A, "get")
        ctx.call_entity(A, "get", None)
        ctx.call_entity(A, "get", 0)

    driver = Driver(orchestrator)
    driver.turn()
    assert [e.input for e in commands(driver.history)] == [None, None, b"0"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("operation", "args", "kwargs", "payload"),
    [
        (Counter.get, (), {}, b"null"),
        (Counter.add, (5,), {}, b'{"amount":5}'),
        (Counter.add, (), {"times": 2, "amount": 5}, b'{"amount":5,"times":2}'),
        (Greeter.greet, ("Ann",), {}, b'"Ann"'),
        (Greeter.greet, (), {}, b'"you"'),
    ],
)
def test_a_methods_arguments_become_one_payload(
    operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], payload: bytes
) -> None:
    async def orchestrator(ctx: Any) -> Any:
        ctx.call_entity(A, operation, *args, **kwargs)
        ctx.signal_entity(A, operation, *args, **kwargs)

    driver = Driver(orchestrator, payloads=JsonConverter())
    driver.turn()
    name = operation.__name__
    assert commands(driver.history) == [
        EntityCalled(1, "@counter@a", name, payload),
        EntitySignaled(2, "@counter@a", name, payload),
    ]


def test_a_result_is_read_as_the_method_is_annotated() -> None:
    async def orchestrator(ctx: Any) -> Any:
        pair = await ctx.call_entity(A, Counter.add, 1)
        number = await ctx.call_entity(A, "get", result_type=float)
        return [type(pair).__name__, type(number).__name__]

    driver = Driver(orchestrator, payloads=JsonConverter())
    outcome = answered(driver, EntityCallCompleted(1, b"[1,2]"), EntityCallCompleted(2, b"3"))
    assert outcome == ExecutionCompleted(b'["tuple","float"]')


def test_a_result_that_does_not_fit_fails_the_call() -> None:
    async def orchestrator(ctx: Any) -> Any:
        await ctx.call_entity(A, Counter.get)

    outcome = answered(
        Driver(orchestrator, payloads=JsonConverter()), EntityCallCompleted(1, b'"x"')
    )
    assert isinstance(outcome, ExecutionFailed)
    assert outcome.failure.error_type == "durable_async.errors.DecodeError"
    assert "operation 'get' result" in outcome.failure.message


def test_a_failed_operation_raises_where_it_was_called() -> None:
    async def orchestrator(ctx: Any) -> Any:
        try:
            await ctx.call_entity(A, "add", "x")
        except EntityOperationFailedError as error:
            return [error.entity_id, error.operation, error.failure.message]

    failure = FailureDetails.of(ValueError("no number"))
    outcome = answered(Driver(orchestrator), EntityCallFailed(1, failure))
    assert outcome == ExecutionCompleted(b'["@counter@a","add","no number"]')


def test_calls_are_made_at_once_and_answered_in_any_order() -> None:
    async def orchestrator(ctx: Any) -> Any:
        return await asyncio.gather(ctx.call_entity(A, "get"), ctx.call_entity(B, "get"))

    driver = Driver(orchestrator)
    outcome = answered(driver, EntityCallCompleted(2, b"2"), EntityCallCompleted(1, b"1"))
    assert outcome == ExecutionCompleted(b"[1,2]")
    assert [e.section for e in commands(driver.history)] == [0, 0]  # type: ignore[union-attr]


def test_a_cancelled_call_is_abandoned_and_its_answer_vanishes() -> None:
    async def orchestrator(ctx: Any) -> Any:
        try:
            async with asyncio.timeout(5):
                await ctx.call_entity(A, "slow")
        except TimeoutError:
            return await ctx.wait_for_external_event("end")

    driver = Driver(orchestrator)
    assert driver.run() is None
    assert EntityCallAbandoned(2) in driver.history
    driver.answer(EntityCallCompleted(2, b"1"))
    driver.answer(EntityCallFailed(2, FailureDetails.of(ValueError())))
    assert driver.turn().events == []
    driver.raise_event("end", 1)
    assert driver.run() == ExecutionCompleted(b"1")
    assert driver.replayed().outcome == driver.live.outcome


def test_an_answer_counts_once() -> None:
    async def orchestrator(ctx: Any) -> Any:
        first = await ctx.call_entity(A, "get")
        await ctx.wait_for_external_event("end")
        return first

    driver = Driver(orchestrator)
    driver.turn()
    driver.answer(EntityCallCompleted(1, b"1"))
    driver.answer(EntityCallCompleted(1, b"2"))
    driver.answer(EntityCallFailed(1, FailureDetails.of(ValueError())))
    assert driver.turn().events[1:] == [EntityCallCompleted(1, b"1")]
    driver.raise_event("end")
    assert driver.run() == ExecutionCompleted(b"1")


def test_answers_wait_until_a_suspension_is_over() -> None:
    async def orchestrator(ctx: Any) -> Any:
        return await ctx.call_entity(A, "get")

    driver = Driver(orchestrator)
    driver.turn()
    driver.live.deliver(1, None, ExecutionSuspended())
    driver.answer(EntityCallCompleted(1, b"1"))
    driver.answer(EntityCallCompleted(1, b"2"))
    driver.turn()
    assert driver.live.outcome is None
    assert driver.history[-1] == EntityCallCompleted(1, b"1")
    driver.live.deliver(2, None, ExecutionResumed())
    assert driver.run() == ExecutionCompleted(b"1")
    assert driver.replayed().outcome == driver.live.outcome


@pytest.mark.parametrize("entity", ["@counter@a", "counter", None, ("counter", "a")])
@pytest.mark.parametrize("verb", ["call_entity", "signal_entity"])
def test_an_entity_is_given_by_its_id(verb: str, entity: Any) -> None:
    async def orchestrator(ctx: Any) -> Any:
        with pytest.raises(ValidationError, match="EntityId"):
            getattr(ctx, verb)(entity, "get")

    driver = Driver(orchestrator)
    assert driver.run() == ExecutionCompleted(b"null")
    assert commands(driver.history) == []


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (Counter().add, ValidationError),  # its object is not the entity
        (Counter, ValidationError),
        (None, ValidationError),
        ("", ValidationError),
        (Counter.spread, RegistrationError),
    ],
)
@pytest.mark.parametrize("verb", ["call_entity", "signal_entity"])
def test_an_operation_is_given_by_its_method_or_its_name(
    verb: str, operation: Any, error: type[Exception]
) -> None:
    async def orchestrator(ctx: Any) -> Any:
        with pytest.raises(error):
            getattr(ctx, verb)(A, operation)

    driver = Driver(orchestrator)
    assert driver.run() == ExecutionCompleted(b"null")
    assert commands(driver.history) == []


def test_what_cannot_be_stored_or_does_not_fit_records_nothing() -> None:
    async def orchestrator(ctx: Any) -> Any:
        with pytest.raises(EncodeError):
            ctx.call_entity(A, "add", object())
        with pytest.raises(EncodeError):
            ctx.signal_entity(A, "add", object())
        with pytest.raises(ValidationError):
            ctx.call_entity(A, Counter.add)
        with pytest.raises(ValidationError):
            ctx.signal_entity(A, Counter.add, 1, 2)
        with pytest.raises(ValidationError, match="one input, by position, and at= does not fit"):
            ctx.call_entity(A, "add", 1, at=3)
        with pytest.raises(ValidationError, match="2 inputs, result_type= does not fit"):
            ctx.signal_entity(A, "add", 1, 2, result_type=int)
        with pytest.raises(ValidationError, match=r"no such argument by name: .*asyncio\.timeout"):
            ctx.call_entity(A, Counter.add, 1, timeout=3)

    driver = Driver(orchestrator, payloads=JsonConverter())
    assert driver.run() == ExecutionCompleted(b"null")
    assert commands(driver.history) == []


def test_a_call_from_outside_of_the_turn_is_refused() -> None:
    kept: list[Any] = []

    async def orchestrator(ctx: Any) -> Any:
        kept.append(ctx)
        await ctx.wait_for_external_event("end")

    driver = Driver(orchestrator)
    driver.turn()
    for make in (kept[0].signal_entity, kept[0].call_entity):
        with pytest.raises(OutsideOrchestrationError):
            make(A, "add")
    assert driver.turn().events == []


# -- signals


def test_a_signal_is_recorded_and_not_waited_for() -> None:
    async def orchestrator(ctx: Any) -> Any:
        return ctx.signal_entity(A, "add", 5)

    driver = Driver(orchestrator)
    assert driver.run() == ExecutionCompleted(b"null")
    assert commands(driver.history) == [EntitySignaled(1, "@counter@a", "add", b"5")]
    assert driver.replayed().outcome == driver.live.outcome


@pytest.mark.parametrize(
    ("due", "due_us"),
    [
        (5, START_US + 5 * SECOND),
        (timedelta(minutes=1), START_US + 60 * SECOND),
        (START + timedelta(seconds=7), START_US + 7 * SECOND),
        ((START + timedelta(seconds=8)).replace(tzinfo=None), START_US + 8 * SECOND),
        (0, 0),
        (-3, 0),
        (START, 0),
    ],
)
def test_a_signal_may_be_for_later(due: Any, due_us: int) -> None:
    async def orchestrator(ctx: Any) -> Any:
        ctx.signal_entity(A, "add", 5, at=due)
        ctx.signal_entity_at(due, A, "add", 5)
        ctx.signal_entity_at(due, A, Counter.add, 5)

    driver = Driver(orchestrator)
    driver.run()
    assert [e.due_us for e in commands(driver.history)] == [due_us] * 3  # type: ignore[union-attr]
    driver.now_us += 3_600 * SECOND
    assert driver.replayed().outcome == driver.live.outcome


def test_a_delay_counts_from_orchestrator_time() -> None:
    async def orchestrator(ctx: Any) -> Any:
        await ctx.create_timer(10)
        ctx.signal_entity(A, "add", at=5)

    driver = Driver(orchestrator)
    driver.run()
    assert EntitySignaled(2, "@counter@a", "add", None, START_US + 15 * SECOND) in driver.history


def test_an_operation_may_have_an_argument_named_at() -> None:
    async def orchestrator(ctx: Any) -> Any:
        ctx.signal_entity(A, Counter.move, at=START)
        ctx.signal_entity_at(5, A, Counter.move, at=START)

    driver = Driver(orchestrator, payloads=JsonConverter())
    driver.run()
    first, second = commands(driver.history)
    assert isinstance(first, EntitySignaled)
    assert isinstance(second, EntitySignaled)
    assert first.input == second.input == b'{"at":"2023-11-14T22:13:20+00:00"}'
    assert (first.due_us, second.due_us) == (0, START_US + 5 * SECOND)


@pytest.mark.parametrize("due", ["soon", 1e12, float("nan")])
def test_a_time_that_is_none_is_refused(due: Any) -> None:
    async def orchestrator(ctx: Any) -> Any:
        with pytest.raises(ValidationError):
            ctx.signal_entity(A, "add", at=due)
        with pytest.raises(ValidationError):
            ctx.signal_entity_at(due, A, Counter.get)

    driver = Driver(orchestrator)
    assert driver.run() == ExecutionCompleted(b"null")
    assert commands(driver.history) == []


# -- replay


@pytest.mark.parametrize(
    "change",
    [
        lambda ctx: ctx.signal_entity(B, "add", 5, at=60),
        lambda ctx: ctx.signal_entity(A, "put", 5, at=60),
        lambda ctx: ctx.signal_entity(A, "add", 6, at=60),
        lambda ctx: ctx.signal_entity(A, "add", None, at=60),
        lambda ctx: ctx.signal_entity(A, "add", 5, at=61),
        lambda ctx: ctx.signal_entity(A, "add", 5),
        lambda ctx: ctx.call_entity(A, "add", 5),
        lambda ctx: None,
    ],
)
def test_another_signal_does_not_replay(change: Callable[[Any], Any]) -> None:
    check_change(lambda ctx: ctx.signal_entity(A, "add", 5, at=60), change)


@pytest.mark.parametrize(
    "change",
    [
        lambda ctx: ctx.call_entity(B, "add", 5),
        lambda ctx: ctx.call_entity(A, "put", 5),
        lambda ctx: ctx.call_entity(A, "add", 6),
        lambda ctx: ctx.call_entity(A, "add", 5).cancel(),
        lambda ctx: None,
    ],
)
def test_another_call_does_not_replay(change: Callable[[Any], Any]) -> None:
    check_change(lambda ctx: ctx.call_entity(A, "add", 5), change)


def check_change(before: Callable[[Any], Any], after: Callable[[Any], Any]) -> None:
    code = [before]

    async def orchestrator(ctx: Any) -> Any:
        code[-1](ctx)
        await ctx.wait_for_external_event("end")

    driver = Driver(orchestrator)
    driver.turn()
    driver.replayed()
    code.append(after)
    with pytest.raises(NonDeterminismError, match="Entity"):
        driver.replayed()


# -- eviction


def test_an_eviction_records_nothing() -> None:
    ended: list[str] = []

    async def orchestrator(ctx: Any) -> Any:
        try:
            await ctx.call_entity(A, "get")
        finally:
            ctx.signal_entity(A, "undo")
            ended.append("signaled")
            await ctx.call_entity(A, "undo")

    driver = Driver(orchestrator)
    driver.turn()
    before = len(driver.history)
    assert driver.live.evict()
    assert ended == ["signaled"]
    assert driver.live._journal.recorded == []
    assert len(driver.history) == before
