"""What can be done with an entity."""

from __future__ import annotations

from typing import Any

from durable_async.client import EntityState
from durable_async.errors import InvalidTransitionError
from durable_async.hub import TaskHub
from durable_async.model.identity import EntityId

from .action import Action, Form, Kind


async def _retry(hub: TaskHub, entity: EntityId, _: Form) -> str:
    await hub.client.retry_parked_operations(entity)
    return str(entity)


async def _unpark(hub: TaskHub, entity: EntityId, _: Form) -> str:
    if not await hub.client.unpark(entity):
        raise InvalidTransitionError(str(entity), "unpark", "not parked", "parked")
    return str(entity)


async def _find(hub: TaskHub, text: str) -> tuple[EntityId, EntityState[Any] | None]:
    entity = EntityId.parse(text)
    return entity, await hub.client.get_entity(entity)


ENTITIES = Kind(
    "/entity",
    "/entities",
    _find,
    Action(
        name="retry",
        label="Retry parked operations",
        means="They are the next ones in line again, the oldest first. Nobody is told what comes of them: those who called were told when they were parked.",
        done="They are in line again.",
        applies=lambda entity: bool(entity.parked_operations),
        carry_out=_retry,
    ),
    Action(
        name="unpark-entity",
        label="Unpark",
        means="It is tried again at once. If what stopped it is still there, it will be parked again.",
        done="It was put back, and is tried again.",
        applies=lambda entity: entity.parked is not None,
        carry_out=_unpark,
    ),
)
