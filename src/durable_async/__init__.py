"""Durable execution for async Python: orchestrations that survive crashes, deploys and weeks of waiting.

from durable_async import OrchestrationContext, TaskHub, activity, orchestrator
"""

from __future__ import annotations

from durable_async._engine.activity import (
    ActivityCancelledError,
    ActivityContext,
    NonRetryableError,
    activity_context,
)
from durable_async._kernel.context import OrchestrationContext
from durable_async._kernel.entities.authoring import Entity
from durable_async._kernel.entities.context import EntityContext, entity_context
from durable_async._kernel.futures import DurableFuture, when_all, when_any
from durable_async._kernel.guard import DeterminismWarning, GuardPolicy, unsafe_nondeterminism
from durable_async.client import Client, OrchestrationHandle, OrchestrationState
from durable_async.errors import (
    ActivityFailedError,
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    CorruptHistoryError,
    DecodeError,
    DeterminismError,
    DurableError,
    EncodeError,
    EntityLockError,
    EntityLockLostError,
    EntityLockTimeoutError,
    EntityOperationFailedError,
    EntityStateAbsentError,
    ExecutionError,
    FencedError,
    ForbiddenOperationError,
    InstanceError,
    InstanceExistsError,
    InstanceNotFoundError,
    InvalidTransitionError,
    LimitExceededError,
    MissingExtraError,
    NonDeterminismError,
    NotRegisteredError,
    OrchestrationFailedError,
    OrchestrationTerminatedError,
    OutsideOrchestrationError,
    OverloadedError,
    PayloadTooLargeError,
    PoisonedOperationError,
    RegistrationError,
    SchemaVersionError,
    SerializationError,
    StalledOrchestrationError,
    SubOrchestrationFailedError,
    TurnBudgetError,
    UnknownOperationError,
    ValidationError,
    WaitTimeoutError,
)
from durable_async.failure import FailureDetails
from durable_async.hub import TaskHub
from durable_async.model.identity import EntityId
from durable_async.model.policy import ActivityOptions, RetryPolicy, ReusePolicy
from durable_async.model.records import HubStatistics
from durable_async.model.status import Status
from durable_async.registry import (
    Activity,
    FunctionEntity,
    Orchestrator,
    Registry,
    activity,
    entity,
    orchestrator,
)
from durable_async.serialization import DataConverter, JsonConverter
from durable_async.worker import Worker, WorkerSettings

__version__ = "0.1.0"

__all__ = (
    "Activity",
    "ActivityCancelledError",
    "ActivityContext",
    "ActivityFailedError",
    "ActivityOptions",
    "BackendError",
    "BackendUnavailableError",
    "Client",
    "ConfigurationError",
    "CorruptHistoryError",
    "DataConverter",
    "DecodeError",
    "DeterminismError",
    "DeterminismWarning",
    "DurableError",
    "DurableFuture",
    "EncodeError",
    "Entity",
    "EntityContext",
    "EntityId",
    "EntityLockError",
    "EntityLockLostError",
    "EntityLockTimeoutError",
    "EntityOperationFailedError",
    "EntityStateAbsentError",
    "ExecutionError",
    "FailureDetails",
    "FencedError",
    "ForbiddenOperationError",
    "FunctionEntity",
    "GuardPolicy",
    "HubStatistics",
    "InstanceError",
    "InstanceExistsError",
    "InstanceNotFoundError",
    "InvalidTransitionError",
    "JsonConverter",
    "LimitExceededError",
    "MissingExtraError",
    "NonDeterminismError",
    "NonRetryableError",
    "NotRegisteredError",
    "OrchestrationContext",
    "OrchestrationFailedError",
    "OrchestrationHandle",
    "OrchestrationState",
    "OrchestrationTerminatedError",
    "Orchestrator",
    "OutsideOrchestrationError",
    "OverloadedError",
    "PayloadTooLargeError",
    "PoisonedOperationError",
    "RegistrationError",
    "Registry",
    "RetryPolicy",
    "ReusePolicy",
    "SchemaVersionError",
    "SerializationError",
    "StalledOrchestrationError",
    "Status",
    "SubOrchestrationFailedError",
    "TaskHub",
    "TurnBudgetError",
    "UnknownOperationError",
    "ValidationError",
    "WaitTimeoutError",
    "Worker",
    "WorkerSettings",
    "__version__",
    "activity",
    "activity_context",
    "entity",
    "entity_context",
    "orchestrator",
    "unsafe_nondeterminism",
    "when_all",
    "when_any",
)
