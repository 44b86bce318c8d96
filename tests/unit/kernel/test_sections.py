"""Critical sections, as orchestrators see them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from durable_async._kernel.program import drive
from durable_async._kernel.sections import SectionState
from durable_async.errors import (
    EntityLockError,
    EntityLockLostError,
    EntityOperationFailedError,
    NonDeterminismError,
    ValidationError,
)
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityFailed,
    EntityCallAbandoned,
    EntityCallCompleted,
    EntityCalled,
    EntityCallFailed,
    EntityLocked,
    EntityLocksRequested,
    EntitySignaled,
    ExecutionCompleted,
    ExecutionContinuedAsNew,
    ExecutionFailed,
)
from durable_async.model.identity import EntityId

from .driver import Driver, commands
from .locking import (
    BOTH,
    FORMS,
    HOLDING,
    RELEASED,
    REQUESTED,
    A,
    B,
    C,
    locked,
    run_through,
)

# -- how to ask for one


@FORMS
def test_a_section_begins_when_all_are_locked_and_ends_with_the_block(
    orchestrator: Callable[[Any], Any],
) -> None:
    driver = Driver(orchestrator)
    driver.turn()
    assert commands(driver.history) == [REQUESTED]
    driver.answer(EntityLocked(1, BOTH[1]))
    driver.turn()
    assert driver.live.outcome is None
    driver.answer(EntityLocked(1, BOTH[0]))
    result = driver.turn()
    assert result.outcome == ExecutionCompleted(b'"held"')
    assert commands(driver.history) == [REQUESTED, RELEASED]
    assert result.released == {1: BOTH}
    assert driver.replayed().outcome == driver.live.outcome


def test_entities_are_asked_for_in_byte_order() -> None:
    in_order = ["Bc", "a", "ab", "b", "ba", "é", "\uffff", "\U00010000"]

    async def orchestrator(ctx: Any) -> Any:
        ctx.lock_entities([EntityId("x", key) for key in reversed(in_order)])

    driver = Driver(orchestrator)
    driver.turn()
    (request,) = commands(driver.history)
    assert isinstance(request, EntityLocksRequested)
    assert [EntityId.parse(entity_id).key for entity_id in request.entity_ids] == in_order


@pytest.mark.parametrize(
    ("entities", "complaint"),
    [
        ([], "empty"),
        ([A, B, A], "@account@a is in it twice"),
        ([EntityId("ACCOUNT", "a"), A], "twice"),
        (A, "must be a list"),
        ("@account@a", "must be a list"),
        (["@account@a"], "EntityId"),
    ],
)
def test_a_set_that_is_none_is_refused(entities: Any, complaint: str) -> None:
    async def orchestrator(ctx: Any) -> Any:
        with pytest.raises(ValidationError, match=complaint):
            ctx.lock_entities(entities)
        for hold in (0, -1, 1e-9, 1e12, float("inf"), float("nan")):
            with pytest.raises(ValidationError):
                ctx.lock_entities([A], hold=hold)
        with pytest.raises(ValidationError):
            ctx.lock_entities([A], timeout=-1)
        return ctx._journal.section

    driver = Driver(orchestrator)
    assert driver.run() == ExecutionCompleted(b"null")
    assert commands(driver.history) == []


def test_how_long_it_may_be_held_is_recorded() -> None:
    async def orchestrator(ctx: Any) -> Any:
        ctx.lock_entities([A], hold=1.5)

    driver = Driver(orchestrator)
    driver.turn()
    assert commands(driver.history) == [EntityLocksRequested(1, ("@account@a",), 1_500_000)]


@pytest.mark.parametrize(
    "change",
    [
        lambda ctx: ctx.lock_entities([A, C], hold=5),
        lambda ctx: ctx.lock_entities([A], hold=5),
        lambda ctx: ctx.lock_entities([A, B], hold=6),
        lambda ctx: ctx.lock_entities([A, B]),
        lambda ctx: ctx.signal_entity(A, "add"),
    ],
)
def test_another_set_does_not_replay(change: Callable[[Any], Any]) -> None:
    ask: list[Callable[[Any], Any]] = [lambda ctx: ctx.lock_entities([B, A], hold=5)]

    async def orchestrator(ctx: Any) -> Any:
        ask[-1](ctx)
        await ctx.wait_for_external_event("end")

    driver = Driver(orchestrator)
    driver.turn()
    assert driver.replayed()._journal.section is not None
    ask.append(change)
    with pytest.raises(NonDeterminismError, match="EntityLocksRequested"):
        driver.replayed()


# -- rules


def refused(make: Callable[[], Any], complaint: str) -> None:
    with pytest.raises(EntityLockError, match=complaint):
        make()


def test_while_a_request_waits_no_entity_is_called_and_no_other_request_made() -> None:
    async def orchestrator(ctx: Any) -> Any:
        lock = ctx.lock_entities([A, B])
        refused(lambda: ctx.call_entity(A, "get"), "while entities are being locked")
        refused(lambda: ctx.call_entity(C, "get"), "while entities are being locked")
        refused(lambda: ctx.signal_entity(A, "add"), "signaling @account@a")
        refused(lambda: ctx.lock_entities([C]), "while others are locked or being locked")
        ctx.signal_entity(C, "add")
        with await lock:
            pass
        ctx.call_entity(C, "get")

    driver = Driver(orchestrator)
    assert run_through(driver) == ExecutionCompleted(b"null")
    assert commands(driver.history) == [
        REQUESTED,
        EntitySignaled(2, "@account@c", "add", None),
        RELEASED,
        EntityCalled(3, "@account@c", "get", None),
    ]


def test_in_a_section_only_its_entities_are_called_and_only_others_signaled() -> None:
    async def orchestrator(ctx: Any) -> Any:
        async with ctx.lock_entities([A, B]):
            refused(lambda: ctx.call_entity(C, "get"), "has not locked it")
            refused(lambda: ctx.signal_entity(A, "add"), "signaling @account@a")
            refused(lambda: ctx.signal_entity_at(60, B, "add"), "signaling @account@b")
            refused(lambda: ctx.lock_entities([C]), "while others are locked")
            ctx.signal_entity(C, "add")
            ctx.call_entity(A, "get")
            ctx.call_entity(B, "get")

    driver = Driver(orchestrator)
    assert run_through(driver) == ExecutionCompleted(b"null")
    assert commands(driver.history) == [
        REQUESTED,
        EntitySignaled(2, "@account@c", "add", None),
        EntityCalled(3, "@account@a", "get", None, 1),
        EntityCalled(4, "@account@b", "get", None, 1),
        RELEASED,
    ]


def test_an_entity_of_a_section_takes_one_call_at_a_time() -> None:
    async def orchestrator(ctx: Any) -> Any:
        async with ctx.lock_entities([A, B]):
            first = ctx.call_entity(A, "get")
            refused(lambda: ctx.call_entity(A, "get"), "twice at a time")
            other = ctx.call_entity(B, "get")
            values = [await first]
            second = ctx.call_entity(A, "get")
            refused(lambda: ctx.call_entity(B, "get"), "twice at a time")
            return [*values, await other, await second]

    driver = Driver(orchestrator)
    driver.turn()
    locked(driver)
    driver.turn()
    driver.answer(EntityCallCompleted(2, b"1"))
    driver.turn()
    driver.answer(EntityCallCompleted(4, b"2"))
    driver.turn()
    driver.answer(EntityCallCompleted(3, b"3"))
    assert driver.run() == ExecutionCompleted(b"[1,3,2]")
    assert driver.replayed().outcome == driver.live.outcome


def test_a_call_that_failed_or_was_given_up_lets_the_entity_be_called_again() -> None:
    async def orchestrator(ctx: Any) -> Any:
        async with ctx.lock_entities([A, B]):
            with pytest.raises(EntityOperationFailedError):
                await ctx.call_entity(A, "get")
            ctx.call_entity(A, "get").cancel()
            ctx.call_entity(A, "get")

    driver = Driver(orchestrator)
    driver.turn()
    locked(driver)
    driver.turn()
    driver.answer(EntityCallFailed(2, FailureDetails.of(ValueError())))
    assert driver.run() == ExecutionCompleted(b"null")
    assert EntityCallAbandoned(3) in driver.history
    assert driver.replayed().outcome == driver.live.outcome


def test_a_call_from_before_the_section_is_none_of_its_calls() -> None:
    async def orchestrator(ctx: Any) -> Any:
        before = ctx.call_entity(A, "get")
        async with ctx.lock_entities([A, B]):
            inside = ctx.call_entity(A, "get")
            await before
            refused(lambda: ctx.call_entity(A, "get"), "twice at a time")
            return await inside

    driver = Driver(orchestrator)
    driver.turn()
    locked(driver, 2)
    driver.turn()
    driver.answer(EntityCallCompleted(1, b"1"))
    driver.answer(EntityCallCompleted(3, b"3"))
    assert driver.run() == ExecutionCompleted(b"3")
    assert driver.replayed().outcome == driver.live.outcome


def test_activities_timers_events_and_children_are_as_ever_in_a_section() -> None:
    async def orchestrator(ctx: Any) -> Any:
        async with ctx.lock_entities([A, B]):
            ctx.send_event("other", "name")
            await ctx.create_timer(5)
            return [await ctx.call_activity("a", 1), await ctx.call_sub_orchestrator("child", 2)]

    driver = Driver(orchestrator, activities={"a": lambda x: x, "child": lambda x: x})
    assert run_through(driver) == ExecutionCompleted(b"[1,2]")
    assert driver.history[-2] == RELEASED


def test_a_broken_rule_that_nobody_catches_fails_the_orchestration_and_unlocks() -> None:
    async def orchestrator(ctx: Any) -> Any:
        async with ctx.lock_entities([A, B]):
            ctx.call_entity(C, "get")

    driver = Driver(orchestrator)
    driver.turn()
    locked(driver)
    outcome = driver.run()
    assert isinstance(outcome, ExecutionFailed)
    assert outcome.failure.error_type == "durable_async.errors.EntityLockError"
    assert commands(driver.history) == [REQUESTED, RELEASED]
    assert isinstance(driver.replayed().outcome, ExecutionFailed)


def test_a_lost_lock_fails_the_call_and_not_the_section() -> None:
    async def orchestrator(ctx: Any) -> Any:
        async with ctx.lock_entities([A, B], hold=1):
            try:
                await ctx.call_entity(A, "get")
            except EntityOperationFailedError as error:
                return error.failure.is_type("EntityLockLostError")

    driver = Driver(orchestrator)
    driver.turn()
    locked(driver)
    driver.turn()
    lost = EntityLockLostError("@account@a", "get")
    driver.answer(EntityCallFailed(2, FailureDetails.of(lost)))
    assert driver.run() == ExecutionCompleted(b"true")


# -- its end


@FORMS
def test_one_section_follows_another(orchestrator: Callable[[Any], Any]) -> None:
    async def twice(ctx: Any) -> Any:
        for _ in range(2):
            part = orchestrator(ctx)
            await (drive(part) if isinstance(part, Generator) else part)

    driver = Driver(twice)
    driver.turn()
    locked(driver)
    result = driver.turn()
    assert commands(result.events) == [RELEASED, EntityLocksRequested(2, BOTH)]
    locked(driver, 2)
    assert driver.run() == ExecutionCompleted(b"null")
    assert driver.replayed().outcome == driver.live.outcome


def test_it_can_be_released_before_its_block_ends_and_only_once() -> None:
    async def orchestrator(ctx: Any) -> Any:
        async with ctx.lock_entities([A, B]) as section:
            section.release()
            section.release()
            ctx.signal_entity(A, "add")
        section.release()
        return section.state is SectionState.OVER

    driver = Driver(orchestrator)
    assert run_through(driver) == ExecutionCompleted(b"true")
    assert commands(driver.history) == [
        REQUESTED,
        RELEASED,
        EntitySignaled(2, "@account@a", "add", None),
    ]


def test_one_that_is_over_is_not_entered_again() -> None:
    async def orchestrator(ctx: Any) -> Any:
        lock = ctx.lock_entities([A, B])
        async with lock as section, lock:
            with section:
                pass
            assert section.state is SectionState.OVER
        with pytest.raises(EntityLockError, match="is over"):
            async with lock:
                raise AssertionError
        with pytest.raises(EntityLockError, match="is over"):
            with await lock:
                raise AssertionError

    driver = Driver(orchestrator)
    assert run_through(driver) == ExecutionCompleted(b"null")
    assert commands(driver.history) == [REQUESTED, RELEASED]


@HOLDING
def test_an_exception_unlocks(orchestrator: Callable[[Any], Any]) -> None:
    driver = Driver(orchestrator)
    driver.turn()
    locked(driver)
    driver.turn()
    driver.answer(ActivityFailed(3, 1, FailureDetails.of(ValueError())))
    result = driver.turn()
    assert isinstance(result.outcome, ExecutionFailed)
    assert commands(result.events) == [RELEASED]
    assert isinstance(driver.replayed().outcome, ExecutionFailed)


def test_continue_as_new_inside_unlocks() -> None:
    async def orchestrator(ctx: Any) -> Any:
        async with ctx.lock_entities([A, B]):
            ctx.continue_as_new(1)

    driver = Driver(orchestrator)
    driver.turn()
    locked(driver)
    result = driver.turn()
    assert isinstance(result.outcome, ExecutionContinuedAsNew)
    assert commands(driver.history) == [REQUESTED, RELEASED]
    assert result.released == {1: BOTH}


def test_what_the_code_does_not_release_is_left_to_the_will() -> None:
    async def orchestrator(ctx: Any) -> Any:
        await ctx.lock_entities([A, B])

    driver = Driver(orchestrator)
    assert run_through(driver) == ExecutionCompleted(b"null")
    assert commands(driver.history) == [REQUESTED]
