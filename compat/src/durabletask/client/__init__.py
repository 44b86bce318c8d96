"""Clients: they start, watch and steer orchestrations, and signal and read entities, from any process that shares the store."""

from __future__ import annotations

from durabletask._runtime.states import (
    CleanEntityStorageResult,
    EntityQuery,
    OrchestrationFailedError,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)
from durabletask.entities import EntityInstanceId, EntityMetadata
from durabletask.grpc_options import GrpcChannelOptions, GrpcClientResiliencyOptions
from durabletask.serialization import DataConverter, JsonDataConverter

from ._awaiting import AsyncTaskHubGrpcClient
from ._blocking import TaskHubGrpcClient

__all__ = (
    "AsyncTaskHubGrpcClient",
    "CleanEntityStorageResult",
    "DataConverter",
    "EntityInstanceId",
    "EntityMetadata",
    "EntityQuery",
    "GrpcChannelOptions",
    "GrpcClientResiliencyOptions",
    "JsonDataConverter",
    "OrchestrationFailedError",
    "OrchestrationQuery",
    "OrchestrationState",
    "OrchestrationStatus",
    "Page",
    "PurgeInstancesResult",
    "TaskHubGrpcClient",
)
