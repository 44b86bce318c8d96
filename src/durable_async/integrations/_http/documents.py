"""Documents: an orchestration, its history or an entity as JSON. Payloads are the bytes that are stored, not what Python makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import orjson

from durable_async.client import EntityState, OrchestrationState
from durable_async.errors import DurableError
from durable_async.failure import FailureDetails
from durable_async.model.history import HistoryEvent
from durable_async.model.moments import instant
from durable_async.serialization import DataConverter
from durable_async.serialization.stored import stored_type

Document = dict[str, Any]


def state_document(
    state: OrchestrationState,
    payloads: DataConverter,
    *,
    shows_input: bool = False,
    shows_output: bool = True,
) -> Document:
    """Return what is known of an orchestration, in the words that clients of Durable Functions know."""
    document: Document = {
        "instanceId": state.instance_id,
        "name": state.name,
        "version": state.version,
        "runtimeStatus": state.status.value.capitalize(),
        "customStatus": stored(state.custom_status, payloads),
        "createdTime": _time(state.created_at),
        "lastUpdatedTime": _time(state.updated_at),
        "completedTime": _time(state.completed_at),
        "execution": state.execution,
        "tags": state.tags,
        "parentInstanceId": state.parent_instance_id,
        "parked": state.parked,
        "failure": _failure(state.failure),
    }
    if shows_output:
        document["output"] = stored(state.output, payloads)
    if shows_input:
        document["input"] = stored(state.input, payloads)
    return document


def entity_document(
    state: EntityState[Any], payloads: DataConverter, *, shows_state: bool = True
) -> Document:
    """Return what is known of an entity; its state was read as `stored_type` says."""
    document: Document = {
        "entityId": {"name": state.entity_id.name, "key": state.entity_id.key},
        "exists": state.has_state,
        "createdTime": _time(state.created_at),
        "lastUpdatedTime": _time(state.updated_at),
        "backlog": state.backlog,
        "lockedBy": None if state.locked_by is None else state.locked_by.instance_id,
        "parked": state.parked,
    }
    if shows_state:
        document["state"] = stored(lambda _: state.state, payloads)
    return document


def event_document(event: HistoryEvent) -> Document:
    """Return an event of a history."""
    return {"type": type(event).__name__, **_members(event)}


def stored(read: Callable[[Any], Any], payloads: DataConverter) -> Any:
    """Return a payload as it is stored, or why it cannot be read."""
    try:
        return raw(read(stored_type(payloads)))
    except DurableError as error:
        return {"unreadable": str(error)}


def raw(value: Any) -> Any:
    """Return a payload that was read as `stored_type` says as a part of a document."""
    return orjson.Fragment(bytes(value)) if isinstance(value, msgspec.Raw) else value


def _members(struct: msgspec.Struct) -> Document:
    document: Document = {}
    for name in struct.__struct_fields__:
        document |= _member(name, getattr(struct, name))
    return document


def _member(name: str, value: Any) -> Document:
    words = name.split("_")
    if words[-1] == "us" and isinstance(value, int):
        return {_camel(words[:-1]): _time(instant(value)) if value else None}
    return {_camel(words): _plain(value)}


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return _payload(value)
        case FailureDetails():
            return _failure(value)
        case msgspec.Struct():
            return _members(value)
        case _:
            return msgspec.to_builtins(value)


def _payload(data: bytes) -> Any:
    """Return a payload of an event, if it is JSON; what another converter wrote is for programs that have it."""
    try:
        return orjson.Fragment(msgspec.json.format(data, indent=-1)) if data else None
    except ValueError:
        return None


def _camel(words: Sequence[str]) -> str:
    return words[0] + "".join(word.capitalize() for word in words[1:])


def _failure(failure: FailureDetails | None) -> Document | None:
    """Return why something failed, without the traceback: that is for who looks after the service, and in the history of the hub."""
    if failure is None:
        return None
    return {
        "type": failure.error_type,
        "message": failure.message,
        "cause": _failure(failure.cause),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
