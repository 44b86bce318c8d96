"""Backfill: the runs of ticks of a schedule that are past, counted first, confirmed by the count."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from starlette.responses import Response

from durable_async.dashboard._visit import Visit
from durable_async.dashboard.actions.action import REASON, REASON_CHARS_MAX, Field, Form, details_of
from durable_async.dashboard.actions.attempt import Attempt, refuse_viewers
from durable_async.dashboard.actions.bulk import typed_number
from durable_async.dashboard.actions.confirm import form_page
from durable_async.errors import (
    BackendUnavailableError,
    DurableError,
    ValidationError,
    WaitTimeoutError,
)
from durable_async.schedules import ScheduleState

from .form import existing, seen
from .words import moment_of
from .wrong import Wrong, wrong_of

FIELDS = (
    Field(
        name="start",
        label="From",
        required=True,
        audited="from",
        hint="A time such as 2026-11-26T09:00, inclusive; in the schedule's time zone, unless it says its own.",
    ),
    Field(name="end", label="To", audited="to", hint="The same; nothing for now."),
    REASON,
)
SAMPLE = 5


async def page(visit: Visit) -> Response:
    """Answer with a form; with a count of what that would start; or start it, and go on to the schedule."""
    if visit.request.method == "POST":
        async with Attempt(visit, "backfill") as attempt:
            return await _do(visit, attempt)
    refuse_viewers(visit)
    schedule = await existing(visit, visit.asked_exactly("id"))
    return _ask(visit, schedule, {})


async def _do(visit: Visit, attempt: Attempt) -> Response:
    form = await attempt.read("id")
    schedule = await existing(visit, form.get("id", ""))
    step = form.get("step", "")
    if step == "change":
        return _ask(visit, schedule, form)
    try:
        start, end = _span(visit, schedule, form)
        if step != "do":
            return await _count(visit, schedule, form, start, end)
        attempt.details = {**details_of(FIELDS, form), "count": form.get("count", "")[:20]}
        if typed_number(form) != form.get("count"):
            problem = "What you typed is not their number. Nothing was started."
            await attempt.keep(f"refused: {problem}")
            return await _count(visit, schedule, form, start, end, problem)
        if form.get("seen") != seen(schedule):
            problem = "The schedule was changed meanwhile, so they were counted anew. Nothing was started."
            await attempt.keep(f"refused: {problem}")
            return await _count(visit, schedule, form, start, end, problem)
        attempt.once()
        await attempt.keep("begun")
        started = await _start(visit, schedule, start, end)
    except (Wrong, DurableError) as error:
        wrong = wrong_of(error) if isinstance(error, DurableError) else error
        if step == "do":
            await attempt.keep(str(error))
        return _ask(visit, schedule, form, wrong.fields)
    await attempt.keep(f"{started:,} started")
    return visit.go_to_done("/schedule", attempt.action, id=schedule.schedule_id, changed=started)


async def _start(visit: Visit, schedule: ScheduleState, start: datetime, end: datetime) -> int:
    """Start what has no run, and return how many there were."""
    try:
        return len(await visit.hub.schedules.backfill(schedule.schedule_id, start, end))
    except (BackendUnavailableError, WaitTimeoutError) as error:
        raise Wrong({"": f"{error}. Some may have been started: count again."}) from error


def _span(visit: Visit, schedule: ScheduleState, form: Form) -> tuple[datetime, datetime]:
    """Return from when until when is meant: until now at most, so that no later tick is among those that were counted.

    Raises:
        Wrong: One of them is no time.
    """
    zone = schedule.spec.time_zone
    start, end = _moment(form, "start", zone), _moment(form, "end", zone)
    if start is None:
        raise Wrong({"start": "is empty: say from when on"})
    end = visit.now if end is None else min(end, visit.now)
    if start > end:
        raise Wrong({"start": "is later than the end, or yet to come"})
    return start, end


def _moment(form: Form, name: str, zone: str) -> datetime | None:
    try:
        at = moment_of(form.get(name, "").strip())
        if at is None:
            return None
        aware = at if at.tzinfo else at.replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone))
        return aware.astimezone(UTC)
    except ValidationError as error:
        raise Wrong({name: error.reason}) from error
    except OverflowError as error:
        raise Wrong({name: "lies beyond the calendar"}) from error
    except (LookupError, ValueError, OSError) as error:
        raise Wrong({name: f"this process does not know the time zone {zone}"}) from error


def _ask(
    visit: Visit,
    schedule: ScheduleState,
    form: Form,
    wrong: Mapping[str, str] | None = None,
) -> Response:
    return form_page(
        visit,
        "backfill.html",
        status=409 if wrong else 200,
        schedule=schedule,
        given={field.name: form.get(field.name, "") for field in FIELDS},
        wrong={field.name: (wrong or {}).get(field.name, "") for field in FIELDS},
        problem=(wrong or {}).get("", ""),
        fields_of_it=FIELDS,
    )


async def _count(
    visit: Visit,
    schedule: ScheduleState,
    form: Form,
    start: datetime,
    end: datetime,
    problem: str | None = None,
) -> Response:
    """Show how many there are, and some of them."""
    schedule_id = schedule.schedule_id
    ids = await visit.hub.schedules.backfill(schedule_id, start, end, dry_run=True)
    if not ids and problem is None:
        raise Wrong({"": "All ticks of that time have their runs, or there were none."})
    return form_page(
        visit,
        "backfill_confirm.html",
        status=409 if problem else 200,
        schedule=schedule,
        seen=seen(schedule),
        start=start,
        end=end,
        count=len(ids),
        first=ids[:SAMPLE],
        last=ids[SAMPLE:][-1:],
        reason=form.get("reason", "")[:REASON_CHARS_MAX],
        problem=problem,
    )
