"""What happened to an orchestration, as events: what ``get_orchestration_history`` returns.

Each class is one kind of event and holds data only. ``event_id`` numbers what the orchestrator's code asked for (an activity, a timer,
a sub-orchestration ...); events that answer name that number, as ``task_scheduled_id`` or ``timer_id``, and are ``-1`` themselves.
``timestamp`` and all other times are aware datetimes in UTC. Payloads are texts, as the program's converter made them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any

from durabletask._vocabulary.failures import FailureDetails

_PLAIN = (str, int, float, bool, type(None))


@dataclass(slots=True)
class OrchestrationInstance:
    """An instance, and which execution of it."""

    instance_id: str
    execution_id: str | None = None


@dataclass(slots=True)
class ParentInstanceInfo:
    """The orchestration that started this one, and by which of its events."""

    task_scheduled_id: int
    name: str | None = None
    version: str | None = None
    orchestration_instance: OrchestrationInstance | None = None


@dataclass(slots=True)
class TraceContext:
    """A place in a distributed trace, in the words of W3C Trace Context."""

    trace_parent: str
    span_id: str
    trace_state: str | None = None


@dataclass(slots=True)
class HistoryEvent:
    """What all events have.

    Attributes:
        event_id: The number of what the code asked for, or ``-1``.
        timestamp: When it was recorded; aware, in UTC.
    """

    event_id: int
    timestamp: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the event's fields by name, in values that JSON has; datetimes in ISO 8601."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def to_dict(event: HistoryEvent) -> dict[str, Any]:
    """Return an event's fields by name, in values that JSON has; datetimes in ISO 8601."""
    return event.to_dict()


# -- life of an execution


@dataclass(slots=True)
class ExecutionStartedEvent(HistoryEvent):
    """The orchestration began: which orchestrator, on which input."""

    name: str
    version: str | None = None
    input: str | None = None
    orchestration_instance: OrchestrationInstance | None = None
    parent_instance: ParentInstanceInfo | None = None
    scheduled_start_timestamp: datetime | None = None
    parent_trace_context: TraceContext | None = None
    orchestration_span_id: str | None = None
    tags: dict[str, str] | None = None


@dataclass(slots=True)
class ExecutionCompletedEvent(HistoryEvent):
    """The orchestration ended; ``orchestration_status`` is the value of an `durabletask.client.OrchestrationStatus`."""

    orchestration_status: int
    result: str | None = None
    failure_details: FailureDetails | None = None


@dataclass(slots=True)
class ExecutionTerminatedEvent(HistoryEvent):
    """It was ended from outside; ``input`` is the output it was given."""

    input: str | None = None
    recurse: bool = False


@dataclass(slots=True)
class ExecutionSuspendedEvent(HistoryEvent):
    """It was suspended; ``input`` is the reason."""

    input: str | None = None


@dataclass(slots=True)
class ExecutionResumedEvent(HistoryEvent):
    """It was resumed; ``input`` is the reason."""

    input: str | None = None


@dataclass(slots=True)
class ExecutionRewoundEvent(HistoryEvent):
    """It had failed and goes on; what made it fail was taken out of the history before this event."""

    reason: str | None = None
    parent_execution_id: str | None = None
    instance_id: str | None = None
    parent_trace_context: TraceContext | None = None
    name: str | None = None
    version: str | None = None
    input: str | None = None
    parent_instance: ParentInstanceInfo | None = None
    tags: dict[str, str] | None = None


@dataclass(slots=True)
class ContinueAsNewEvent(HistoryEvent):
    """The code asked for a fresh execution on this input."""

    input: str | None = None


# -- turns of the code


@dataclass(slots=True)
class OrchestratorStartedEvent(HistoryEvent):
    """A turn of the code began; its timestamp is the time that the code sees."""


@dataclass(slots=True)
class OrchestratorCompletedEvent(HistoryEvent):
    """The turn ended: the code waits again, or is done."""


# -- activities


@dataclass(slots=True)
class TaskScheduledEvent(HistoryEvent):
    """The code called an activity, or the next attempt of it was due."""

    name: str
    version: str | None = None
    input: str | None = None
    parent_trace_context: TraceContext | None = None
    tags: dict[str, str] | None = None


@dataclass(slots=True)
class TaskCompletedEvent(HistoryEvent):
    """The activity returned."""

    task_scheduled_id: int
    result: str | None = None


@dataclass(slots=True)
class TaskFailedEvent(HistoryEvent):
    """An attempt of the activity failed."""

    task_scheduled_id: int
    failure_details: FailureDetails | None = None


# -- sub-orchestrations


@dataclass(slots=True)
class SubOrchestrationInstanceCreatedEvent(HistoryEvent):
    """The code started a sub-orchestration."""

    instance_id: str
    name: str
    version: str | None = None
    input: str | None = None
    parent_trace_context: TraceContext | None = None
    tags: dict[str, str] | None = None


@dataclass(slots=True)
class SubOrchestrationInstanceCompletedEvent(HistoryEvent):
    """The sub-orchestration returned."""

    task_scheduled_id: int
    result: str | None = None


@dataclass(slots=True)
class SubOrchestrationInstanceFailedEvent(HistoryEvent):
    """The sub-orchestration failed, was terminated, or could not be started."""

    task_scheduled_id: int
    failure_details: FailureDetails | None = None


# -- timers


@dataclass(slots=True)
class TimerCreatedEvent(HistoryEvent):
    """The code, or a retry policy, asked to be woken at a time."""

    fire_at: datetime


@dataclass(slots=True)
class TimerFiredEvent(HistoryEvent):
    """The time came."""

    fire_at: datetime
    timer_id: int


# -- external events


@dataclass(slots=True)
class EventRaisedEvent(HistoryEvent):
    """An external event reached the orchestration."""

    name: str
    input: str | None = None


@dataclass(slots=True)
class EventSentEvent(HistoryEvent):
    """The code raised an event on another instance."""

    instance_id: str
    name: str
    input: str | None = None


# -- entities


@dataclass(slots=True)
class EntityOperationSignaledEvent(HistoryEvent):
    """The code let an entity do something, and does not wait for it."""

    request_id: str
    operation: str
    scheduled_time: datetime | None = None
    input: str | None = None
    target_instance_id: str | None = None


@dataclass(slots=True)
class EntityOperationCalledEvent(HistoryEvent):
    """The code called an entity."""

    request_id: str
    operation: str
    scheduled_time: datetime | None = None
    input: str | None = None
    parent_instance_id: str | None = None
    parent_execution_id: str | None = None
    target_instance_id: str | None = None


@dataclass(slots=True)
class EntityOperationCompletedEvent(HistoryEvent):
    """The entity's operation returned; ``request_id`` is that of the call."""

    request_id: str
    output: str | None = None


@dataclass(slots=True)
class EntityOperationFailedEvent(HistoryEvent):
    """The entity's operation failed; ``request_id`` is that of the call."""

    request_id: str
    failure_details: FailureDetails | None = None


@dataclass(slots=True)
class EntityLockRequestedEvent(HistoryEvent):
    """The code asked for the locks of a critical section, in the order of ``lock_set``."""

    critical_section_id: str
    lock_set: list[str]
    position: int
    parent_instance_id: str | None = None


@dataclass(slots=True)
class EntityLockGrantedEvent(HistoryEvent):
    """All of the entities are locked: the critical section begins."""

    critical_section_id: str


@dataclass(slots=True)
class EntityUnlockSentEvent(HistoryEvent):
    """The critical section is over for one of its entities."""

    critical_section_id: str
    parent_instance_id: str | None = None
    target_instance_id: str | None = None


# -- kinds that other services record; durable_async has none of these


@dataclass(slots=True)
class GenericEvent(HistoryEvent):
    """Something else, described by a text."""

    data: str | None = None


@dataclass(slots=True)
class HistoryStateEvent(HistoryEvent):
    """A copy of the orchestration's state within its history."""

    orchestration_state: dict[str, Any]


def _plain(value: Any) -> Any:
    """Return a value of JSON for a field's value; what is of no known kind becomes its text."""
    match value:
        case Enum():
            return _plain(value.value)
        case _ if isinstance(value, _PLAIN):
            return value
        case date():
            return value.isoformat()
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        case _:
            return str(value)


__all__ = [
    "ContinueAsNewEvent",
    "EntityLockGrantedEvent",
    "EntityLockRequestedEvent",
    "EntityOperationCalledEvent",
    "EntityOperationCompletedEvent",
    "EntityOperationFailedEvent",
    "EntityOperationSignaledEvent",
    "EntityUnlockSentEvent",
    "EventRaisedEvent",
    "EventSentEvent",
    "ExecutionCompletedEvent",
    "ExecutionResumedEvent",
    "ExecutionRewoundEvent",
    "ExecutionStartedEvent",
    "ExecutionSuspendedEvent",
    "ExecutionTerminatedEvent",
    "GenericEvent",
    "HistoryEvent",
    "HistoryStateEvent",
    "OrchestrationInstance",
    "OrchestratorCompletedEvent",
    "OrchestratorStartedEvent",
    "ParentInstanceInfo",
    "SubOrchestrationInstanceCompletedEvent",
    "SubOrchestrationInstanceCreatedEvent",
    "SubOrchestrationInstanceFailedEvent",
    "TaskCompletedEvent",
    "TaskFailedEvent",
    "TaskScheduledEvent",
    "TimerCreatedEvent",
    "TimerFiredEvent",
    "TraceContext",
    "to_dict",
]
