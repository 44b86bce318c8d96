"""What orchestrators, activities and entities are written with: contexts, tasks, retries, failures."""

from __future__ import annotations

from durabletask.entities import DurableEntity, EntityContext, EntityInstanceId, EntityLock

from ._vocabulary.contexts import (
    Activity,
    ActivityContext,
    Entity,
    OrchestrationContext,
    Orchestrator,
    ReplaySafeLogger,
    get_entity_name,
    get_name,
)
from ._vocabulary.failures import (
    FailureDetails,
    NonDeterminismError,
    OrchestrationStateError,
    TaskCancelledError,
    TaskFailedError,
)
from ._vocabulary.retries import RetryPolicy
from ._vocabulary.tasks import (
    CancellableTask,
    CompletableTask,
    CompositeTask,
    RetryableTask,
    Task,
    TimerTask,
    WhenAllTask,
    WhenAnyTask,
    when_all,
    when_any,
)

__all__ = (
    "Activity",
    "ActivityContext",
    "CancellableTask",
    "CompletableTask",
    "CompositeTask",
    "DurableEntity",
    "Entity",
    "EntityContext",
    "EntityInstanceId",
    "EntityLock",
    "FailureDetails",
    "NonDeterminismError",
    "OrchestrationContext",
    "OrchestrationStateError",
    "Orchestrator",
    "ReplaySafeLogger",
    "RetryPolicy",
    "RetryableTask",
    "Task",
    "TaskCancelledError",
    "TaskFailedError",
    "TimerTask",
    "WhenAllTask",
    "WhenAnyTask",
    "get_entity_name",
    "get_name",
    "when_all",
    "when_any",
)
