"""Entities: small objects with a state and a name, which carry out one operation at a time."""

from __future__ import annotations

from .entity_instance_id import EntityInstanceId
from .entity_lock import EntityLock
from .entity_metadata import EntityMetadata
from .entity_operation_failed_exception import EntityOperationFailedException

__all__ = [
    "EntityInstanceId",
    "EntityLock",
    "EntityMetadata",
    "EntityOperationFailedException",
]

PACKAGE_NAME = "durabletask.entities"
