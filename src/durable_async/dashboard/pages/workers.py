"""Workers: who works?"""

from __future__ import annotations

from starlette.responses import Response

from durable_async.dashboard._visit import Visit


async def page(visit: Visit) -> Response:
    """Answer with all workers."""
    counts = await visit.house.overviews.statistics.get()
    return visit.page("workers.html", counts=counts)
