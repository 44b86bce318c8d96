"""Schedules: what starts by itself, and when?"""

from __future__ import annotations

from starlette.responses import Response

from durable_async.dashboard._visit import Visit
from durable_async.errors import ValidationError

ROWS = 50


async def page(visit: Visit) -> Response:
    """Answer with a list, in order of the ids."""
    try:
        schedules, next_page = await visit.hub.schedules.list_page(
            limit=ROWS, page=visit.asked("page") or None
        )
    except ValidationError as error:
        return visit.page(
            "schedules.html", status=400, schedules=(), next_page=None, problem=str(error)
        )
    return visit.page("schedules.html", schedules=schedules, next_page=next_page, problem=None)
