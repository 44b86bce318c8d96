"""Starting an orchestration."""

from __future__ import annotations

from starlette.responses import Response

from durable_async.dashboard._filters import tags_of
from durable_async.dashboard._visit import Visit
from durable_async.errors import DurableError, ValidationError
from durable_async.hub import TaskHub

from .action import REASON, REASON_CHARS_MAX, Field, Form, details_of, request_id_of
from .attempt import Attempt, refuse_viewers
from .confirm import form_page
from .values import input_of

FIELDS = (
    Field(
        name="name", label="Orchestrator", required=True, choices="names", audited="orchestrator"
    ),
    Field(name="input", label="Input", kind="json", hint="JSON; nothing for none."),
    Field(name="new_id", label="Id", hint="Nothing for one that is made up.", audited="new_id"),
    Field(
        name="version",
        label="Version",
        hint="What its code sees; nothing for the default of the hub.",
        audited="version",
    ),
    Field(name="tags", label="Tags", hint="Such as team=shop, env=live."),
    REASON,
)


async def page(visit: Visit) -> Response:
    """Answer with a form; or start what it says, and go on to its page."""
    if visit.request.method == "POST":
        async with Attempt(visit, "start") as attempt:
            return await _do(visit, attempt)
    refuse_viewers(visit)
    return _ask(visit, {"name": visit.asked("name")})


async def _do(visit: Visit, attempt: Attempt) -> Response:
    form = await attempt.read("new_id")
    attempt.target = attempt.target.strip() or form.get("name", "")[:REASON_CHARS_MAX]
    attempt.details = details_of(FIELDS, form)
    try:
        instance_id = await _start(visit.hub, form)
    except DurableError as error:
        await attempt.keep(str(error))
        return _ask(visit, form, str(error))
    attempt.target = instance_id
    await attempt.keep("done")
    return visit.go_to_done("/instance", "start", id=instance_id)


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
    """Start it, once for each form that was looked at, however often that is sent as it is."""
    name, once = form.get("name", "").strip(), form.get("once", "")
    if not once:
        raise ValidationError("form", "is not whole: load the page again")
    handle = await hub.client.start(
        name,
        input_of(hub, name, form),
        instance_id=form.get("new_id", "").strip() or once,
        version=form.get("version", "").strip() or None,
        tags=tags_of(form.get("tags", "")),
        request_id=request_id_of(form),
    )
    return handle.instance_id
