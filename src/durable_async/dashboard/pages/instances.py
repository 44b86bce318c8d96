"""Instances: which runs are there?"""

from __future__ import annotations

from starlette.responses import Response

from durable_async.client import OrchestrationState
from durable_async.dashboard._filters import Filter, filter_of
from durable_async.dashboard._visit import Visit
from durable_async.dashboard.actions import BULK_ACTIONS
from durable_async.errors import ValidationError
from durable_async.model.identity import ENTITY_MARK
from durable_async.model.records import QueryOrder
from durable_async.model.status import Status

ROWS = 50


async def page(visit: Visit) -> Response:
    """Answer with a list, the newest first; an id that is typed exactly leads to its page."""
    wanted = visit.asked_exactly("q")
    if wanted.startswith(ENTITY_MARK):
        return visit.go_to("/entity", id=wanted)
    if wanted and await _exists(visit, wanted):
        return visit.go_to("/instance", id=wanted)
    which = filter_of(visit.request.query_params)
    states, next_page, problem = await _found(visit, which)
    return visit.page(
        "instances.html",
        which=which,
        states=states,
        next_page=next_page,
        problem=problem,
        statuses=list(Status),
        bulk_actions=BULK_ACTIONS,
        names=sorted({state.name for state in states} | visit.hub.registry.orchestrators),
        status=400 if problem else 200,
    )


async def _exists(visit: Visit, instance_id: str) -> bool:
    try:
        return await visit.client.get(instance_id, payloads=False) is not None
    except ValidationError:
        return False


async def _found(
    visit: Visit, which: Filter
) -> tuple[list[OrchestrationState], str | None, str | None]:
    """Return a page of instances, where it goes on, and what is wrong with the question."""
    if which.problem is not None:
        return [], None, which.problem
    try:
        states, next_page = await visit.client.query_page(
            limit=ROWS,
            page=visit.asked("page") or None,
            order=QueryOrder.NEWEST,
            **which.conditions,
        )
    except ValidationError as error:
        return [], None, str(error)
    return states, next_page, None
