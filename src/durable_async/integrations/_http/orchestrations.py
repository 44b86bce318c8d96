"""What can be asked of orchestrations: each operation, from a request to its answer."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from durable_async.client import Conditions, OrchestrationHandle, OrchestrationState
from durable_async.errors import (
    DecodeError,
    InstanceNotFoundError,
    InvalidTransitionError,
    WaitTimeoutError,
)
from durable_async.model.identity import check_instance_id, check_orchestrator_name
from durable_async.registry import Orchestrator

from . import query
from .bodies import read_body, value_of
from .documents import Document, state_document
from .idempotency import digest, id_by_key, request_id
from .links import history_uri, management, status_uri
from .messages import Answer, Api, Call
from .paging import history_part, listed
from .problems import RETRY_SECONDS, ProblemError, dump
from .segments import text_of


async def start(api: Api, call: Call) -> Answer:
    """Start an orchestration; with ``wait``, answer with its end if that comes in time."""
    name = check_orchestrator_name(text_of(call.names["name"], "name"))
    view = _view(api, call)
    data = await read_body(call, api.body_bytes_max)
    instance_id = query.text(call, "instanceId") or id_by_key(call, name)
    handle = await api.client.start(
        _known(api, name) or name,
        _input(api, name, data),
        instance_id=instance_id,
        version=query.text(call, "version"),
        tags=query.tags(call) or None,
        start_at=query.moment_or_delay(call, "startAt"),
        # With the same key and another body it is another request, which finds the id taken.
        request_id=request_id(call, "start", name, instance_id or "", digest(data)),
    )
    try:
        state = await _ended(api, call, handle, view.wait)
        if state is not None:
            return await _state_answer(api, call, state, view)
    except InstanceNotFoundError as error:
        # There was one: a start before with the same key made it.
        raise ProblemError(
            410,
            "instance-purged",
            f"instance {error.instance_id!r} was started, and has been deleted since: what became of it is not known any more",
        ) from error
    return _accepted(call, handle.instance_id)


async def status(api: Api, call: Call) -> Answer:
    """Tell where an orchestration stands; with ``wait``, as soon as it has ended, or when the time is over."""
    instance_id = instance_id_of(call)
    view = _view(api, call)
    state = await _ended(api, call, instance_id, view.wait) or await state_of(api, instance_id)
    return await _state_answer(api, call, state, view)


async def instances(api: Api, call: Call) -> Answer:
    """List orchestrations, page by page."""
    shows = query.flag(call, "showPayloads", default=False)
    order = query.order(call)
    conditions = _conditions(call)

    async def read(limit: int, page: str | None) -> tuple[list[OrchestrationState], str | None]:
        return await api.client.query_page(
            limit=limit, page=page, payloads=shows, order=order, **conditions
        )

    def document(state: OrchestrationState) -> Document:
        return state_document(state, api.hub.payloads, shows_input=shows, shows_output=shows)

    return await listed(call, "instances", read, document)


async def raise_event(api: Api, call: Call) -> Answer:
    """Raise an event on an orchestration."""
    instance_id = instance_id_of(call)
    name = text_of(call.names["event"], "event")
    data = await read_body(call, api.body_bytes_max)
    was_delivered = await api.client.raise_event(
        instance_id,
        name,
        value_of(data, api.hub.payloads),
        request_id=request_id(call, "event", instance_id, name),
    )
    if not was_delivered:
        raise InvalidTransitionError(instance_id, "raise an event on", "ended", "running")
    return _done(call, instance_id)


async def suspend(api: Api, call: Call) -> Answer:
    """Suspend an orchestration."""
    instance_id = instance_id_of(call)
    await api.client.suspend(instance_id, query.text(call, "reason"))
    return _done(call, instance_id)


async def resume(api: Api, call: Call) -> Answer:
    """Let a suspended orchestration go on."""
    instance_id = instance_id_of(call)
    await api.client.resume(instance_id, query.text(call, "reason"))
    return _done(call, instance_id)


async def terminate(api: Api, call: Call) -> Answer:
    """End an orchestration; the reason becomes its output."""
    instance_id = instance_id_of(call)
    await api.client.terminate(
        instance_id,
        query.text(call, "reason"),
        recursive=query.flag(call, "recursive", default=True),
    )
    return _done(call, instance_id)


async def rewind(api: Api, call: Call) -> Answer:
    """Let a failed orchestration go on."""
    instance_id = instance_id_of(call)
    await api.client.rewind(instance_id, query.text(call, "reason"))
    return _done(call, instance_id)


async def restart(api: Api, call: Call) -> Answer:
    """Start an orchestration that has ended once more, under its own id or another."""
    handle = await api.client.restart(
        instance_id_of(call), instance_id=query.text(call, "instanceId")
    )
    return _accepted(call, handle.instance_id)


async def purge(api: Api, call: Call) -> Answer:
    """Purge an orchestration that has ended."""
    instance_id = instance_id_of(call)
    recursive = query.flag(call, "recursive", default=True)
    count = await api.client.purge(instance_id, recursive=recursive)
    if not count:
        state = await state_of(api, instance_id, payloads=False)
        raise InvalidTransitionError(instance_id, "purge", state.status.value, "ended")
    return Answer(status=200, body=dump({"instancesDeleted": count}))


# -- parts


def instance_id_of(call: Call) -> str:
    """Return the instance that a path is about."""
    return check_instance_id(text_of(call.names["instance"], "instance"))


def _known(api: Api, name: str) -> Orchestrator[Any, Any] | None:
    """Return an orchestrator that is registered here; others may be where their workers are."""
    registry = api.hub.registry
    return registry.find_orchestrator(name) if name in registry.orchestrators else None


def _input(api: Api, name: str, data: bytes) -> Any:
    """Return the input of an orchestrator, read as its worker will read it, so that what does not fit is refused now."""
    payloads = api.hub.payloads
    value = value_of(data, payloads)
    orchestrator = _known(api, name)
    if orchestrator is None or value is None or not orchestrator.signature.parameters:
        return value
    into = orchestrator.signature.input_type
    try:
        decoded = payloads.decode(data, into, "body")
    except DecodeError as error:
        raise ProblemError(422, "input-mismatch", str(error), path=error.path) from error
    return value if into is Any else decoded


class _View(NamedTuple):
    """How a caller wants to see an orchestration: read before anything is done, so that it can be refused."""

    wait: float | None
    shows_input: bool
    shows_history: bool
    history_from: int


def _view(api: Api, call: Call) -> _View:
    return _View(
        query.seconds(call, "wait", api.wait_seconds_max),
        query.flag(call, "showInput", default=True),
        query.flag(call, "showHistory", default=False),
        query.count(call, "historyFrom"),
    )


async def _ended(
    api: Api, call: Call, instance: str | OrchestrationHandle[Any], wait: float | None
) -> OrchestrationState | None:
    """Return an orchestration that ends in the time that the caller waits, or the server stays."""
    if not wait:
        return None
    with call.interrupting(), suppress(WaitTimeoutError):
        return await api.client.wait_for_end(instance, timeout=wait)
    return None


async def state_of(api: Api, instance_id: str, *, payloads: bool = True) -> OrchestrationState:
    """Return where an orchestration stands; `InstanceNotFoundError` if there is none."""
    state = await api.client.get(instance_id, payloads=payloads)
    if state is None:
        raise InstanceNotFoundError(instance_id)
    return state


async def _state_answer(api: Api, call: Call, state: OrchestrationState, view: _View) -> Answer:
    document = state_document(state, api.hub.payloads, shows_input=view.shows_input)
    if view.shows_history:
        pages = api.client.history_pages(state.instance_id)
        document["history"], following = await history_part(pages, view.history_from)
        document["historyNextUri"] = (
            None if following is None else history_uri(call, state.instance_id, following)
        )
    if state.is_ended:
        return Answer(status=200, body=dump(document))
    return Answer(status=202, body=dump(document), headers=_polling(call, state.instance_id))


def _accepted(call: Call, instance_id: str) -> Answer:
    return Answer(
        status=202,
        body=dump(management(call, instance_id)),
        headers=_polling(call, instance_id),
    )


def _done(call: Call, instance_id: str) -> Answer:
    """Return that a wish was taken down: the worker carries it out, and the status shows it."""
    return Answer(status=202, headers={"Location": status_uri(call, instance_id)})


def _polling(call: Call, instance_id: str) -> dict[str, str]:
    return {"Location": status_uri(call, instance_id), "Retry-After": str(RETRY_SECONDS)}


def _conditions(call: Call) -> Conditions:
    return Conditions(
        statuses=query.statuses(call),
        names=query.texts(call, "name"),
        id_prefix=query.text(call, "instanceIdPrefix") or "",
        created_from=query.moment(call, "createdTimeFrom"),
        created_to=query.moment(call, "createdTimeTo"),
        completed_from=query.moment(call, "completedTimeFrom"),
        completed_to=query.moment(call, "completedTimeTo"),
        tags=query.tags(call),
        parent=query.text(call, "parentInstanceId"),
        parked=query.flag(call, "parked", default=None),
    )
