"""Rewind: what failed is taken out, and corrected code goes on in the midst of where the old code failed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent.parent / "kernel"))

from driver import Driver

from durable_async import NonDeterminismError, OrchestrationContext
from durable_async._engine.rewind import rewound
from durable_async.model.history import (
    ActivityScheduled,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionRewound,
    ExecutionStarted,
    HistoryEvent,
)

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
    history = rewound(failed(), execution=1, parent=None, children=frozenset(), reason="fixed")
    assert isinstance(history[0], ExecutionStarted)
    driver.started = history[0]
    driver.history = history
    driver.live = driver.fresh()
    driver.live.replay(history)
    return driver


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
