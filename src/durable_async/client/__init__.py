"""The client starts, watches and steers orchestrations, and signals, calls and reads entities; it needs no worker in its process.

Knows the port and the registry. Read `_client` first; what it stands on is in `_steering`, `_watching` and `_connection`, and for
entities in `_entity_upkeep`, `_entities` and `_entity_reading`.
"""

from __future__ import annotations

from ._client import Client
from ._conditions import Conditions, EntityConditions
from ._entity_handle import EntityHandle
from ._entity_state import (
    CleanedEntities,
    EntityLockHolder,
    EntityLocks,
    EntityLockWaiter,
    EntityParkedOperation,
    EntityState,
    OrphanedLock,
)
from ._explaining import explain
from ._handle import OrchestrationHandle
from ._state import OrchestrationState
from ._watch import Watch
from ._worker_state import WorkerState

__all__ = (
    "CleanedEntities",
    "Client",
    "Conditions",
    "EntityConditions",
    "EntityHandle",
    "EntityLockHolder",
    "EntityLockWaiter",
    "EntityLocks",
    "EntityParkedOperation",
    "EntityState",
    "OrchestrationHandle",
    "OrchestrationState",
    "OrphanedLock",
    "Watch",
    "WorkerState",
    "explain",
)
