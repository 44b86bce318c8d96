"""The same for all instances of a filter: counted first, confirmed by the count, and for those that were counted, no others."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import Response

from durable_async.client import Conditions
from durable_async.dashboard._filters import Filter, filter_of
from durable_async.dashboard._visit import Visit
from durable_async.errors import DurableError
from durable_async.model.identity import ID_CHARS_MAX
from durable_async.model.moments import instant, microseconds
from durable_async.model.records import QueryOrder

from .action import Form, details_of
from .attempt import Attempt, refuse_viewers
from .confirm import form_page
from .instance import INSTANCES, InstanceAction

BULK_ACTIONS = ("suspend", "resume", "unpark", "rewind", "terminate", "purge")
INSTANCES_MAX = 10_000
IDS_BYTES_MAX = 4 * 1024 * 1024
"""So much of a form their ids may take, as a browser sends them."""
PAGE = 500
AT_A_TIME = 50
SAMPLE = 10
SAID_CHARS_MAX = 1_000

CHILDREN = {
    "terminate": "Sub-orchestrations are not counted here. They go on, unless you tick the box.",
    "purge": "Sub-orchestrations are not counted here. They stay, unless you tick the box: then those that have ended are purged, too.",
    "rewind": "Sub-orchestrations that failed are rewound with it.",
}
"""What happens to sub-orchestrations; those of others are left as they are."""


@dataclass(frozen=True, slots=True)
class Found:
    """Those to which an action applies.

    Attributes:
        ids: The newest first.
        are_all: Whether there are no more.
        since: When the oldest was started.
    """

    ids: list[str]
    are_all: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """Those that a page showed, as its form brings them back.

    Attributes:
        ids: Which.
        first_ids: The newest few of them.
        since: When the oldest of them was started.
        at: When they were counted.
    """

    ids: frozenset[str]
    first_ids: list[str]
    since: datetime
    at: datetime


async def page(visit: Visit) -> Response:
    """Answer with a count and a form; or do it, to those that were counted."""
    if visit.request.method == "POST":
        async with Attempt(visit, "bulk") as attempt:
            return await _do(visit, attempt)
    refuse_viewers(visit)
    return await _ask(visit, visit.request.query_params, visit.now)


async def _do(visit: Visit, attempt: Attempt) -> Response:
    form = await attempt.read("action")
    action, which, counted = _action_of(form.get("action", "")), _filter_of(form), _counted(form)
    attempt.action, attempt.target = f"{action.name} all", which.said[:SAID_CHARS_MAX]
    attempt.details = {
        **details_of(action.fields, form),
        "count": len(counted.ids),
        "first_ids": counted.first_ids,
    }
    if typed_number(form) != str(len(counted.ids)):
        problem = "What you typed is not their number. Nothing was done."
        await attempt.keep(f"refused: {problem}")
        return await _ask(visit, form, counted.at, problem)
    attempt.once()
    await attempt.keep("begun")
    ids = await _still(visit, action, which, counted)
    outcomes = await _carry_out(visit, action, ids, form)
    outcomes["moved on meanwhile"] += len(counted.ids) - len(ids)
    said = ", ".join(f"{number:,} {what}" for what, number in outcomes.most_common(5) if number)
    await attempt.keep(said or "there were none")
    refused = sum(outcomes.values()) - outcomes["done"]
    return visit.go_to_done(
        "/instances", "bulk", **which.query, changed=outcomes["done"], refused=refused
    )


async def _ask(
    visit: Visit, query: QueryParams, counted_at: datetime, problem: str | None = None
) -> Response:
    action, which = _action_of(query.get("action", "")), _filter_of(query)
    found = await _find(visit, action, which, counted_at)
    return form_page(
        visit,
        "bulk.html",
        action=action,
        which=which,
        found=found,
        sample=found.ids[:SAMPLE],
        ids=json.dumps(found.ids),
        since_us=microseconds(found.since),
        counted_us=microseconds(counted_at),
        children=CHILDREN.get(action.name, "Sub-orchestrations are left as they are."),
        reaches_children=any(field.name == "recursive" for field in action.fields),
        is_recursive="recursive" in query,
        given={field.name: query.get(field.name, "") for field in action.fields},
        problem=problem,
        status=409 if problem else 200,
    )


def _action_of(name: str) -> InstanceAction:
    if name not in BULK_ACTIONS:
        raise HTTPException(400, "That cannot be done with many at once.")
    return INSTANCES.by_name[name]


def _filter_of(query: QueryParams) -> Filter:
    which = filter_of(query)
    if which.problem is not None:
        raise HTTPException(400, which.problem)
    return which


def _number(form: Form, name: str) -> int:
    text = form.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 18):
        raise HTTPException(400, "That form cannot be read.")
    return int(text)


def _counted(form: Form) -> Counted:
    try:
        ids: Any = json.loads(form.get("ids", ""))
    except (ValueError, RecursionError):
        ids = None
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise HTTPException(400, "That form cannot be read.")
    since, at = _number(form, "since_us"), _number(form, "counted_us")
    ids = [one[:ID_CHARS_MAX] for one in ids[:INSTANCES_MAX]]
    return Counted(frozenset(ids), ids[:SAMPLE], instant(since), instant(at))


def typed_number(form: Form) -> str:
    """Return what was typed: 1,234 is 1234."""
    return form.get("confirmation", "").strip().replace(",", "")


async def _find(visit: Visit, action: InstanceAction, which: Filter, counted_at: datetime) -> Found:
    """Return those that are meant, as many as a form can hold."""
    ids: list[str] = []
    since, size = counted_at, 0
    next_page: str | None = None
    while True:
        states, next_page = await visit.client.query_page(
            limit=PAGE, page=next_page, order=QueryOrder.NEWEST, **_until(which, counted_at)
        )
        for state in states:
            if not action.applies(state):
                continue
            size += len(quote(json.dumps(state.instance_id))) + len("%2C+")
            if len(ids) == INSTANCES_MAX or size > IDS_BYTES_MAX:
                return Found(ids, are_all=False, since=since)
            ids.append(state.instance_id)
            since = min(since, state.created_at)
        if next_page is None:
            return Found(ids, are_all=True, since=since)


async def _still(
    visit: Visit, action: InstanceAction, which: Filter, counted: Counted
) -> list[str]:
    """Return those that were counted and are still like that; one that was started anew under the same id is another."""
    conditions = _until(which, counted.at)
    begin = conditions.get("created_from")
    conditions["created_from"] = counted.since if begin is None else max(begin, counted.since)
    ids: list[str] = []
    next_page: str | None = None
    while True:
        states, next_page = await visit.client.query_page(
            limit=PAGE, page=next_page, order=QueryOrder.NEWEST, **conditions
        )
        ids += [
            state.instance_id
            for state in states
            if state.instance_id in counted.ids and action.applies(state)
        ]
        if next_page is None or len(ids) == len(counted.ids):
            return ids


def _until(which: Filter, counted_at: datetime) -> Conditions:
    """Return a filter's conditions for what was there when they were counted."""
    until = which.conditions.get("created_to")
    at = counted_at if until is None else min(until, counted_at)
    return {**which.conditions, "created_to": at}


async def _carry_out(
    visit: Visit, action: InstanceAction, ids: list[str], form: Form
) -> Counter[str]:
    """Do it, some at a time, so that they share round trips; returns how many came to what."""
    outcomes: Counter[str] = Counter()
    for begin in range(0, len(ids), AT_A_TIME):
        batch = ids[begin : begin + AT_A_TIME]
        results: list[Any] = await asyncio.gather(
            *(action.carry_out(visit.hub, one, form) for one in batch), return_exceptions=True
        )
        outcomes.update(map(_outcome, results))
    return outcomes


def _outcome(result: object) -> str:
    """Return what came of one; what is no error of ours is not swallowed."""
    if isinstance(result, BaseException) and not isinstance(result, DurableError):
        raise result
    return type(result).__name__ if isinstance(result, DurableError) else "done"
