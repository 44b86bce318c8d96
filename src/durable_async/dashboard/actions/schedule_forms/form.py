"""Creating a schedule, and editing one: a form, a look at the ticks that it would have, and then it is done."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from starlette.responses import Response

from durable_async.dashboard._payloads import formatted
from durable_async.dashboard._visit import Visit
from durable_async.dashboard.actions.action import REASON, Form, details_of, reason_of
from durable_async.dashboard.actions.attempt import Attempt, refuse_viewers
from durable_async.dashboard.actions.confirm import form_page
from durable_async.dashboard.actions.values import input_of
from durable_async.errors import DurableError, ScheduleExistsError, ScheduleNotFoundError
from durable_async.model.moments import microseconds
from durable_async.schedules import ScheduleState

from .fields import DEFAULTS, FIELDS, ID, MORE, OTHERWISE, PAUSED, SPEC, STARTS, WHEN
from .words import changed_words, options_of, said, typed, words_of
from .wrong import Wrong, noting, wrong_of

TICKS = 5
NOTHING = {"": "Nothing is other than it is."}


async def create(visit: Visit) -> Response:
    """Answer with a form; with what it would make; or make it, and go on to its page."""
    if visit.request.method == "POST":
        async with Attempt(visit, "create-schedule") as attempt:
            return await _create(visit, attempt)
    refuse_viewers(visit)
    return await _ask(visit, {**DEFAULTS, "orchestrator": visit.asked("name")})


async def edit(visit: Visit) -> Response:
    """Answer with a form; with what would be other than it is; or change that, and go on to its page."""
    if visit.request.method == "POST":
        async with Attempt(visit, "edit-schedule") as attempt:
            return await _edit(visit, attempt)
    refuse_viewers(visit)
    before = await existing(visit, visit.asked_exactly("id"))
    return await _ask(visit, words_of(before.spec), before)


async def existing(visit: Visit, schedule_id: str) -> ScheduleState:
    """Return a schedule.

    Raises:
        ScheduleNotFoundError: There is none.
    """
    found = await visit.hub.schedules.get(schedule_id)
    if found is None:
        raise ScheduleNotFoundError(schedule_id)
    return found


def seen(state: ScheduleState) -> str:
    """Return what tells whether somebody changed a schedule since a form was shown."""
    return str(microseconds(state.updated_at))


async def _create(visit: Visit, attempt: Attempt) -> Response:
    form = await attempt.read("id")
    words, step = typed(form, DEFAULTS), form.get("step", "")
    if step == "change":
        return await _ask(visit, words)
    is_meant = step == "do"
    try:
        options = _meant(visit, words, words)
        if not is_meant:
            return await _show_new(visit, words, options)
        attempt.once()
        attempt.details = details_of(FIELDS, form)
        is_paused = words["paused"] == "yes"
        await visit.hub.schedules.create(
            words["id"],
            options.pop("orchestrator"),
            options.pop("input"),
            paused=is_paused,
            reason=reason_of(form) if is_paused else None,
            **options,
        )
    except (Wrong, DurableError) as error:
        return await _again(visit, attempt, words, error, is_meant=is_meant)
    await attempt.keep("done")
    return visit.go_to_done("/schedule", attempt.action, id=words["id"])


async def _show_new(visit: Visit, words: Mapping[str, str], options: Mapping[str, Any]) -> Response:
    ticks = visit.hub.schedules.preview(ticks=TICKS, **options)
    if await visit.hub.schedules.get(words["id"]) is not None:
        raise ScheduleExistsError(words["id"])
    usual = {field.name for field in MORE if words[field.name] == field.value}
    rows = said({name: word for name, word in words.items() if name not in usual})
    return _show(visit, words, rows=rows, ticks=ticks)


async def _edit(visit: Visit, attempt: Attempt) -> Response:
    form = await attempt.read("id")
    schedule_id, step = form.get("id", ""), form.get("step", "")
    before = await existing(visit, schedule_id)
    was = words_of(before.spec)
    words = typed(form, was)
    if step == "change":
        return await _ask(visit, words, before)
    schedules, is_meant = visit.hub.schedules, step == "do"
    try:
        _refuse_unseen(before, form)
        others = changed_words(was, words)
        changes = _meant(visit, words, others)
        after = await schedules.preview_update(schedule_id, ticks=TICKS, **changes)
        if not is_meant:
            return await _show_changed(visit, words, after)
        attempt.once()
        attempt.details = {"changed": sorted(others), **details_of(SPEC, others)}
        await schedules.update(schedule_id, **changes)
    except (Wrong, DurableError) as error:
        return await _again(visit, attempt, words, error, before, is_meant=is_meant)
    await attempt.keep("done")
    return visit.go_to_done("/schedule", attempt.action, id=schedule_id)


async def _show_changed(visit: Visit, words: Mapping[str, str], after: ScheduleState) -> Response:
    now = await visit.hub.schedules.preview_update(after.schedule_id, ticks=TICKS)
    if now.spec == after.spec:
        raise Wrong(NOTHING)
    rows = _differences(words_of(now.spec), words_of(after.spec))
    return _show(visit, words, now, rows=rows, ticks=after.next_ticks)


def _refuse_unseen(before: ScheduleState, form: Form) -> None:
    if form.get("seen") != seen(before):
        raise Wrong({"": "It was changed meanwhile. Look again at what would be other than now."})


def _meant(visit: Visit, words: Mapping[str, str], others: Mapping[str, str]) -> dict[str, Any]:
    """Return what those of the words mean that are others than before, as options of a schedule.

    Raises:
        Wrong: They mean nothing, or nothing new.
    """
    options: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    with noting(wrong):
        options = options_of(others)
        if "when" in others:
            zone = options.get("time_zone", words["time_zone"] or "UTC")
            visit.hub.schedules.preview(ticks=0, **{**options, "time_zone": zone})
    if not {"input", "orchestrator"}.isdisjoint(others):
        with noting(wrong):
            options["input"] = input_of(visit.hub, words["orchestrator"], words)
    if wrong or not options:
        raise Wrong(wrong or NOTHING)
    return options


def _differences(was: Mapping[str, str], words: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return what is said otherwise, by its label: how it was, and how it would be."""
    old, new = said(was), said(words)
    labels = [*old, *(label for label in new if label not in old)]
    pairs = {label: (old.get(label, ""), new.get(label, "")) for label in labels}
    return {label: pair for label, pair in pairs.items() if pair[0] != pair[1]}


async def _again(
    visit: Visit,
    attempt: Attempt,
    words: Mapping[str, str],
    error: Wrong | DurableError,
    before: ScheduleState | None = None,
    *,
    is_meant: bool,
) -> Response:
    """Show the form again, with what is wrong beside its fields. A look that went wrong is nothing that was tried."""
    wrong = wrong_of(error) if isinstance(error, DurableError) else error
    if is_meant:
        await attempt.keep(str(error))
    return await _ask(visit, words, before, wrong.fields)


async def _ask(
    visit: Visit,
    words: Mapping[str, str],
    before: ScheduleState | None = None,
    wrong: Mapping[str, str] | None = None,
) -> Response:
    return form_page(
        visit,
        "schedule_form.html",
        status=409 if wrong else 200,
        before=before,
        seen="" if before is None else seen(before),
        given={**DEFAULTS, **words},
        wrong=defaultdict(str, wrong or {}),
        groups={
            "id": (ID,),
            "starts": STARTS,
            "when": WHEN,
            "otherwise": OTHERWISE,
            "more": MORE,
            "last": (REASON,) if before else (PAUSED, REASON),
        },
        all_fields=FIELDS,
        is_more=any(words.get(field.name, field.value) != field.value for field in MORE),
        names=sorted(visit.hub.registry.orchestrators),
        zones=await formatted(_zones),
    )


def _show(
    visit: Visit,
    words: Mapping[str, str],
    before: ScheduleState | None = None,
    *,
    rows: Mapping[str, Any],
    ticks: tuple[datetime, ...],
) -> Response:
    """Show what would be, before it is."""
    return form_page(
        visit,
        "schedule_confirm.html",
        before=before,
        seen="" if before is None else seen(before),
        words=words,
        rows=rows,
        ticks=ticks,
        zone=words["time_zone"] or "UTC",
    )


@functools.cache
def _zones() -> list[str]:
    """Return the names of the time zones of this machine."""
    return sorted(available_timezones())
