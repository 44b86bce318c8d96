"""Inputs meet the operations that wait for them: one function a kind of event, the same live and in a replay."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from durable_async.errors import (
    ActivityFailedError,
    DecodeError,
    EntityOperationFailedError,
    SubOrchestrationFailedError,
)
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityHeartbeat,
    ActivityRetried,
    EntityCallCompleted,
    EntityCallFailed,
    EntityLocked,
    EventRaised,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TimerFired,
)

from .futures import (
    ActivityFuture,
    DurableFuture,
    EntityCallFuture,
    SubOrchestrationFuture,
    TimerFuture,
)
from .journal import MICROSECONDS, Due, Journal
from .loop import DurableTimerHandle
from .program import Payloads
from .sections import LockFuture, SectionState


def defer(journal: Journal, event: Any) -> None:
    """Note, while the instance is suspended, that the outcome of an operation is known."""
    operation = journal.pending.get(getattr(event, "seq", 0))
    if isinstance(operation, LockFuture):
        operation.unheard.discard(event.entity_id)
    elif isinstance(operation, DurableFuture) and not isinstance(event, ActivityHeartbeat):
        operation.settled = True


def deadline_passed(future: ActivityFuture[Any]) -> FailureDetails:
    """Describe that an activity took too long in all."""
    return FailureDetails(
        "builtins.TimeoutError",
        f"activity {future.name!r} did not end within its schedule_to_close of "
        f"{future.options.schedule_to_close} s (attempt {future.attempt})",
        non_retryable=True,
    )


def _activity_completed(journal: Journal, payloads: Payloads, event: ActivityCompleted) -> None:
    future = journal.pending.pop(event.seq, None)
    if not isinstance(future, ActivityFuture):
        raise _nobody(journal, event)
    try:
        result = payloads.decode(event.result, future.into, _activity_result(future.name))
    except DecodeError as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def _activity_failed(journal: Journal, payloads: Payloads, event: ActivityFailed) -> None:
    future = journal.pending.get(event.seq)
    if not isinstance(future, ActivityFuture):
        raise _nobody(journal, event)
    if event.retry_at_us is not None:
        future.settled = False
        future.retry_at_us = event.retry_at_us
        journal.push(event.retry_at_us, event.seq, Due.RETRY)
        return
    del journal.pending[event.seq]
    future.set_exception(ActivityFailedError(f"activity {future.name!r}", event.failure))


def _activity_retried(journal: Journal, payloads: Payloads, event: ActivityRetried) -> None:
    future = journal.pending.get(event.seq)
    if not isinstance(future, ActivityFuture):
        raise _nobody(journal, event)
    future.attempt = event.attempt
    future.retry_at_us = None


def _activity_heartbeat(journal: Journal, payloads: Payloads, event: ActivityHeartbeat) -> None:
    future = journal.pending.get(event.seq)
    if isinstance(future, ActivityFuture):
        future.heartbeat = event.details


def _timer_fired(journal: Journal, payloads: Payloads, event: TimerFired) -> None:
    timer = journal.pending.pop(event.seq, None)
    if isinstance(timer, DurableTimerHandle):
        journal.loop.fire(timer)
    elif isinstance(timer, TimerFuture):
        due = (timer.fire_at_us - journal.start_us) / MICROSECONDS
        journal.loop.seconds = max(journal.loop.seconds, due)
        timer.set_result(None)
    else:
        raise _nobody(journal, event)


def _child_completed(
    journal: Journal, payloads: Payloads, event: SubOrchestrationCompleted
) -> None:
    future = journal.pending.pop(event.seq, None)
    if not isinstance(future, SubOrchestrationFuture):
        raise _nobody(journal, event)
    _resolve(future, payloads, event.result, "orchestrator", "result")


def _child_failed(journal: Journal, payloads: Payloads, event: SubOrchestrationFailed) -> None:
    future = journal.pending.pop(event.seq, None)
    if not isinstance(future, SubOrchestrationFuture):
        raise _nobody(journal, event)
    subject = f"sub-orchestration {future.name!r} ({future.instance_id})"
    future.set_exception(SubOrchestrationFailedError(subject, event.failure))


def _entity_answered(journal: Journal, event: Any) -> EntityCallFuture[Any]:
    future = journal.pending.pop(event.seq, None)
    if not isinstance(future, EntityCallFuture):
        raise _nobody(journal, event)
    journal.answer(future)
    return future


def _entity_call_completed(
    journal: Journal, payloads: Payloads, event: EntityCallCompleted
) -> None:
    future = _entity_answered(journal, event)
    _resolve(future, payloads, event.result, "operation", "result")


def _entity_call_failed(journal: Journal, payloads: Payloads, event: EntityCallFailed) -> None:
    future = _entity_answered(journal, event)
    error = EntityOperationFailedError(future.entity_id, future.name, event.failure)
    future.set_exception(error)


def _entity_locked(journal: Journal, payloads: Payloads, event: EntityLocked) -> None:
    lock = journal.pending.get(event.seq)
    if not isinstance(lock, LockFuture) or event.entity_id not in lock.unlocked:
        raise _nobody(journal, event)
    lock.unheard.discard(event.entity_id)
    lock.unlocked.discard(event.entity_id)
    if not lock.unlocked:
        del journal.pending[event.seq]
        lock.section.state = SectionState.HELD
        lock.set_result(lock.section)
        lock.stop_timer()


def _event_raised(journal: Journal, payloads: Payloads, event: EventRaised) -> None:
    queue = journal.waiters.get(event.name)
    if not queue:
        raise _nobody(journal, event)
    future = queue.pop(0)
    if not queue:
        del journal.waiters[event.name]
    future._owner = None
    _resolve(future, payloads, event.payload, "event", "payload")


def _resolve(future: Any, payloads: Payloads, data: bytes | None, what: str, part: str) -> None:
    try:
        future.set_result(payloads.decode(data, future.into, _where(what, future.name, part)))
    except DecodeError as error:
        future.set_exception(error)


@functools.lru_cache(maxsize=4_096)
def _activity_result(name: str) -> str:
    return f"activity {name!r} result"


@functools.lru_cache(maxsize=4_096)
def _where(what: str, name: str, part: str) -> str:
    return f"{what} {name!r} {part}"


def _nobody(journal: Journal, event: Any) -> Exception:
    return journal.diverge(event, None, journal.loop.where())


apply: dict[type[Any], Callable[[Journal, Payloads, Any], None]] = {
    ActivityCompleted: _activity_completed,
    ActivityFailed: _activity_failed,
    ActivityRetried: _activity_retried,
    ActivityHeartbeat: _activity_heartbeat,
    TimerFired: _timer_fired,
    SubOrchestrationCompleted: _child_completed,
    SubOrchestrationFailed: _child_failed,
    EventRaised: _event_raised,
    EntityCallCompleted: _entity_call_completed,
    EntityCallFailed: _entity_call_failed,
    EntityLocked: _entity_locked,
}
"""Resolves what waits for an input, by its kind. The caller drains the loop afterwards.

Each raises ``NonDeterminismError`` if, in a replay, nobody waits for it.
"""
