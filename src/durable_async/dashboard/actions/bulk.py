"""The same for all instances of a filter: counted first, confirmed by the count, and for no more than those."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import Response

from durable_async.dashboard import _csrf
from durable_async.dashboard._filters import Filter, filter_of
from durable_async.dashboard._forms import read_form
from durable_async.dashboard._visit import Visit
from durable_async.errors import DurableError
from durable_async.model.moments import instant, microseconds
from durable_async.model.records import QueryOrder

from .action import Form
from .confirm import form_page, record, refuse_viewers
from .instance import INSTANCES, InstanceAction

NAMES = ("suspend", "resume", "unpark", "rewind", "terminate", "purge")
INSTANCES_MAX = 10_000
PAGE = 500
AT_A_TIME = 50
SAMPLE = 10


@dataclass(frozen=True, slots=True)
class Found:
    """Those to which an action applies.

    Attributes:
        ids: The newest first.
        are_all: Whether there are no more.
    """

    ids: list[str]
    are_all: bool


async def page(visit: Visit) -> Response:
    """Answer with a count and a form; or do it, to those that were counted."""
    refuse_viewers(visit)
    if visit.request.method != "POST":
        return await _ask(visit, visit.request.query_params, visit.now)
    form = await read_form(visit.request)
    _csrf.check(visit.request, form)
    count, counted_at = _number(form, "count"), instant(_number(form, "counted_us"))
    if form.get("confirmation", "").strip() != str(count):
        problem = "What you typed is not their number. Nothing was done."
        return await _ask(visit, form, counted_at, problem)
    action, which = _action_of(form.get("action", "")), _filter_of(form)
    found = await _find(visit, action, which, counted_at, min(count, INSTANCES_MAX))
    outcomes = await _carry_out(visit, action, found, form)
    said = ", ".join(f"{number:,} {what}" for what, number in outcomes.most_common(5))
    await record(visit, f"{action.name} all", which.said, form, said or "there were none")
    refused = sum(outcomes.values()) - outcomes["done"]
    return visit.go_to(
        "/instances", **which.query, done="bulk", changed=outcomes["done"], refused=refused
    )


async def _ask(
    visit: Visit, query: QueryParams, counted_at: datetime, problem: str | None = None
) -> Response:
    action, which = _action_of(query.get("action", "")), _filter_of(query)
    found = await _find(visit, action, which, counted_at, INSTANCES_MAX)
    return form_page(
        visit,
        "bulk.html",
        action=action,
        which=which,
        found=found,
        sample=found.ids[:SAMPLE],
        counted_us=microseconds(counted_at),
        problem=problem,
        status=409 if problem else 200,
    )


def _action_of(name: str) -> InstanceAction:
    if name not in NAMES:
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


async def _find(
    visit: Visit, action: InstanceAction, which: Filter, counted_at: datetime, limit: int
) -> Found:
    """Return those that are meant; what was started after they were counted is not."""
    conditions = which.conditions
    until = conditions.get("created_to")
    conditions["created_to"] = counted_at if until is None else min(until, counted_at)
    ids: list[str] = []
    next_page: str | None = None
    while len(ids) < limit:
        states, next_page = await visit.client.query_page(
            limit=PAGE, page=next_page, order=QueryOrder.NEWEST, **conditions
        )
        ids += [state.instance_id for state in states if action.applies(state)]
        if next_page is None:
            return Found(ids[:limit], are_all=len(ids) <= limit)
    return Found(ids[:limit], are_all=False)


async def _carry_out(
    visit: Visit, action: InstanceAction, found: Found, sent: Form
) -> Counter[str]:
    """Do it, some at a time, so that they share round trips; returns how many came to what."""
    outcomes: Counter[str] = Counter()
    form = {"reason": sent.get("reason", ""), "recursive": "yes"}
    for begin in range(0, len(found.ids), AT_A_TIME):
        batch = found.ids[begin : begin + AT_A_TIME]
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
