"""I3, I6, I9 and I13, as one history tells them."""

from __future__ import annotations

from typing import Any

import pytest

from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityCancelRequested,
    ActivityCompleted,
    ActivityFailed,
    ActivityRetried,
    ActivityScheduled,
    EntityLocksRequested,
    ExecutionCompleted,
    ExecutionStarted,
    HistoryEvent,
    SubOrchestrationCompleted,
    TimerCreated,
    TimerFired,
    TurnStarted,
)
from durable_async.model.records import HistoryRow, TurnCommit
from durable_async.serialization.events import encode_events
from durable_async.testing.simulation.invariants.executions import Execution
from durable_async.testing.simulation.violations import Violation

FAILURE = FailureDetails("builtins.ValueError", "no")
CALL = ActivityScheduled(1, "work", b"[]")
TIMER = TimerCreated(1, 500)


def play(*events: HistoryEvent, now_us: int = 1_000) -> Execution:
    """Let one turn of these events follow the start."""
    started = ExecutionStarted("chain", None, None)
    execution = Execution("i", 1, HistoryRow(turn=0, events=encode_events([started])))
    turn = TurnCommit(instance_id="i", execution=1, turn=1, events=encode_events(list(events)))
    execution.extend(turn, now_us)
    return execution


def test_what_is_as_it_should_be() -> None:
    execution = play(
        TurnStarted(100),
        CALL,
        ActivityFailed(1, 1, FAILURE, 300),
        TurnStarted(300),
        ActivityRetried(1, 2),
        ActivityCompleted(1, b"1"),
        TimerCreated(2, 600),
        TurnStarted(700),
        TimerFired(2),
        TimerCreated(3, 9_000),
    )
    assert list(execution.pending) == [3]


WRONG: list[tuple[str, str, list[Any]]] = [
    ("I6", "begun twice", [CALL, CALL]),
    ("I6", "ended twice", [CALL, ActivityCompleted(1, b""), ActivityCompleted(1, b"")]),
    ("I6", "given up", [CALL, ActivityCancelRequested(1), ActivityCompleted(1, b"")]),
    ("I6", "never begun", [ActivityCompleted(1, b"")]),
    ("I6", "what is given up was never begun", [ActivityCancelRequested(1)]),
    ("I6", "the answer to", [CALL, SubOrchestrationCompleted(1, b"")]),
    ("I6", "had not failed", [CALL, ActivityRetried(1, 2)]),
    ("I6", "another attempt", [CALL, ActivityFailed(1, 2, FAILURE, None)]),
    ("I13", "fired before 500", [TIMER, TimerFired(1)]),
    ("I13", "tried again before", [CALL, ActivityFailed(1, 1, FAILURE, 300), ActivityRetried(1, 2)]),
    ("I13", "due before the failure", [CALL, ActivityFailed(1, 1, FAILURE, 3)]),
    ("I13", "time goes back", [TurnStarted(99)]),
    ("I13", "later than the store's clock", [TurnStarted(1_001)]),
    ("I9", "in the order of their ids", [EntityLocksRequested(1, ("@a@b", "@a@a"))]),
    ("I3", "an event after the end", [ExecutionCompleted(b"1"), CALL]),
    ("I3", "the status is not what history says", [ExecutionCompleted(b"1")]),
]  # fmt: skip


@pytest.mark.parametrize(("invariant", "text", "events"), WRONG)
def test_what_is_not(invariant: str, text: str, events: list[HistoryEvent]) -> None:
    with pytest.raises(Violation, match=text) as caught:
        play(TurnStarted(100), *events)
    assert caught.value.invariant == invariant
