"""The overview: how is it going?"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from durable_async.dashboard._overviews import MINUTES, Pulse
from durable_async.dashboard._visit import Visit
from durable_async.model.records import QueryOrder
from durable_async.model.status import Status

FAILURES_SHOWN = 8
PARKED_SHOWN = 5
CHART_HEIGHT = 96.0
GAP_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Column:
    """One minute in the chart: heights of what ended, stacked, and of what began; widths in hundredths."""

    left: float
    width: float
    completed: float
    failed: float
    terminated: float
    started: float
    title: str


async def page(visit: Visit) -> Response:
    """Answer with counts, the last hour, and what went wrong."""
    counts, schedules = await visit.site.overviews.counts.get()
    pulse = await visit.site.overviews.pulse.get()
    failures, _ = await visit.client.query_page(
        statuses=[Status.FAILED], order=QueryOrder.LATEST, limit=FAILURES_SHOWN
    )
    parked, more_parked = await visit.client.query_page(
        parked=True, order=QueryOrder.NEWEST, limit=PARKED_SHOWN
    )
    return visit.page(
        "overview.html",
        counts=counts,
        schedules=schedules,
        entities=max(0, counts.entities - schedules),
        statuses=list(Status),
        failed=counts.by_status.get(Status.FAILED, 0),
        pulse=pulse,
        columns=columns_of(pulse),
        most=_most(pulse),
        failures=failures,
        parked=parked,
        more_parked=more_parked is not None,
    )


def columns_of(pulse: Pulse) -> list[Column]:
    """Return the last hour as columns of a chart."""
    most = max(1, _most(pulse))
    width = 100 / MINUTES
    found: list[Column] = []
    for minute in range(MINUTES):
        started, completed = pulse.started[minute], pulse.completed[minute]
        failed, terminated = pulse.failed[minute], pulse.terminated[minute]
        ago = MINUTES - 1 - minute
        when = "this minute" if not ago else f"{ago} min ago"
        found.append(
            Column(
                left=width * (minute + GAP_SHARE / 2),
                width=width * (1 - GAP_SHARE),
                completed=CHART_HEIGHT * completed / most,
                failed=CHART_HEIGHT * failed / most,
                terminated=CHART_HEIGHT * terminated / most,
                started=CHART_HEIGHT * started / most,
                title=f"{when}: {started:,} started, {completed:,} completed, {failed:,} failed, {terminated:,} terminated",
            )
        )
    return found


def _most(pulse: Pulse) -> int:
    ended = (
        sum(counts) for counts in zip(pulse.completed, pulse.failed, pulse.terminated, strict=True)
    )
    return max(*pulse.started, *ended)
