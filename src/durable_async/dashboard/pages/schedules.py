"""Schedules: what starts by itself, and when?"""

from __future__ import annotations

from starlette.responses import Response

from durable_async.dashboard._visit import Visit


async def page(visit: Visit) -> Response:
    """Answer with all schedules."""
    return visit.page("schedules.html")
