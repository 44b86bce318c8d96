"""Rewind: the history of a failed execution without what made it fail.

A final failure is taken out if the code did nothing in answer to it, or if it was the last thing that happened: then the operation is
under way again, and everything that succeeded stays. A failure that the code answered with further commands is part of its path and stays.

Of entities: calls that failed so, and calls and lock requests that were not answered, are made again by the first turn; what went to
the failed execution does not reach the next one, so a call whose answer was on its way is carried out twice, as an activity would be. A
critical section that was held is lost: its calls fail with `EntityLockLostError`, since others may have had the entities meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from durable_async.model.history import (
    COMMANDS,
    ActivityFailed,
    ActivityRetried,
    EntityCallFailed,
    EntityLocked,
    EntityLocksReleased,
    EntityLocksRequested,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionRewound,
    ExecutionStarted,
    HistoryEvent,
    ParentLink,
    SubOrchestrationCancelRequested,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    SubOrchestrationScheduled,
    TimerCancelled,
)

_FINAL = (ActivityFailed, SubOrchestrationFailed, EntityCallFailed)
_OF_FAILURES = (*_FINAL, ActivityRetried)
_LEFT_BEHIND = (EntityLocksReleased, TimerCancelled)
"""What the code does on its way out of its blocks; corrected code may not be on its way out there."""


def rewound(
    events: Sequence[HistoryEvent],
    *,
    execution: int,
    parent: ParentLink | None,
    children: frozenset[int],
    reason: str | None,
    request_id: str | None = None,
) -> list[HistoryEvent]:
    """Return the history that the next execution begins with.

    Args:
        events: The whole history of an execution that failed.
        execution: Its number; the code goes on to see it, so that it draws the same chance again.
        parent: Where it reports to from now on.
        children: Sequence numbers of sub-orchestrations that are rewound as well; failures of others stay.
        reason: For the record.
        request_id: Of the request that asks for it.
    """
    kept = [
        event for event in events if not isinstance(event, (ExecutionFailed, ExecutionCompleted))
    ]
    undone = _undone(kept, children)
    history: list[HistoryEvent] = []
    dropping = False
    for event in kept:
        if isinstance(event, COMMANDS):
            if not dropping:
                history.append(event)
            continue
        seq = getattr(event, "seq", None)
        dropping = seq in undone and isinstance(event, _OF_FAILURES)
        if not dropping:
            history.append(_going_on(event, execution, parent))
    while isinstance(history[-1], _LEFT_BEHIND):
        history.pop()
    history = _without_incomplete_locks(history)
    history.append(ExecutionRewound(reason, request_id))
    return history


def failed_children(events: Sequence[HistoryEvent]) -> dict[int, str]:
    """Return the sub-orchestrations whose failure is recorded: instance ids by sequence number."""
    ids = {
        event.seq: event.instance_id
        for event in events
        if isinstance(event, SubOrchestrationScheduled)
    }
    return {
        event.seq: ids[event.seq] for event in events if isinstance(event, SubOrchestrationFailed)
    }


def unanswered_children(events: Sequence[HistoryEvent]) -> dict[int, str]:
    """Return the sub-orchestrations of which nothing is recorded, and that are still wanted: instance ids by sequence number."""
    ids: dict[int, str] = {}
    for event in events:
        match event:
            case SubOrchestrationScheduled():
                ids[event.seq] = event.instance_id
            case (
                SubOrchestrationCompleted()
                | SubOrchestrationFailed()
                | SubOrchestrationCancelRequested()
            ):
                ids.pop(event.seq, None)
            case _:
                pass
    return ids


def _undone(events: Sequence[HistoryEvent], children: frozenset[int]) -> set[int]:
    undone: set[int] = set()
    for index, event in enumerate(events):
        if not isinstance(event, _FINAL) or not _can_be_undone(event, children):
            continue
        following = events[index + 1] if index + 1 < len(events) else None
        was_last = all(isinstance(later, COMMANDS) for later in events[index + 1 :])
        if was_last or not isinstance(following, COMMANDS):
            undone.add(event.seq)
    return undone


def _can_be_undone(
    event: ActivityFailed | SubOrchestrationFailed | EntityCallFailed, children: frozenset[int]
) -> bool:
    match event:
        case ActivityFailed():
            return event.retry_at_us is None
        case SubOrchestrationFailed():
            return event.seq in children
        case EntityCallFailed():
            return True
        case _:
            assert_never(event)


def _without_incomplete_locks(events: list[HistoryEvent]) -> list[HistoryEvent]:
    """Leave out which entities of a request were locked, if not all were: it is made again, to all."""
    left: dict[int, set[str]] = {}
    for event in events:
        match event:
            case EntityLocksRequested():
                left[event.seq] = set(event.entity_ids)
            case EntityLocked() if event.seq in left:
                left[event.seq].discard(event.entity_id)
            case EntityLocksReleased():
                left.pop(event.seq, None)
            case _:
                pass
    return [
        event for event in events if not (isinstance(event, EntityLocked) and left.get(event.seq))
    ]


def _going_on(event: HistoryEvent, execution: int, parent: ParentLink | None) -> HistoryEvent:
    if isinstance(event, ExecutionStarted):
        drawn_as = event.drawn_as or execution
        return ExecutionStarted(
            event.name,
            event.version,
            event.input,
            parent,
            event.start_at_us,
            drawn_as,
            event.origin,
        )
    return event
