"""I1: each committed history, carried out once more by a kernel to which nothing happens, gives the same turns, actions and outcome.

The inputs of each turn are given to the code again as letters, at the time that the turn shows. Timers, retries and deadlines come of
themselves, so that they are decided anew. What the turn gives must be what was committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from durable_async._engine.fold import fold
from durable_async._kernel.orchestration import Orchestration, TurnResult
from durable_async._kernel.program import Program
from durable_async.model.history import (
    COMMANDS,
    ActivityFailed,
    ActivityRetried,
    EntityCallCompleted,
    EntityCallFailed,
    EntityLockRelease,
    EntityLockRequest,
    EntityLocksReleased,
    EntityOperation,
    ExecutionFailed,
    ExecutionTerminated,
    HistoryEvent,
    ParentLink,
    TimerFired,
    TurnStarted,
)
from durable_async.model.identity import ENTITY_MARK
from durable_async.model.records import NewInstance, Outgoing, TurnCommit
from durable_async.model.status import Status
from durable_async.serialization.events import decode_events, decode_letter
from durable_async.testing.simulation.violations import Violation

from .executions import TERMINAL_EVENTS, Execution

_OF_ITSELF = (*COMMANDS, TimerFired, ActivityRetried, ExecutionFailed)
_ANSWERS = (EntityCallCompleted, EntityCallFailed)
_DEADLINE = " did not end within its schedule_to_close of "


class Recorded(list[HistoryEvent]):
    """The events of one slice of a turn: of one moment."""

    @property
    def at_us(self) -> int | None:
        """The moment; ``None`` if the code was not asked."""
        return next((event.at_us for event in self if isinstance(event, TurnStarted)), None)

    def letters(self) -> Iterator[Any]:
        """Go through what has to arrive for it."""
        for event in self:
            comes_of_itself = isinstance(event, (TurnStarted, *_OF_ITSELF, *_ENDS_BY_CODE))
            if not comes_of_itself and not _is_deadline(event):
                yield event


_ENDS_BY_CODE = tuple(kind for kind in TERMINAL_EVENTS if kind is not ExecutionTerminated)


def check_refinement(execution: Execution, program: Callable[[str], Program]) -> None:
    """Carry an execution out again, and compare.

    Args:
        execution: What was committed.
        program: Gives an orchestrator's code by its name.

    Raises:
        Violation: Something else comes of it.
    """
    instance = Orchestration(
        execution.instance_id,
        execution.execution,
        execution.started,
        program(execution.started.name),
    )
    try:
        instance.replay(decode_events(execution.instance_id, execution.rows[0].events))
        for commit in execution.commits:
            if commit.next_execution is not None:
                return  # what its last turn took is not written anywhere
            if commit.events:
                _check_turn(execution, instance, commit)
    finally:
        instance.evict()


def _check_turn(execution: Execution, instance: Orchestration, commit: TurnCommit) -> None:
    events = decode_events(commit.instance_id, commit.events)
    if _is_without_code(events):
        return
    results: list[TurnCommit] = []
    status = Status.RUNNING
    for recorded in slices(events):
        result = _again(instance, recorded)
        _compare(execution, commit.turn, "events", recorded, result.events)
        now_us = recorded.at_us or 0
        folded, _ = fold(instance, result, turn=commit.turn, status=status, now_us=now_us)
        results.append(folded)
    _check_actions(execution, commit, results)


def slices(events: Sequence[HistoryEvent]) -> Iterator[Recorded]:
    """Part the events of a commit into those of each moment; orders that come before the code has begun belong to what follows."""
    piece = Recorded()
    for event in events:
        if isinstance(event, TurnStarted) and piece.at_us is not None:
            yield piece
            piece = Recorded()
        piece.append(event)
    yield piece


def _again(instance: Orchestration, recorded: Recorded) -> TurnResult:
    for letter in recorded.letters():
        instance.deliver(None, instance.execution, letter)
    at_us = recorded.at_us
    return instance.turn(0 if at_us is None else at_us)


def _is_without_code(events: Sequence[HistoryEvent]) -> bool:
    """Tell whether a worker ended it without asking its code."""
    return len(events) == 1 and isinstance(events[0], (ExecutionTerminated, ExecutionFailed))


def _is_deadline(event: HistoryEvent) -> bool:
    return isinstance(event, ActivityFailed) and _DEADLINE in event.failure.message


# -- comparing


def _check_actions(execution: Execution, commit: TurnCommit, folded: Sequence[TurnCommit]) -> None:
    turn = commit.turn
    sent = [one for part in folded for one in part.outbox]
    letters, written = Counter(map(_plain_letter, sent)), Counter(map(_plain_letter, commit.outbox))
    passed_on = letters - written
    may_be_passed_on = Counter(_plain_letter(one) for one in sent if _is_taken(one, commit))
    _compare(execution, turn, "letters", written + (passed_on & may_be_passed_on), letters)
    children = [_plain_child(one) for part in folded for one in part.children]
    _compare(execution, turn, "children", [_plain_child(one) for one in commit.children], children)
    _compare(execution, turn, "output", commit.output, folded[-1].output)
    custom = [part.custom_status for part in folded if part.custom_status is not None]
    _compare(execution, turn, "custom status", commit.custom_status, custom[-1] if custom else None)


def _is_taken(outgoing: Outgoing, commit: TurnCommit) -> bool:
    """Tell whether a letter may have been passed on to an entity and taken there, so that it is not written.

    If nothing had to be written of what the entity did, its answer is all that is left of it; of a signal, which has none, nothing is.
    """
    if not outgoing.instance_id.startswith(ENTITY_MARK):
        return False
    if commit.group:
        return True
    events = decode_events(commit.instance_id, commit.events)
    match decode_letter(outgoing.instance_id, outgoing.letter):
        case EntityLockRelease():
            return True  # of a lock that had ended by itself, or was withdrawn
        case EntityLockRequest() as request:
            released = {one.seq for one in events if isinstance(one, EntityLocksReleased)}
            return request.holder.seq in released
        case EntityOperation(caller=ParentLink() as caller):
            return any(isinstance(one, _ANSWERS) and one.seq == caller.seq for one in events)
        case EntityOperation(caller=None, due_us=0):
            return True
        case _:
            return False


def _plain_letter(outgoing: Outgoing) -> tuple[Any, ...]:
    # Stack traces differ between a code's first run and its next.
    letter = outgoing.letter if b"Traceback" not in outgoing.letter else b"failure"
    return (outgoing.instance_id, outgoing.execution, letter, outgoing.final, outgoing.opens)


def _plain_child(child: NewInstance) -> tuple[Any, ...]:
    return (child.instance_id, child.name, child.version, child.events, child.parent, child.reuse)


def _plain(value: Any) -> Any:
    if isinstance(value, ExecutionFailed):
        return ("failed", value.failure.error_type, value.failure.message)
    return value


def _compare(execution: Execution, turn: int, what: str, recorded: Any, found: Any) -> None:
    if isinstance(recorded, list):
        recorded, found = [*map(_plain, recorded)], [*map(_plain, found)]
    if recorded != found:
        raise Violation(
            "I1",
            f"another run of the same inputs gives other {what}",
            where=execution.where,
            turn=turn,
            committed=recorded,
            again=found,
        )
