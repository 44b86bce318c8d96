"""What can be asked of entities: each operation, from a request to its answer."""

from __future__ import annotations

from typing import Any

from durable_async.client import EntityConditions, EntityState
from durable_async.errors import WaitTimeoutError
from durable_async.model.identity import EntityId, check_name
from durable_async.registry import is_system_name
from durable_async.serialization.stored import stored_type

from . import query
from .bodies import read_body, value_of
from .documents import Document, entity_document, raw
from .idempotency import fresh_request_id, request_id
from .messages import Answer, Api, Call
from .paging import listed
from .problems import RETRY_SECONDS, ProblemError, dump
from .segments import text_of

CALL_SECONDS = 10.0
"""So long a caller waits for an entity's answer who does not say how long."""


async def entity(api: Api, call: Call) -> Answer:
    """Tell the state of an entity."""
    entity_id = _entity_id(call)
    state = await api.client.get_entity(entity_id, stored_type(api.hub.payloads))
    if state is None:
        raise _no_entity(entity_id)
    return Answer(status=200, body=dump(entity_document(state, api.hub.payloads)))


async def entities(api: Api, call: Call) -> Answer:
    """List entities, page by page."""
    shows = query.flag(call, "showState", default=False)
    payloads = api.hub.payloads
    conditions = _conditions(call)

    async def read(limit: int, page: str | None) -> tuple[list[EntityState[Any]], str | None]:
        return await api.client.query_entities_page(
            stored_type(payloads), limit=limit, page=page, **conditions
        )

    def document(state: EntityState[Any]) -> Document | None:
        if is_system_name(state.entity_id.name):
            return None
        return entity_document(state, payloads, shows_state=shows)

    return await listed(call, "entities", read, document)


async def signal(api: Api, call: Call) -> Answer:
    """Let an entity do something, without waiting for it."""
    at = query.moment_or_delay(call, "at")
    entity_id, operation, value = await _operation(api, call)
    handle = api.client.entity(
        entity_id, request_id=request_id(call, "signal", str(entity_id), operation)
    )
    if at is None:
        await handle.signal(operation, value)
    else:
        await handle.signal_at(at, operation, value)
    return Answer(status=202)


async def call_entity(api: Api, call: Call) -> Answer:
    """Let an entity do something, and answer with what came out, if that comes in time."""
    wait = query.seconds(call, "wait", api.wait_seconds_max)
    entity_id, operation, value = await _operation(api, call)
    once = request_id(call, "call", str(entity_id), operation) or fresh_request_id()

    async def answer(seconds: float) -> Answer:
        handle = api.client.entity(entity_id, timeout=seconds, request_id=once)
        into = stored_type(api.hub.payloads)
        try:
            result = await handle.call(operation, value, result_type=into)
        except WaitTimeoutError:
            return _unanswered(entity_id, operation)
        return Answer(status=200, body=dump(raw(result)))

    with call.interrupting():
        return await answer(CALL_SECONDS if wait is None else wait)
    # Nobody waits any longer, and it may not have been taken down yet: asking once more sees to that, and does nothing twice.
    return await answer(0)


def _unanswered(entity_id: EntityId, operation: str) -> Answer:
    return Answer(
        status=202,
        body=dump({"entityId": str(entity_id), "operation": operation}),
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


def _entity_id(call: Call) -> EntityId:
    """Return the entity that a path is about; none of the library's own: who signals those of schedules starts whatever he likes."""
    entity_id = EntityId(text_of(call.names["entity"], "entity"), text_of(call.names["key"], "key"))
    if is_system_name(entity_id.name):
        raise _no_entity(entity_id)
    return entity_id


def _no_entity(entity_id: EntityId) -> ProblemError:
    return ProblemError(404, "entity-not-found", f"no entity {entity_id} in this task hub")


async def _operation(api: Api, call: Call) -> tuple[EntityId, str, Any]:
    entity_id = _entity_id(call)
    operation = check_name(text_of(call.names["operation"], "operation"), "operation")
    data = await read_body(call, api.body_bytes_max)
    return entity_id, operation, value_of(data, api.hub.payloads)


def _conditions(call: Call) -> EntityConditions:
    conditions = EntityConditions(
        key_prefix=query.text(call, "keyPrefix") or "",
        updated_from=query.moment(call, "lastUpdatedTimeFrom"),
        updated_to=query.moment(call, "lastUpdatedTimeTo"),
        has_state=query.flag(call, "exists", default=None),
    )
    name = query.text(call, "name")
    if name is not None:
        conditions["name"] = name
    return conditions
