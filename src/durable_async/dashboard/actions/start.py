"""Starting an orchestration."""

from __future__ import annotations

from starlette.responses import Response

from durable_async.dashboard import _csrf
from durable_async.dashboard._filters import tags_of
from durable_async.dashboard._forms import read_form
from durable_async.dashboard._visit import Visit
from durable_async.errors import DurableError, ValidationError
from durable_async.hub import TaskHub

from .action import REASON, Field, Form
from .confirm import form_page, record, refuse_viewers
from .values import input_of

FIELDS = (
    Field(name="name", label="Orchestrator", required=True, choices="names"),
    Field(name="input", label="Input", kind="json", hint="JSON; nothing for none."),
    Field(name="new_id", label="Id", hint="Nothing for one that is made up."),
    Field(name="version", label="Version", hint="What its code sees; nothing for none."),
    Field(name="tags", label="Tags", hint="Such as team=shop, env=live."),
    REASON,
)


async def page(visit: Visit) -> Response:
    """Answer with a form; or start what it says, and go on to its page."""
    refuse_viewers(visit)
    if visit.request.method != "POST":
        return _ask(visit, {"name": visit.asked("name")})
    form = await read_form(visit.request)
    _csrf.check(visit.request, form)
    try:
        instance_id = await _start(visit.hub, form)
    except DurableError as error:
        target = form.get("new_id", "").strip() or form.get("name", "")
        await record(visit, "start", target, form, str(error))
        return _ask(visit, form, str(error))
    await record(visit, "start", instance_id, form, "done")
    return visit.go_to("/instance", id=instance_id, done="start")


def _ask(visit: Visit, form: Form, problem: str | None = None) -> Response:
    return form_page(
        visit,
        "start.html",
        wanted=FIELDS,
        given={field.name: form.get(field.name, "") for field in FIELDS},
        names=sorted(visit.hub.registry.orchestrators),
        problem=problem,
        status=409 if problem else 200,
    )


async def _start(hub: TaskHub, form: Form) -> str:
    """Start it, once for each form that was looked at, however often that is sent."""
    name, once = form.get("name", "").strip(), form.get("once", "")
    if not once:
        raise ValidationError("form", "is not whole: load the page again")
    handle = await hub.client.start(
        name,
        input_of(hub, name, form),
        instance_id=form.get("new_id", "").strip() or once,
        version=form.get("version", "").strip() or None,
        tags=tags_of(form.get("tags", "")),
        request_id=once,
    )
    return handle.instance_id
