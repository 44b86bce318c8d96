"""Entities: what is stored?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from durable_async.client import EntityConditions, EntityState
from durable_async.dashboard._payloads import formatted, preview, raw
from durable_async.dashboard._visit import Visit
from durable_async.errors import DurableError, ValidationError
from durable_async.registry import is_system_name
from durable_async.serialization.stored import stored_type

ROWS = 50
SECONDS_MIN = 3.0


@dataclass(frozen=True, slots=True)
class Line:
    """An entity in the list; of one that is damaged, ``problem`` says so."""

    entity: EntityState[Any]
    state: str = ""
    backlog: int = 0
    locked_by: str = ""
    parked_operations: int = 0
    problem: str = ""


async def page(visit: Visit) -> Response:
    """Answer with a list, in order of the ids."""
    began = visit.now
    found, next_page, problem = await _found(visit)
    return visit.page(
        "entities.html",
        lines=await formatted(_lines, found),
        next_page=next_page,
        problem=problem,
        name=visit.asked("name"),
        prefix=visit.asked("prefix"),
        seconds=visit.seconds_until_next(began, SECONDS_MIN),
        status=400 if problem else 200,
    )


async def _found(visit: Visit) -> tuple[list[EntityState[Any]], str | None, str | None]:
    """Return a page of entities, where it goes on, and what is wrong with the question."""
    conditions: EntityConditions = {"key_prefix": visit.asked("prefix")}
    if name := visit.asked("name"):
        conditions["name"] = name
    if visit.asked("empty") != "yes":
        conditions["has_state"] = True
    try:
        found, next_page = await visit.client.query_entities_page(
            stored_type(visit.hub.payloads),
            limit=ROWS,
            page=visit.asked("page") or None,
            **conditions,
        )
    except ValidationError as error:
        return [], None, str(error)
    return [one for one in found if name or not _is_ours(one)], next_page, None


def _is_ours(entity: EntityState[Any]) -> bool:
    """Tell whether it is one that durable_async keeps for itself, such as a schedule, and shows elsewhere."""
    return is_system_name(entity.entity_id.name)


def _lines(entities: list[EntityState[Any]]) -> list[Line]:
    return [_line(entity) for entity in entities]


def _line(entity: EntityState[Any]) -> Line:
    try:
        holder = entity.locked_by
        return Line(
            entity,
            state=preview(raw(entity.state)) if entity.has_state else "",
            backlog=entity.backlog,
            locked_by="" if holder is None else holder.instance_id,
            parked_operations=len(entity.parked_operations),
        )
    except DurableError as error:
        return Line(entity, problem=str(error))
