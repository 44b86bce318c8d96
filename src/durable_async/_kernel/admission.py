"""Admission: what a letter becomes in the history, or nothing if it comes too late to matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityHeartbeat,
    EntityCallCompleted,
    EntityCallFailed,
    EntityLocked,
    Input,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
)

from .futures import ActivityFuture, EntityCallFuture, SubOrchestrationFuture
from .journal import Journal
from .retries import retry_at
from .sections import LockFuture
from .seeds import Streams


def is_under_way(operation: Any) -> bool:
    """Tell whether an attempt of an activity is under way, as far as is known."""
    return (
        isinstance(operation, ActivityFuture)
        and operation.retry_at_us is None
        and not operation.settled
    )


def _from_activity(journal: Journal, letter: Any, now_us: int) -> Input | None:
    operation = journal.pending.get(letter.seq)
    if isinstance(operation, ActivityFuture) and not operation.settled:
        return letter  # type: ignore[no-any-return]
    return None


def _activity_failed(journal: Journal, letter: ActivityFailed, now_us: int) -> Input | None:
    """Decide, once and for all, whether it is tried again, and when."""
    operation = journal.pending.get(letter.seq)
    if not is_under_way(operation):
        return None
    assert isinstance(operation, ActivityFuture)
    if letter.attempt != operation.attempt:
        return None
    draw = Streams(journal.instance_id, journal.execution).draw(operation.seq, operation.attempt)
    due_us = retry_at(operation, letter.failure, now_us, draw)
    return ActivityFailed(letter.seq, letter.attempt, letter.failure, due_us)


def _from_child(journal: Journal, letter: Any, now_us: int) -> Input | None:
    operation = journal.pending.get(letter.seq)
    if isinstance(operation, SubOrchestrationFuture) and not operation.settled:
        return letter  # type: ignore[no-any-return]
    return None


def _from_entity(journal: Journal, letter: Any, now_us: int) -> Input | None:
    operation = journal.pending.get(letter.seq)
    if isinstance(operation, EntityCallFuture) and not operation.settled:
        return letter  # type: ignore[no-any-return]
    return None


def _entity_locked(journal: Journal, letter: EntityLocked, now_us: int) -> Input | None:
    operation = journal.pending.get(letter.seq)
    if isinstance(operation, LockFuture) and letter.entity_id in operation.unheard:
        return letter
    return None


admit: dict[type[Any], Callable[[Journal, Any, int], Input | None]] = {
    ActivityCompleted: _from_activity,
    ActivityHeartbeat: _from_activity,
    ActivityFailed: _activity_failed,
    SubOrchestrationCompleted: _from_child,
    SubOrchestrationFailed: _from_child,
    EntityCallCompleted: _from_entity,
    EntityCallFailed: _from_entity,
    EntityLocked: _entity_locked,
}
"""Gives the event that a letter with an answer becomes at a time, by the letter's kind."""
