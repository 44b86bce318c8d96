"""Workers: who works, and on how much?"""

from __future__ import annotations

from starlette.responses import Response

from durable_async.dashboard._visit import Visit


async def page(visit: Visit) -> Response:
    """Answer with all workers; what is dead is gone as soon as somebody has taken it over."""
    workers = sorted(await visit.client.workers(), key=lambda one: one.registered_at)
    return visit.page("workers.html", workers=workers, alive=sum(one.is_alive for one in workers))
