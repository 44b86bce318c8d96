"""The client starts, watches and steers orchestrations, and signals, calls and reads entities; it needs no worker in its process.

Knows the port and the registry. Begin with `_client`, which starts, and go down: `_steering` changes what is there, `_waiting` waits,
`_reading` looks, and all stand on `_connection`. What there is for entities is in `_entities`, and `_explaining` says what an orchestration
waits for.
"""

from __future__ import annotations

from ._client import Client
from ._conditions import Conditions, EntityConditions
from ._entities.handle import EntityHandle
from ._entities.state import (
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
