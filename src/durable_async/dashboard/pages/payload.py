"""A payload: all of a value, as a file."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from durable_async.dashboard._history import payload_of
from durable_async.dashboard._payloads import formatted, raw
from durable_async.dashboard._visit import Visit
from durable_async.errors import InstanceNotFoundError
from durable_async.model.identity import ENTITY_MARK, EntityId
from durable_async.serialization.stored import stored_type


async def page(visit: Visit) -> Response:
    """Answer with the JSON of an input, output, custom status, state, or of what an event of the history carries."""
    target = visit.asked_exactly("id")
    if target.startswith(ENTITY_MARK):
        return visit.file("state.json", await _entity_state(visit, target))
    if visit.asked("event"):
        number = visit.number("event", -1)
        if number < 0:
            raise HTTPException(400, "That is no number of an event.")
        return visit.file(f"event-{number}.json", await _of_event(visit, target, number))
    return visit.file("payload.json", await _of_instance(visit, target, visit.asked("what")))


async def _entity_state(visit: Visit, target: str) -> bytes:
    entity = await visit.client.get_entity(EntityId.parse(target), stored_type(visit.hub.payloads))
    if entity is None:
        raise InstanceNotFoundError(target)
    return await formatted(lambda: raw(entity.state))


async def _of_event(visit: Visit, target: str, number: int) -> bytes:
    events = await visit.client.history(target)
    data = payload_of(events[number]) if number < len(events) else None
    if data is None:
        raise HTTPException(404, "That event carries no value.")
    return data


async def _of_instance(visit: Visit, target: str, what: str) -> bytes:
    state = await visit.client.get(target)
    if state is None:
        raise InstanceNotFoundError(target)
    into = stored_type(visit.hub.payloads)
    match what:
        case "input":
            return await formatted(lambda: raw(state.input(into)))
        case "output":
            return await formatted(lambda: raw(state.output(into)))
        case "status":
            return await formatted(lambda: raw(state.custom_status(into)))
        case _:
            raise HTTPException(404, "There is no such value.")
