"""What can be done with an entity."""

from __future__ import annotations

from typing import Any

from durable_async.client import EntityState
from durable_async.errors import InvalidTransitionError
from durable_async.hub import TaskHub
from durable_async.model.identity import EntityId
from durable_async.registry import is_system_name

from .action import REASON, Action, Field, Form, Kind, request_id_of
from .values import value_of


async def _signal(hub: TaskHub, entity: EntityId, form: Form) -> str:
    operation, value = form.get("operation", "").strip(), value_of(form, "input")
    await hub.client.signal_entity(entity, operation, value, request_id=request_id_of(form))
    return str(entity)


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
        name="signal",
        label="Signal",
        means="It carries out an operation, after all that was sent to it before. Whether that succeeds is seen in its state alone.",
        done="The signal was sent.",
        applies=lambda entity: not is_system_name(entity.entity_id.name),
        carry_out=_signal,
        fields=(
            Field(name="operation", label="Operation", required=True, audited="operation"),
            Field(name="input", label="Input", kind="json", hint="JSON; nothing for none."),
            REASON,
        ),
        is_repeatable=True,
    ),
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
