"""One schedule: what does it start, when next, and what became of that?"""

from __future__ import annotations

from starlette.responses import Response

from durable_async.dashboard._payloads import formatted, shown
from durable_async.dashboard._visit import Visit
from durable_async.dashboard.actions import SCHEDULES

TICKS = 5


async def page(visit: Visit) -> Response:
    """Answer with all that is known of one schedule."""
    schedule = await visit.hub.schedules.describe(visit.asked_exactly("id"), ticks=TICKS)
    return visit.page(
        "schedule.html",
        schedule=schedule,
        input=await formatted(shown, lambda: schedule.spec.input),
        actions=SCHEDULES.offered(schedule) if visit.may_operate else [],
    )
