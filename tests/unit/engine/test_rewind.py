"""Rewind: what failed is taken out, and corrected code goes on in the midst of where the old code failed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent.parent / "kernel"))

from driver import Driver, commands, made

from durable_async import NonDeterminismError, OrchestrationContext
from durable_async._engine.fold import fold
from durable_async._engine.rewind import rewound
from durable_async._kernel.orchestration import Orchestration
from durable_async.errors import EntityLockLostError, EntityOperationFailedError
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    EntityCallCompleted,
    EntityCalled,
    EntityCallFailed,
    EntityLocked,
    EntityLockRequest,
    EntityLocksRequested,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionRewound,
    ExecutionStarted,
    HistoryEvent,
    ParentLink,
    TurnStarted,
)
from durable_async.model.identity import EntityId
from durable_async.model.status import Status
from durable_async.serialization.events import decode_letter

ACTIVITIES = {"a": lambda value: value + 1, "b": lambda value: value * 10}


async def wrong(ctx: OrchestrationContext, value: int) -> int:
    """Fails between two calls of one turn."""
    first = await ctx.call_activity("a", value)
    ctx.call_activity("b", first)
    return int(first["no such key"])


async def right(ctx: OrchestrationContext, value: int) -> int:
    first = await ctx.call_activity("a", value)
    second = ctx.call_activity("b", first)
    third = ctx.call_activity("b", first + 1)
    return await second + await third


async def right_at_once(ctx: OrchestrationContext, value: int) -> int:
    first: int = await ctx.call_activity("a", value)
    ctx.call_activity("b", first)
    return first


async def other(ctx: OrchestrationContext, value: int) -> int:
    first: int = await ctx.call_activity("a", value)
    ctx.call_activity("a", first)
    return first


def failed() -> list[HistoryEvent]:
    """Return the history of an instance that failed by an error of its own."""
    driver = Driver(wrong, 1, activities=ACTIVITIES)
    assert isinstance(driver.run(), ExecutionFailed)
    return driver.history


def going_on(function: Callable[..., Any]) -> Driver:
    """Return a driver on the rewound history, before its first turn."""
    driver = Driver(function, 1, activities=ACTIVITIES)
    driver.live.evict()
    rewind(driver, failed())
    return driver


def rewind(driver: Driver, failed: list[HistoryEvent]) -> None:
    """Let a driver go on with a history that ended in a failure."""
    history = rewound(failed, execution=1, parent=None, children=frozenset(), reason="fixed")
    assert isinstance(history[0], ExecutionStarted)
    driver.started = history[0]
    driver.history = history
    driver.turns = [list(history)]
    driver.live = driver.fresh()
    driver.live.replay(history)


def run_pending(driver: Driver) -> None:
    """Begin the activities that the history says are under way, as a new owner does."""
    for future in list(driver.live.pending_activities()):
        driver._run_activity(future.seq, future.attempt, future.name, future.input)


def test_corrected_code_goes_on_from_where_it_failed() -> None:
    """What it does anew is recorded with the next turn, and replays."""
    driver = going_on(right)
    begun = [future.seq for future in driver.live.pending_activities()]
    assert begun == [2]
    run_pending(driver)

    outcome = driver.run()

    assert outcome == ExecutionCompleted(b"50")
    kinds = [type(event) for event in driver.history]
    at = kinds.index(ExecutionRewound)
    assert kinds[at + 1] is ActivityScheduled
    again = driver.replayed()
    assert again.outcome == outcome
    again.evict()


def test_corrected_code_may_end_at_once() -> None:
    """Its outcome is recorded, and nothing is scheduled twice."""
    driver = going_on(right_at_once)

    outcome = driver.run()

    assert outcome == ExecutionCompleted(b"2")
    assert driver.replayed().outcome == outcome


def test_the_same_code_fails_again() -> None:
    """A rewind is no cure."""
    driver = going_on(wrong)

    assert isinstance(driver.run(), ExecutionFailed)
    assert isinstance(driver.replayed().outcome, ExecutionFailed)


def test_corrected_code_must_still_fit_what_was_recorded() -> None:
    """Only the end is open."""
    with pytest.raises(NonDeterminismError, match="'b'"):
        going_on(other)


def test_what_corrected_code_did_is_replayed_row_by_row() -> None:
    """The turn after the rewind recorded it in a row of its own."""
    driver = going_on(right)
    run_pending(driver)
    outcome = driver.run()

    again = driver.fresh()
    for turn in driver.turns:
        again.replay(turn)

    assert again.outcome == outcome
    assert again._journal.recorded == []


def test_corrected_code_that_is_changed_again_does_not_replay() -> None:
    """What it did anew is history by now."""
    driver = going_on(right)
    driver.turn()

    again = Driver(right_at_once, 1)
    again.started = driver.started
    fresh = again.fresh()
    fresh.replay(driver.turns[0])
    with pytest.raises(NonDeterminismError, match="ActivityScheduled"):
        fresh.replay(driver.turns[1])


def test_one_that_failed_again_at_once_can_be_rewound_again() -> None:
    """The second correction goes on where the first one did not."""
    driver = going_on(wrong)
    assert isinstance(driver.run(), ExecutionFailed)
    twice = Driver(right, 1, activities=ACTIVITIES)
    rewind(twice, driver.history)
    run_pending(twice)

    assert twice.run() == ExecutionCompleted(b"50")
    assert twice.replayed().outcome == twice.live.outcome


# -- entities

ACCOUNTS = (EntityId("account", "a"), EntityId("account", "b"))
BOTH = tuple(map(str, ACCOUNTS))


def rewound_driver(
    failing: Callable[..., Any], mended: Callable[..., Any], *letters: list[Any]
) -> Driver:
    """Return a driver on the rewound history of one that got these letters, turn by turn, and failed."""
    before = Driver(failing, 1)
    for turn in ([], *letters):
        for letter in turn:
            before.answer(letter)
        before.turn()
    assert isinstance(before.live.outcome, ExecutionFailed)
    driver = Driver(mended, 1)
    rewind(driver, before.history)
    return driver


async def calls(ctx: OrchestrationContext, value: int) -> list[Any]:
    other = ctx.call_entity(ACCOUNTS[1], "get", value)
    return [await ctx.call_entity(ACCOUNTS[0], "add", value), await other]


def test_calls_that_failed_or_were_not_answered_are_made_again() -> None:
    failure = EntityCallFailed(2, FailureDetails.of(ValueError("no")))
    driver = rewound_driver(calls, calls, [failure])
    expected = [
        EntityCalled(1, "@account@b", "get", b"1"),
        EntityCalled(2, "@account@a", "add", b"1"),
    ]
    result = driver.turn()
    assert result.repeated == expected
    assert [type(event) for event in result.events] == [TurnStarted]  # so that it is not made twice
    assert driver.turn().repeated == []
    driver.answer(EntityCallCompleted(2, b"2"))
    driver.answer(EntityCallCompleted(1, b"1"))
    assert driver.run() == ExecutionCompleted(b"[2,1]")


def test_calls_are_made_again_until_that_is_durable_and_not_afterwards() -> None:
    failure = EntityCallFailed(2, FailureDetails.of(ValueError("no")))
    driver = rewound_driver(calls, calls, [failure])
    lost = driver.fresh()
    lost.replay(driver.turns[0])
    assert len(lost.turn(driver.now_us).repeated) == 2
    driver.turn()
    again = driver.fresh()
    for turn in driver.turns:
        again.replay(turn)
    result = again.turn(driver.now_us)
    assert (result.repeated, result.events) == ([], [])


async def answered(ctx: OrchestrationContext, value: int) -> Any:
    first = await ctx.call_entity(ACCOUNTS[0], "add", value)
    return await ctx.call_entity(ACCOUNTS[1], "add", first)


def test_answers_that_came_are_kept() -> None:
    failure = EntityCallFailed(2, FailureDetails.of(ValueError("no")))
    driver = rewound_driver(answered, answered, [EntityCallCompleted(1, b"7")], [failure])
    assert driver.turn().repeated == [EntityCalled(2, "@account@b", "add", b"7")]
    driver.answer(EntityCallCompleted(2, b"8"))
    assert driver.run() == ExecutionCompleted(b"8")


async def fails_waiting(ctx: OrchestrationContext, value: int) -> Any:
    lock = ctx.lock_entities(ACCOUNTS)
    await ctx.call_activity("a", value)
    async with lock:
        return await ctx.call_entity(ACCOUNTS[0], "get")


def test_a_lock_request_that_was_not_granted_is_made_again_to_all() -> None:
    driver = rewound_driver(
        fails_waiting,
        fails_waiting,
        [EntityLocked(1, BOTH[0])],
        [ActivityFailed(2, 1, FailureDetails.of(ValueError()))],
    )
    assert not any(isinstance(event, EntityLocked) for event in driver.history)
    assert driver.turn().repeated == [EntityLocksRequested(1, BOTH)]
    driver.answer(ActivityCompleted(2, b"1"))
    for entity_id in BOTH:
        driver.answer(EntityLocked(1, entity_id))
    driver.turn()
    driver.answer(EntityCallCompleted(3, b"3"))
    assert driver.run() == ExecutionCompleted(b"3")


async def fails_holding(ctx: OrchestrationContext, value: Any) -> Any:
    async with asyncio.timeout(60), ctx.lock_entities(ACCOUNTS):
        return value["no such key"]


async def goes_on_holding(ctx: OrchestrationContext, value: Any) -> Any:
    async with asyncio.timeout(60), ctx.lock_entities(ACCOUNTS):
        try:
            await ctx.call_entity(ACCOUNTS[0], "get")
        except EntityOperationFailedError:
            return "lost"


def test_corrected_code_goes_on_in_a_section_that_it_does_not_hold_any_more() -> None:
    locked = [EntityLocked(2, entity_id) for entity_id in BOTH]
    driver = rewound_driver(fails_holding, goes_on_holding, locked)
    result = driver.turn()
    assert result.repeated == []
    assert commands(result.events) == [EntityCalled(3, "@account@a", "get", None, 2)]
    lost = EntityLockLostError("@account@a", "get")
    driver.answer(EntityCallFailed(3, FailureDetails.of(lost)))
    assert driver.run() == ExecutionCompleted(b'"lost"')
    assert driver.replayed().outcome == driver.live.outcome


def test_a_request_from_before_a_rewind_is_folded_like_a_new_one() -> None:
    driver = rewound_driver(
        fails_waiting, fails_waiting, [ActivityFailed(2, 1, FailureDetails.of(ValueError()))]
    )
    instance = Orchestration("test", 2, driver.started, driver.program)
    made.append(instance)
    instance.replay(driver.turns[0])
    result = instance.turn(driver.now_us)
    commit, _ = fold(instance, result, turn=1, status=Status.RUNNING, now_us=driver.now_us)
    assert [out.instance_id for out in commit.outbox] == [*BOTH]
    request = decode_letter("test", commit.outbox[0].letter)
    assert request == EntityLockRequest(ParentLink("test", 2, 1))
    assert commit.will is not None
    assert commit.will.receivers == BOTH
