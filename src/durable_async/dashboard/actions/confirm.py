"""The page that asks whether something is meant, and does it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from durable_async.dashboard import _csrf
from durable_async.dashboard._audit import AuditRecord, keep
from durable_async.dashboard._forms import read_form
from durable_async.dashboard._visit import Visit
from durable_async.errors import DurableError, InstanceNotFoundError

from .action import Action, Form, Kind, reason_of
from .entity import ENTITIES
from .instance import INSTANCES
from .schedule import SCHEDULES

KINDS: tuple[Kind[Any], ...] = (INSTANCES, ENTITIES, SCHEDULES)


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to do.

    Attributes:
        kind: With what kind of thing.
        action: What.
        target: With which: an id.
        subject: The same, as the hub takes it.
    """

    kind: Kind[Any]
    action: Action[Any]
    target: str
    subject: Any


async def page(visit: Visit) -> Response:
    """Answer with a form; or do what a form of ours asks for, and go on to where it can be seen."""
    refuse_viewers(visit)
    if visit.request.method != "POST":
        asked = await _asked(visit, visit.asked_exactly("id"))
        given = {field.name: field.value for field in asked.action.fields}
        given["name"] = visit.asked("name")  # of an event that is waited for
        return form_page(visit, "confirm.html", asked=asked, given=given, problem=None)
    form = await read_form(visit.request)
    _csrf.check(visit.request, form)
    asked = await _asked(visit, form.get("id", ""))
    if asked.action.is_typed and form.get("confirmation", "").strip() != asked.target.strip():
        return _again(visit, asked, form, "What you typed is not its id. Nothing was done.")
    try:
        next_id = await asked.action.carry_out(visit.hub, asked.subject, form)
    except DurableError as error:
        await record(visit, asked.action.name, asked.target, form, str(error))
        return _again(visit, asked, form, str(error))
    await record(visit, asked.action.name, asked.target, form, "done")
    if next_id is None:
        return visit.go_to(asked.kind.list_page, done=asked.action.name)
    return visit.go_to(asked.kind.page, id=next_id, done=asked.action.name)


def refuse_viewers(visit: Visit) -> None:
    """Let only those go on who may change things.

    Raises:
        HTTPException: 403.
    """
    if not visit.may_operate:
        raise HTTPException(403, "You may look at everything here, and change nothing.")


def form_page(visit: Visit, template: str, *, status: int = 200, **values: Any) -> Response:
    """Return a page with a form, and let the browser keep the token that the form has to bring back."""
    token = _csrf.token_of(visit.request)
    page = visit.page(template, status=status, csrf=token, once=secrets.token_hex(16), **values)
    _csrf.keep(token, visit.request, page)
    return page


async def record(visit: Visit, action: str, target: str, form: Form, outcome: str) -> None:
    """Put what was done, or tried, into the audit log."""
    assert visit.operator is not None
    done = AuditRecord(
        at=visit.now,
        operator=visit.operator.name,
        action=action,
        target=target,
        reason=reason_of(form),
        outcome=outcome,
    )
    await keep(done, visit.house.audit)


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
    if name == "start":
        return "It was started."
    return next((one.by_name[name].done for one in KINDS if name in one.by_name), "")
