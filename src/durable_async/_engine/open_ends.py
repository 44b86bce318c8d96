"""What a history says is under way where it ends: begun, and neither answered nor given up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from durable_async.model import history as h
from durable_async.model.explanation import WaitKind


@dataclass(slots=True, kw_only=True)
class Operation:
    """A call that has no answer yet.

    Attributes:
        kind: What it is.
        seq: Its number.
        since_us: When it was made; of an activity, when its present attempt was.
        name: What is called.
        until_us: When it comes by itself, or the next attempt does.
        attempt: Of an activity.
        target: The child, or the entity.
        failure: Why the attempt before failed.
    """

    kind: WaitKind
    seq: int
    since_us: int
    name: str = ""
    until_us: int | None = None
    attempt: int = 0
    target: str | None = None
    failure: str | None = None


@dataclass(slots=True)
class LockRequest:
    """Entities that are asked for, and which of them have answered."""

    since_us: int
    entity_ids: tuple[str, ...]
    locked: set[str] = field(default_factory=set)

    @property
    def is_held(self) -> bool:
        """Whether the critical section has begun."""
        return len(self.locked) == len(self.entity_ids)


class OpenEnds:
    """Reads a history, event by event, and keeps what is open.

    Attributes:
        operations: Calls without an answer, by number.
        locks: Lock requests that were not given back, by number.
        turn_at_us: When the last turn was; 0 if there was none.
        suspended: Since when it is suspended, and for what reason; ``None`` if it is not.
    """

    def __init__(self, events: Iterable[h.HistoryEvent] = ()) -> None:
        self.operations: dict[int, Operation] = {}
        self.locks: dict[int, LockRequest] = {}
        self.turn_at_us = 0
        self.suspended: tuple[int, str | None] | None = None
        for event in events:
            self.take(event)

    def take(self, event: h.HistoryEvent) -> None:
        """Take the next event."""
        begin = _begins.get(type(event))
        if begin is not None:
            operation = begin(event, self.turn_at_us)
            self.operations[operation.seq] = operation
        elif type(event) in _ENDS:
            self.operations.pop(event.seq, None)  # type: ignore[union-attr]
        else:
            handle = _others.get(type(event))
            if handle is not None:
                handle(self, event)

    @property
    def held(self) -> tuple[str, ...]:
        """Entities of critical sections that have begun."""
        return tuple(one for lock in self.locks.values() if lock.is_held for one in lock.entity_ids)

    def wanted_locks(self) -> list[Operation]:
        """Return the entities that are asked for and are not locked yet."""
        return [
            Operation(kind=WaitKind.LOCK, seq=seq, since_us=lock.since_us, target=entity_id)
            for seq, lock in self.locks.items()
            for entity_id in lock.entity_ids
            if entity_id not in lock.locked
        ]


def _on_turn(ends: OpenEnds, event: h.TurnStarted) -> None:
    ends.turn_at_us = event.at_us


def _on_suspended(ends: OpenEnds, event: h.ExecutionSuspended) -> None:
    ends.suspended = (ends.turn_at_us, event.reason)


def _on_resumed(ends: OpenEnds, event: h.ExecutionResumed) -> None:
    ends.suspended = None


def _on_failed(ends: OpenEnds, event: h.ActivityFailed) -> None:
    operation = ends.operations.get(event.seq)
    if event.retry_at_us is None or operation is None:
        ends.operations.pop(event.seq, None)
        return
    operation.since_us = ends.turn_at_us
    operation.until_us = event.retry_at_us
    operation.attempt = event.attempt + 1
    operation.failure = f"{event.failure.error_type}: {event.failure.message}"


def _on_retried(ends: OpenEnds, event: h.ActivityRetried) -> None:
    operation = ends.operations.get(event.seq)
    if operation is not None:
        operation.since_us = ends.turn_at_us
        operation.until_us = None
        operation.attempt = event.attempt


def _on_locks_requested(ends: OpenEnds, event: h.EntityLocksRequested) -> None:
    ends.locks[event.seq] = LockRequest(ends.turn_at_us, event.entity_ids)


def _on_locked(ends: OpenEnds, event: h.EntityLocked) -> None:
    lock = ends.locks.get(event.seq)
    if lock is not None:
        lock.locked.add(event.entity_id)


def _on_locks_released(ends: OpenEnds, event: h.EntityLocksReleased) -> None:
    ends.locks.pop(event.seq, None)


def _on_end(ends: OpenEnds, event: h.HistoryEvent) -> None:
    ends.operations.clear()
    ends.locks.clear()


def _activity(event: h.ActivityScheduled, at_us: int) -> Operation:
    return Operation(
        kind=WaitKind.ACTIVITY, seq=event.seq, since_us=at_us, name=event.name, attempt=1
    )


def _timer(event: h.TimerCreated, at_us: int) -> Operation:
    return Operation(kind=WaitKind.TIMER, seq=event.seq, since_us=at_us, until_us=event.fire_at_us)


def _child(event: h.SubOrchestrationScheduled, at_us: int) -> Operation:
    return Operation(
        kind=WaitKind.SUB_ORCHESTRATION,
        seq=event.seq,
        since_us=at_us,
        name=event.name,
        target=event.instance_id,
    )


def _entity_call(event: h.EntityCalled, at_us: int) -> Operation:
    return Operation(
        kind=WaitKind.ENTITY,
        seq=event.seq,
        since_us=at_us,
        name=event.operation,
        target=event.entity_id,
    )


_begins: dict[type[Any], Callable[[Any, int], Operation]] = {
    h.ActivityScheduled: _activity,
    h.TimerCreated: _timer,
    h.SubOrchestrationScheduled: _child,
    h.EntityCalled: _entity_call,
}

_ENDS = frozenset(
    (
        h.ActivityCompleted,
        h.ActivityCancelRequested,
        h.TimerFired,
        h.TimerCancelled,
        h.SubOrchestrationCompleted,
        h.SubOrchestrationFailed,
        h.SubOrchestrationCancelRequested,
        h.EntityCallCompleted,
        h.EntityCallFailed,
        h.EntityCallAbandoned,
    )
)

_others: dict[type[Any], Callable[[OpenEnds, Any], None]] = {
    h.TurnStarted: _on_turn,
    h.ExecutionSuspended: _on_suspended,
    h.ExecutionResumed: _on_resumed,
    h.ActivityFailed: _on_failed,
    h.ActivityRetried: _on_retried,
    h.EntityLocksRequested: _on_locks_requested,
    h.EntityLocked: _on_locked,
    h.EntityLocksReleased: _on_locks_released,
    h.ExecutionCompleted: _on_end,
    h.ExecutionFailed: _on_end,
    h.ExecutionTerminated: _on_end,
    h.ExecutionContinuedAsNew: _on_end,
}
