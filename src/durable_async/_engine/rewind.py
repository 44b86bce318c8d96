"""Rewind: the history of a failed execution without what made it fail.

A final failure is taken out if the code did nothing in answer to it, or if it was the last thing that happened: then the operation is
under way again, and everything that succeeded stays. A failure that the code answered with further commands is part of its path and stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from durable_async.model.history import (
    COMMANDS,
    ActivityFailed,
    ActivityRetried,
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
)


def rewound(
    events: Sequence[HistoryEvent],
    *,
    execution: int,
    parent: ParentLink | None,
    children: frozenset[int],
    reason: str | None,
) -> list[HistoryEvent]:
    """Return the history that the next execution begins with.

    Args:
        events: The whole history of an execution that failed.
        execution: Its number; the code goes on to see it, so that it draws the same chance again.
        parent: Where it reports to from now on.
        children: Sequence numbers of sub-orchestrations that are rewound as well; failures of others stay.
        reason: For the record.
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
        dropping = seq in undone and isinstance(
            event, (ActivityFailed, ActivityRetried, SubOrchestrationFailed)
        )
        if not dropping:
            history.append(_going_on(event, execution, parent))
    history.append(ExecutionRewound(reason))
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
        final = isinstance(event, ActivityFailed) and event.retry_at_us is None
        if not final and not (isinstance(event, SubOrchestrationFailed) and event.seq in children):
            continue
        assert isinstance(event, (ActivityFailed, SubOrchestrationFailed))
        following = events[index + 1] if index + 1 < len(events) else None
        was_last = all(isinstance(later, COMMANDS) for later in events[index + 1 :])
        if was_last or not isinstance(following, COMMANDS):
            undone.add(event.seq)
    return undone


def _going_on(event: HistoryEvent, execution: int, parent: ParentLink | None) -> HistoryEvent:
    if isinstance(event, ExecutionStarted):
        drawn_as = event.drawn_as or execution
        return ExecutionStarted(
            event.name, event.version, event.input, parent, event.start_at_us, drawn_as
        )
    return event
