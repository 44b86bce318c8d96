"""What can be done with an entity."""

from __future__ import annotations

from typing import Any

from durable_async.client import Client, EntityState
from durable_async.errors import InvalidTransitionError
from durable_async.model.identity import EntityId

from .action import Action, Form

EntityAction = Action[EntityState[Any]]


async def _retry(client: Client, entity: EntityId, _: Form) -> str:
    await client.retry_parked_operations(entity)
    return str(entity)


async def _unpark(client: Client, entity: EntityId, _: Form) -> str:
    if not await client.unpark(entity):
        raise InvalidTransitionError(str(entity), "unpark", "not parked", "parked")
    return str(entity)


_ALL: tuple[EntityAction, ...] = (
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

BY_NAME = {action.name: action for action in _ALL}


def offered(entity: EntityState[Any]) -> list[EntityAction]:
    """Return what can be done with an entity, as it stands."""
    return [action for action in _ALL if action.applies(entity)]
