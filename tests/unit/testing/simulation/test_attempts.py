"""What the simulation says of attempts of activities: each rule with a record that breaks it."""

from __future__ import annotations

from typing import Any

import pytest

from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityRetried,
    ActivityScheduled,
    ExecutionCompleted,
    HistoryEvent,
    TurnStarted,
)
from durable_async.testing.simulation.stage import Entry
from durable_async.testing.simulation.violations import Violation
from durable_async.testing.simulation.workloads._attempts import check_attempts, objection

TURN = TurnStarted(0)
CALL = ActivityScheduled(1, "work", b"1")
OTHER = ActivityScheduled(2, "work", b"2")
FAILURE = FailureDetails("builtins.ValueError", "no")
TO_BE_RETRIED = ActivityFailed(1, 1, FAILURE, 1_000)
RETRIED = ActivityRetried(1, 2)


@pytest.mark.parametrize(
    ("events", "attempt"),
    [
        ([], 1),
        ([TURN, CALL], 1),
        ([TURN, CALL, OTHER, ActivityCompleted(2, None)], 1),
        ([TURN, CALL, TO_BE_RETRIED, RETRIED], 2),
        ([TURN, CALL, ActivityCompleted(1, None), ExecutionCompleted(None)], 1),
    ],
)
def test_an_attempt_may_begin(events: list[HistoryEvent], attempt: int) -> None:
    assert objection(events, 1, attempt) is None


@pytest.mark.parametrize(
    ("events", "attempt", "words"),
    [
        ([TURN], 1, "before its call was durable"),
        ([TURN, OTHER], 1, "before its call was durable"),
        ([TURN, CALL, ActivityCompleted(1, None)], 1, "although its result was recorded"),
        ([TURN, CALL, ActivityFailed(1, 1, FAILURE)], 1, "although it had failed for good"),
        ([TURN, CALL], 2, "as attempt 2, after 0 decisions"),
        ([TURN, CALL, TO_BE_RETRIED], 2, "as attempt 2, after 0 decisions"),
        ([TURN, CALL, TO_BE_RETRIED, RETRIED], 1, "as attempt 1, after 1 decisions"),
    ],
)
def test_an_attempt_may_not_begin(events: list[HistoryEvent], attempt: int, words: str) -> None:
    assert words in (objection(events, 1, attempt) or "")


def entry(key: str, attempt: int = 1, **facts: Any) -> Entry:
    return Entry(key, attempt, "w1", 0, 0, {"instance": "i", "execution": 1, "what": "a", **facts})


def test_a_list_of_attempts_that_is_right() -> None:
    entries = [entry("k"), entry("k", 2), entry("l", what="b"), entry("m", execution=2)]
    check_attempts(entries, is_calm=True)
    check_attempts([*entries, entry("k", 2), entry("k")], is_calm=False)


@pytest.mark.parametrize(
    ("entries", "is_calm", "invariant", "words"),
    [
        ([entry("k"), entry("l")], False, "I6", "one call has two idempotency keys"),
        ([entry("k"), entry("k", what="b")], False, "I6", "two calls have one idempotency key"),
        ([entry("k"), entry("k", execution=2)], False, "I6", "two calls have one idempotency key"),
        ([entry("k", 2)], False, "I17", "an attempt was left out"),
        ([entry("k"), entry("k", 3)], False, "I17", "an attempt was left out"),
        ([entry("k"), entry("k")], True, "I6", "twice, and nothing had failed"),
    ],
)
def test_a_list_of_attempts_that_is_wrong(
    entries: list[Entry], is_calm: bool, invariant: str, words: str
) -> None:
    with pytest.raises(Violation, match=words) as found:
        check_attempts(entries, is_calm=is_calm)
    assert found.value.invariant == invariant
