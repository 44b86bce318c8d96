"""Entities: small objects with a state and a name, which carry out one operation at a time."""

from __future__ import annotations

from .durable_entity import DurableEntity
from .entity_context import EntityContext
from .entity_instance_id import EntityInstanceId
from .entity_lock import EntityLock
from .entity_metadata import EntityMetadata
from .entity_operation_failed_exception import EntityOperationFailedException

__all__ = [
    "DurableEntity",
    "EntityContext",
    "EntityInstanceId",
    "EntityLock",
    "EntityMetadata",
    "EntityOperationFailedException",
]

PACKAGE_NAME = "durabletask.entities"
