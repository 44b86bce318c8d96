"""The history that durable_async keeps, told in the words of the Durable Task SDK.

One event stays one event where both have a word for it. Beyond that:

- A turn is framed by `OrchestratorStartedEvent` and `OrchestratorCompletedEvent`; everything in it has the turn's time.
- An activity that is tried again is told as the SDK's own retries are: the failure, a timer until the next attempt, and the same task
  scheduled again. Those timers are none of the code's, so they are numbered -2, -3 and so on.
- A lock request is granted once, when the last of its entities is locked; its end is one event for each entity.
- The end of an execution follows the end of its last turn.
- What the SDK has no words for is left out: what the code no longer waits for, and the progress of activities.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from durable_async import OrchestrationState
from durable_async.model import history as native
from durabletask import history as told

from .failures import from_native

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_ID = -1

_COMPLETED, _FAILED, _TERMINATED = 1, 3, 5
"""Values of `durabletask.client.OrchestrationStatus`."""

_BETWEEN_TURNS = (
    native.ExecutionStarted,
    native.ExecutionRewound,
    native.ExecutionSuspended,
    native.ExecutionResumed,
)
"""What may precede a turn, and is told within it: a history begins so, and goes on so after a rewind."""


def history_of(
    native_events: Sequence[native.HistoryEvent],
    *,
    instance_id: str,
    execution: int,
    state: OrchestrationState | None,
) -> list[told.HistoryEvent]:
    """Return an execution's history in the words of the SDK.

    Args:
        native_events: All events of the execution, in order.
        instance_id: Whose history it is.
        execution: Which execution, from 1.
        state: The instance as it stands, for its tags and for the times of what no turn has recorded; ``None`` if unknown.
    """
    teller = _Teller(instance_id, execution, state)
    for event in native_events:
        teller.take(event)
    return teller.finish()


class _Teller:
    """Takes native events in order, and knows what later ones refer to."""

    def __init__(self, instance_id: str, execution: int, state: OrchestrationState | None) -> None:
        self._instance_id = instance_id
        self._execution = execution
        self._state = state
        self._told: list[told.HistoryEvent] = []
        self._waiting: list[native.HistoryEvent] = []
        self._at = _EPOCH if state is None else state.created_at
        self._is_in_turn = False
        self._ending: told.HistoryEvent | None = None
        self._activities: dict[int, native.ActivityScheduled] = {}
        self._fire_at: dict[int, datetime] = {}
        self._retry_timers: dict[int, int] = {}
        self._next_retry_timer = _NO_ID - 1
        self._sections: dict[int, tuple[str, ...]] = {}
        self._unlocked: dict[int, set[str]] = {}

    def take(self, event: native.HistoryEvent) -> None:
        """Tell one event, or keep it until its turn begins."""
        if isinstance(event, native.TurnStarted):
            self._begin_turn(event.at_us)
        elif isinstance(event, native.ExecutionRewound):
            self._end_turn()
            self._waiting.append(event)
        elif not self._is_in_turn and isinstance(event, _BETWEEN_TURNS):
            self._waiting.append(event)
        else:
            self._tell(event)

    def finish(self) -> list[told.HistoryEvent]:
        """Return all that was told, once the last event was taken."""
        self._end_turn()
        self._tell_waiting()
        if self._ending is not None:
            self._told.append(self._ending)
        return self._told

    def _begin_turn(self, at_us: int) -> None:
        self._end_turn()
        self._at = _instant(at_us)
        self._is_in_turn = True
        self._add(told.OrchestratorStartedEvent)
        self._tell_waiting()

    def _end_turn(self) -> None:
        if self._is_in_turn:
            self._is_in_turn = False
            self._add(told.OrchestratorCompletedEvent)

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self._tell(event)

    def _tell(self, event: native.HistoryEvent) -> None:
        telling = _TELLINGS.get(type(event))
        if telling is not None:
            telling(self, event)

    def _add(self, kind: Callable[..., told.HistoryEvent], /, *, id: int = _NO_ID, **fields: Any) -> None:  # fmt: skip
        self._told.append(kind(id, self._at, **fields))

    def _unique(self, seq: int) -> str:
        """Return the id of an entity call or a lock request: the same one always for the same operation."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self._instance_id}\n{self._execution}.{seq}"))

    # -- life of an execution

    def execution_started(self, event: native.ExecutionStarted) -> None:
        state = self._state
        self._add(
            told.ExecutionStartedEvent,
            name=event.name,
            version=event.version,
            input=_text(event.input),
            orchestration_instance=told.OrchestrationInstance(
                self._instance_id, str(self._execution)
            ),
            parent_instance=None if event.parent is None else _parent(event.parent),
            scheduled_start_timestamp=_due(event.start_at_us),
            tags=(state.tags or None) if state is not None else None,
        )

    def execution_suspended(self, event: native.ExecutionSuspended) -> None:
        self._add(told.ExecutionSuspendedEvent, input=event.reason)

    def execution_resumed(self, event: native.ExecutionResumed) -> None:
        self._add(told.ExecutionResumedEvent, input=event.reason)

    def execution_rewound(self, event: native.ExecutionRewound) -> None:
        self._add(told.ExecutionRewoundEvent, reason=event.reason, instance_id=self._instance_id)

    def execution_terminated(self, event: native.ExecutionTerminated) -> None:
        self._tell_waiting()
        if not self._is_in_turn and self._state is not None:
            self._at = self._state.completed_at or self._at
        output = _text(event.output)
        self._add(told.ExecutionTerminatedEvent, input=output, recurse=event.recursive)
        self._end(_TERMINATED, result=output)

    def execution_completed(self, event: native.ExecutionCompleted) -> None:
        self._end(_COMPLETED, result=_text(event.result))

    def execution_failed(self, event: native.ExecutionFailed) -> None:
        self._end(_FAILED, failure_details=from_native(event.failure))

    def continued_as_new(self, event: native.ExecutionContinuedAsNew) -> None:
        self._add(told.ContinueAsNewEvent, input=_text(event.input))

    def _end(self, status: int, **fields: Any) -> None:
        self._ending = told.ExecutionCompletedEvent(_NO_ID, self._at, status, **fields)

    # -- activities

    def activity_scheduled(self, event: native.ActivityScheduled) -> None:
        self._activities[event.seq] = event
        self._add(told.TaskScheduledEvent, id=event.seq, name=event.name, input=_text(event.input))

    def activity_completed(self, event: native.ActivityCompleted) -> None:
        self._add(told.TaskCompletedEvent, task_scheduled_id=event.seq, result=_text(event.result))

    def activity_failed(self, event: native.ActivityFailed) -> None:
        failure = from_native(event.failure)
        self._add(told.TaskFailedEvent, task_scheduled_id=event.seq, failure_details=failure)
        if event.retry_at_us is not None:
            timer, self._next_retry_timer = self._next_retry_timer, self._next_retry_timer - 1
            self._retry_timers[event.seq] = timer
            self._fire_at[timer] = _instant(event.retry_at_us)
            self._add(told.TimerCreatedEvent, id=timer, fire_at=self._fire_at[timer])

    def activity_retried(self, event: native.ActivityRetried) -> None:
        timer = self._retry_timers.pop(event.seq, None)
        if timer is not None:
            self._fire(timer)
        self.activity_scheduled(self._activities[event.seq])

    # -- timers

    def timer_created(self, event: native.TimerCreated) -> None:
        self._fire_at[event.seq] = _instant(event.fire_at_us)
        self._add(told.TimerCreatedEvent, id=event.seq, fire_at=self._fire_at[event.seq])

    def timer_fired(self, event: native.TimerFired) -> None:
        self._fire(event.seq)

    def _fire(self, timer: int) -> None:
        self._add(told.TimerFiredEvent, fire_at=self._fire_at[timer], timer_id=timer)

    # -- sub-orchestrations

    def child_scheduled(self, event: native.SubOrchestrationScheduled) -> None:
        self._add(
            told.SubOrchestrationInstanceCreatedEvent,
            id=event.seq,
            instance_id=event.instance_id,
            name=event.name,
            version=event.version,
            input=_text(event.input),
        )

    def child_completed(self, event: native.SubOrchestrationCompleted) -> None:
        self._add(
            told.SubOrchestrationInstanceCompletedEvent,
            task_scheduled_id=event.seq,
            result=_text(event.result),
        )

    def child_failed(self, event: native.SubOrchestrationFailed) -> None:
        self._add(
            told.SubOrchestrationInstanceFailedEvent,
            task_scheduled_id=event.seq,
            failure_details=from_native(event.failure),
        )

    # -- external events

    def event_raised(self, event: native.EventRaised) -> None:
        self._add(told.EventRaisedEvent, name=event.name, input=_text(event.payload))

    def event_sent(self, event: native.EventSent) -> None:
        self._add(
            told.EventSentEvent,
            id=event.seq,
            instance_id=event.instance_id,
            name=event.name,
            input=_text(event.payload),
        )

    # -- entities

    def entity_signaled(self, event: native.EntitySignaled) -> None:
        self._add(
            told.EntityOperationSignaledEvent,
            id=event.seq,
            request_id=self._unique(event.seq),
            operation=event.operation,
            scheduled_time=_due(event.due_us),
            input=_text(event.input),
            target_instance_id=event.entity_id,
        )

    def entity_called(self, event: native.EntityCalled) -> None:
        self._add(
            told.EntityOperationCalledEvent,
            id=event.seq,
            request_id=self._unique(event.seq),
            operation=event.operation,
            input=_text(event.input),
            parent_instance_id=self._instance_id,
            parent_execution_id=str(self._execution),
            target_instance_id=event.entity_id,
        )

    def entity_call_completed(self, event: native.EntityCallCompleted) -> None:
        self._add(
            told.EntityOperationCompletedEvent,
            request_id=self._unique(event.seq),
            output=_text(event.result),
        )

    def entity_call_failed(self, event: native.EntityCallFailed) -> None:
        self._add(
            told.EntityOperationFailedEvent,
            request_id=self._unique(event.seq),
            failure_details=from_native(event.failure),
        )

    def locks_requested(self, event: native.EntityLocksRequested) -> None:
        self._sections[event.seq] = event.entity_ids
        self._unlocked[event.seq] = set(event.entity_ids)
        self._add(
            told.EntityLockRequestedEvent,
            id=event.seq,
            critical_section_id=self._unique(event.seq),
            lock_set=list(event.entity_ids),
            position=0,
            parent_instance_id=self._instance_id,
        )

    def entity_locked(self, event: native.EntityLocked) -> None:
        unlocked = self._unlocked.get(event.seq, set())
        unlocked.discard(event.entity_id)
        if not unlocked:
            self._add(told.EntityLockGrantedEvent, critical_section_id=self._unique(event.seq))

    def locks_released(self, event: native.EntityLocksReleased) -> None:
        for entity_id in self._sections.get(event.seq, ()):
            self._add(
                told.EntityUnlockSentEvent,
                id=event.seq,
                critical_section_id=self._unique(event.seq),
                parent_instance_id=self._instance_id,
                target_instance_id=entity_id,
            )


_TELLINGS: dict[type[native.HistoryEvent], Callable[[_Teller, Any], None]] = {
    native.ExecutionStarted: _Teller.execution_started,
    native.ExecutionSuspended: _Teller.execution_suspended,
    native.ExecutionResumed: _Teller.execution_resumed,
    native.ExecutionTerminated: _Teller.execution_terminated,
    native.ExecutionCompleted: _Teller.execution_completed,
    native.ExecutionFailed: _Teller.execution_failed,
    native.ExecutionContinuedAsNew: _Teller.continued_as_new,
    native.ExecutionRewound: _Teller.execution_rewound,
    native.ActivityScheduled: _Teller.activity_scheduled,
    native.ActivityCompleted: _Teller.activity_completed,
    native.ActivityFailed: _Teller.activity_failed,
    native.ActivityRetried: _Teller.activity_retried,
    native.TimerCreated: _Teller.timer_created,
    native.TimerFired: _Teller.timer_fired,
    native.SubOrchestrationScheduled: _Teller.child_scheduled,
    native.SubOrchestrationCompleted: _Teller.child_completed,
    native.SubOrchestrationFailed: _Teller.child_failed,
    native.EventRaised: _Teller.event_raised,
    native.EventSent: _Teller.event_sent,
    native.EntitySignaled: _Teller.entity_signaled,
    native.EntityCalled: _Teller.entity_called,
    native.EntityCallCompleted: _Teller.entity_call_completed,
    native.EntityCallFailed: _Teller.entity_call_failed,
    native.EntityLocksRequested: _Teller.locks_requested,
    native.EntityLocked: _Teller.entity_locked,
    native.EntityLocksReleased: _Teller.locks_released,
}


def _instant(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)


def _due(at_us: int) -> datetime | None:
    return _instant(at_us) if at_us else None


def _text(payload: bytes | None) -> str | None:
    """Return a payload's text; ``None`` for no payload, which is stored as ``null``."""
    if payload is None or payload == b"null":
        return None
    return payload.decode("utf-8", "replace")


def _parent(link: native.ParentLink) -> told.ParentInstanceInfo:
    return told.ParentInstanceInfo(
        link.seq,
        orchestration_instance=told.OrchestrationInstance(link.instance_id, str(link.execution)),
    )
