"""Ids of entities, between the SDK's class and durable_async's."""

from __future__ import annotations

from durable_async import EntityId
from durabletask.entities import EntityInstanceId


def to_native(entity: EntityInstanceId) -> EntityId:
    """Return durable_async's id of an entity.

    Raises:
        TypeError: It is no `EntityInstanceId`.
    """
    if not isinstance(entity, EntityInstanceId):
        raise TypeError(f"an EntityInstanceId was expected, not {entity!r}")
    return EntityId(entity.entity, entity.key)


def of_native(entity: EntityId) -> EntityInstanceId:
    """Return the SDK's id of an entity, also of one whose key the SDK would refuse: programs of durable_async may have made it."""
    made = object.__new__(EntityInstanceId)
    object.__setattr__(made, "entity", entity.name)
    object.__setattr__(made, "key", entity.key)
    return made
