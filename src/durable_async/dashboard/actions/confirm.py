"""The page that asks whether something is meant, and does it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from durable_async.dashboard import _csrf
from durable_async.dashboard._visit import Visit
from durable_async.errors import DurableError, InstanceNotFoundError

from .action import Action, Form, Kind, details_of
from .attempt import Attempt, refuse_viewers
from .entity import ENTITIES
from .instance import INSTANCES
from .schedule import SCHEDULES

KINDS: tuple[Kind[Any, Any], ...] = (INSTANCES, ENTITIES, SCHEDULES)
DONE = {
    "start": "It was started.",
    "create-schedule": "It was created.",
    "edit-schedule": "It was changed.",
}
"""What is said after what has a form of its own."""
ACTION_CHARS_MAX = 100
NEW_ID_CHARS_MAX = 240


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to do.

    Attributes:
        kind: With what kind of thing.
        action: What.
        target: With which: an id.
        subject: The same, as the hub takes it.
    """

    kind: Kind[Any, Any]
    action: Action[Any, Any]
    target: str
    subject: Any


async def page(visit: Visit) -> Response:
    """Answer with a form; or do what a form of ours asks for, and go on to where it can be seen."""
    if visit.request.method == "POST":
        name = visit.request.path_params["action"][:ACTION_CHARS_MAX]
        async with Attempt(visit, name) as attempt:
            return await _do(visit, attempt)
    refuse_viewers(visit)
    asked = await _asked(visit, visit.asked_exactly("id"))
    given = {field.name: field.value for field in asked.action.fields}
    given["name"] = visit.asked("name")  # of an event that is waited for
    given["new_id"] = _new_id(asked.target)
    return form_page(visit, "confirm.html", asked=asked, given=given, problem=None)


async def _do(visit: Visit, attempt: Attempt) -> Response:
    form = await attempt.read("id")
    asked = await _asked(visit, form.get("id", ""))
    attempt.details = details_of(asked.action.fields, form)
    if asked.action.is_typed and form.get("confirmation", "").strip() != asked.target.strip():
        problem = "What you typed is not its id. Nothing was done."
        await attempt.keep(f"refused: {problem}")
        return _again(visit, asked, form, problem)
    if not asked.action.is_repeatable:
        attempt.once()
    try:
        next_id = await asked.action.carry_out(visit.hub, asked.subject, form)
    except DurableError as error:
        await attempt.keep(str(error))
        return _again(visit, asked, form, str(error))
    await attempt.keep("done")
    if next_id is None:
        return visit.go_to_done(asked.kind.list_page, asked.action.name)
    return visit.go_to_done(asked.kind.page, asked.action.name, id=next_id)


def _new_id(target: str) -> str:
    """Return an id that nobody has, for what is started anew."""
    return f"{target.strip()[:NEW_ID_CHARS_MAX]}-{secrets.token_hex(4)}"


def form_page(visit: Visit, template: str, *, status: int = 200, **values: Any) -> Response:
    """Return a page with a form, and let the browser keep the token that the form has to bring back."""
    token = _csrf.token_of(visit.request)
    page = visit.page(template, status=status, csrf=token, once=secrets.token_hex(16), **values)
    _csrf.keep(token, visit.request, page)
    return page


def _again(visit: Visit, asked: Asked, form: Form, problem: str) -> Response:
    given = {field.name: form.get(field.name, "") for field in asked.action.fields}
    return form_page(visit, "confirm.html", status=409, asked=asked, given=given, problem=problem)


async def _asked(visit: Visit, target: str) -> Asked:
    """Return what is asked for.

    Raises:
        HTTPException: 404, there is no such action; 409, it makes no sense as things stand.
        InstanceNotFoundError: There is no such instance or entity.
    """
    name = visit.request.path_params["action"]
    kind = next((one for one in KINDS if name in one.by_name), None)
    if kind is None:
        raise HTTPException(404, "There is no such action.")
    action = kind.by_name[name]
    subject, state = await kind.find(visit.hub, target)
    if state is None:
        raise InstanceNotFoundError(target)
    if not action.applies(state):
        raise HTTPException(409, f"{action.label}: as it stands now, that is not possible.")
    return Asked(kind, action, target, subject)


def done_text(name: str) -> str:
    """Return what is said after an action; nothing for what is none of ours."""
    return DONE.get(name) or next(
        (one.by_name[name].done for one in KINDS if name in one.by_name), ""
    )
