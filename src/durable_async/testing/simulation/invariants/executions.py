"""I3, I4, I6, I13 and I17 as histories tell them: one chain of turns, each thing once, nothing before its time, nothing after the end.

An `Execution` is what the commits of one execution have added up to. It knows nothing of the engine's own bookkeeping, only of calls
that the store has carried out, so it works for any store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from durable_async.model.history import (
    COMMANDS,
    ActivityCancelRequested,
    ActivityCompleted,
    ActivityFailed,
    ActivityRetried,
    ActivityScheduled,
    EntityCallAbandoned,
    EntityCallCompleted,
    EntityCalled,
    EntityCallFailed,
    EntityLocksReleased,
    EntityLocksRequested,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionTerminated,
    HistoryEvent,
    SubOrchestrationCancelRequested,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    SubOrchestrationScheduled,
    TimerCancelled,
    TimerCreated,
    TimerFired,
    TurnStarted,
)
from durable_async.model.records import HistoryRow, TurnCommit
from durable_async.model.status import Status
from durable_async.serialization.events import decode_events
from durable_async.testing.simulation.violations import Violation

TERMINAL_EVENTS: dict[type[Any], Status] = {
    ExecutionCompleted: Status.COMPLETED,
    ExecutionFailed: Status.FAILED,
    ExecutionTerminated: Status.TERMINATED,
}

ANSWERS: dict[type[Any], type[Any]] = {
    ActivityCompleted: ActivityScheduled,
    ActivityFailed: ActivityScheduled,
    TimerFired: TimerCreated,
    SubOrchestrationCompleted: SubOrchestrationScheduled,
    SubOrchestrationFailed: SubOrchestrationScheduled,
    EntityCallCompleted: EntityCalled,
    EntityCallFailed: EntityCalled,
}
"""What ends an operation, and by what it was begun."""

REVOCATIONS: dict[type[Any], type[Any]] = {
    ActivityCancelRequested: ActivityScheduled,
    TimerCancelled: TimerCreated,
    SubOrchestrationCancelRequested: SubOrchestrationScheduled,
    EntityCallAbandoned: EntityCalled,
    EntityLocksReleased: EntityLocksRequested,
}
"""What gives an operation up, under its own number."""


class Execution:
    """One execution of one orchestration, as its commits tell it.

    Attributes:
        rows: The history.
        commits: The turns that wrote it, in order.
        pending: Operations that were begun, and have neither ended nor been given up, by sequence number.
        retry_at_us: Activities that wait for their next attempt, with the time at which it is due.
        outcome: The event that ended it.
        clock_us: What its code was last told of the time.
        is_rewound: Whether it goes on where a failed one was; what its history says of that one is not judged.
    """

    def __init__(self, instance_id: str, execution: int, row: HistoryRow) -> None:
        self.instance_id = instance_id
        self.execution = execution
        self.rows: list[HistoryRow] = [row]
        self.commits: list[TurnCommit] = []
        self.pending: dict[int, HistoryEvent] = {}
        self.retry_at_us: dict[int, int] = {}
        self.outcome: HistoryEvent | None = None
        self.clock_us = 0
        self._over: set[int] = set()
        self._begun: set[int] = set()
        self._given_up: set[int] = set()
        self._attempts: dict[int, int] = {}
        events = decode_events(instance_id, row.events)
        self.is_rewound = any(isinstance(event, ExecutionRewound) for event in events)
        started = events[0]
        assert isinstance(started, ExecutionStarted)
        self.started = started
        if self.is_rewound:
            for event in events:
                _note(self, event)

    @property
    def where(self) -> str:
        """Which one it is, for a report."""
        return f"{self.instance_id} execution {self.execution}"

    def extend(self, commit: TurnCommit, now_us: int) -> list[HistoryEvent]:
        """Take in a turn that was made durable; return its events.

        Raises:
            Violation: It cannot follow what is there.
        """
        self.commits.append(commit)
        if not commit.events:
            self._check_is_going(commit)
            return []
        self._check_place(commit)
        events = decode_events(self.instance_id, commit.events)
        for event in events:
            self._take(event, now_us)
        self._check_end(commit)
        self.rows.append(HistoryRow(turn=commit.turn, events=commit.events))
        return events

    def check_rows(self, rows: Sequence[HistoryRow], *, begin: int = 0) -> None:
        """Compare some rows that a store gives out with what was written.

        Raises:
            Violation: They are not the same.
        """
        if list(rows) != self.rows[begin : begin + len(rows)]:
            raise Violation(
                "I3",
                "history is not what was written",
                where=self.where,
                written=[row.turn for row in self.rows],
                found=[row.turn for row in rows],
            )

    def check_all_rows(self, rows: Sequence[HistoryRow]) -> None:
        """The same with all rows, of which none may be missing."""
        self.check_rows(rows)
        if len(rows) != len(self.rows):
            raise Violation(
                "I3",
                "turns are missing",
                where=self.where,
                written=len(self.rows),
                found=len(rows),
            )

    def has_ended_its(self, seq: int) -> bool:
        """Tell whether it has ended one of its sub-orchestrations: gave it up, or was terminated with all that it had begun."""
        if seq in self._given_up:
            return True
        outcome = self.outcome
        ends_all = isinstance(outcome, ExecutionTerminated) and outcome.recursive
        return ends_all and isinstance(self.pending.get(seq), SubOrchestrationScheduled)

    # -- a turn's place

    def _check_is_going(self, commit: TurnCommit) -> None:
        if self.outcome is not None:
            raise Violation("I3", "a turn after the end", where=self.where, turn=commit.turn)

    def _check_place(self, commit: TurnCommit) -> None:
        self._check_is_going(commit)
        if commit.turn != len(self.rows):
            raise Violation(
                "I4",
                "turns are not one chain",
                where=self.where,
                turn=commit.turn,
                expected=len(self.rows),
            )

    def _check_end(self, commit: TurnCommit) -> None:
        outcome = self.outcome
        said = None if outcome is None else TERMINAL_EVENTS[type(outcome)]
        stored = commit.status if commit.status is not None and commit.status.is_terminal else None
        if said is not stored:
            raise Violation(
                "I3",
                "the status is not what history says",
                where=self.where,
                history=said,
                status=stored,
            )

    # -- its events

    def _take(self, event: HistoryEvent, now_us: int) -> None:
        kind = type(event)
        if self.outcome is not None:
            raise Violation("I3", "an event after the end", where=self.where, event=event)
        if kind is TurnStarted:
            self._check_clock(event, now_us)
        elif kind in TERMINAL_EVENTS:
            self.outcome = event
        elif not self.is_rewound:
            check = _checks.get(kind)
            if check is not None:
                check(self, event)
            elif kind in COMMANDS:
                _check_command(self, event)
        _note(self, event)

    def _check_clock(self, event: Any, now_us: int) -> None:
        if event.at_us > now_us:
            raise Violation(
                "I13",
                "a turn that is later than the store's clock",
                where=self.where,
                turn=event.at_us,
                now=now_us,
            )
        if event.at_us < self.clock_us:
            raise Violation("I13", "time goes back", where=self.where, event=event)

    def wrong(self, invariant: str, what: str, event: Any) -> Violation:
        """Make a report about an event."""
        return Violation(invariant, what, where=self.where, event=event, clock=self.clock_us)


def _check_command(execution: Execution, event: Any) -> None:
    if type(event) in REVOCATIONS:
        if type(event) is not EntityLocksReleased and event.seq in execution._over:
            return  # it ended while the instance was suspended, and the code does not know yet
        if event.seq not in execution._begun:
            raise execution.wrong("I6", "what is given up was never begun", event)
        return
    if event.seq in execution._begun:
        raise execution.wrong("I6", "begun twice", event)
    if isinstance(event, EntityLocksRequested):
        ordered = sorted(set(event.entity_ids), key=str.encode)
        if list(event.entity_ids) != ordered:
            raise execution.wrong("I9", "locks are not asked for in the order of their ids", event)


def _check_answer(execution: Execution, event: Any) -> None:
    begun = execution.pending.get(event.seq)
    if begun is None:
        what = "ended twice, or after it was given up" if event.seq in execution._begun else None
        raise execution.wrong("I6", what or "ended, and was never begun", event)
    if type(begun) is not ANSWERS[type(event)]:
        raise execution.wrong("I6", f"the answer to {type(begun).__name__}", event)


def _check_failed(execution: Execution, event: Any) -> None:
    _check_answer(execution, event)
    attempt = execution._attempts.get(event.seq, 1)
    if event.attempt != attempt or event.seq in execution.retry_at_us:
        raise execution.wrong("I6", f"the failure of another attempt than {attempt}", event)
    if event.retry_at_us is not None and event.retry_at_us < execution.clock_us:
        raise execution.wrong("I13", "a retry is due before the failure", event)


def _check_retried(execution: Execution, event: Any) -> None:
    due_us = execution.retry_at_us.get(event.seq)
    if due_us is None:
        raise execution.wrong("I6", "tried again, and it had not failed", event)
    if due_us > execution.clock_us:
        raise execution.wrong("I13", f"tried again before {due_us}", event)


def _check_fired(execution: Execution, event: Any) -> None:
    _check_answer(execution, event)
    timer: Any = execution.pending[event.seq]
    if timer.fire_at_us > execution.clock_us:
        raise execution.wrong("I13", f"fired before {timer.fire_at_us}", event)


_checks: dict[type[Any], Callable[[Execution, Any], None]] = {
    **dict.fromkeys(ANSWERS, _check_answer),
    ActivityFailed: _check_failed,
    ActivityRetried: _check_retried,
    TimerFired: _check_fired,
}


def _note(execution: Execution, event: Any) -> None:
    """Take note of what is under way after an event."""
    kind = type(event)
    if kind is TurnStarted:
        execution.clock_us = event.at_us
    elif kind is ActivityFailed and event.retry_at_us is not None:
        execution.retry_at_us[event.seq] = event.retry_at_us
    elif kind is ActivityRetried:
        execution.retry_at_us.pop(event.seq, None)
        execution._attempts[event.seq] = event.attempt
    elif kind in ANSWERS or kind in REVOCATIONS:
        execution.pending.pop(event.seq, None)
        execution.retry_at_us.pop(event.seq, None)
        execution._over.add(event.seq)
        if kind is SubOrchestrationCancelRequested:
            execution._given_up.add(event.seq)
    elif kind in COMMANDS:
        execution._begun.add(event.seq)
        execution.pending[event.seq] = event
