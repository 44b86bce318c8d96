"""News: the states of one orchestration as server-sent events, from now to its end."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator

from durable_async.client import OrchestrationState
from durable_async.errors import DurableError, InstanceNotFoundError

from .documents import state_document, stored
from .messages import Answer, Api, Call, Stream
from .orchestrations import instance_id_of, state_of
from .problems import dump

STATUS, CUSTOM_STATUS, END, GONE = "status", "customStatus", "end", "gone"
"""The kinds of events; see `docs/reference/http.md`."""

LAST_EVENT_ID = "last-event-id"
RECONNECT_MILLISECONDS = 2_000

_HEADERS = {"X-Accel-Buffering": "no"}
"""A proxy would keep news until they fill a page."""

_STILL_HERE = b": still here\n\n"


async def news(api: Api, call: Call) -> Answer | Stream:
    """Tell of each change of an orchestration's status and custom status, until it has ended.

    Who comes again with the id of the last event that reached him is told what changed since then. If that was the end, there is nothing
    to tell: 204, at which browsers stop asking.
    """
    instance_id = instance_id_of(call)
    seen = call.headers.get(LAST_EVENT_ID)
    state = await state_of(api, instance_id)
    if state.is_ended and seen == _event_id(api, state):
        return Answer(status=204)
    return Stream(pieces=_pieces(api, call, instance_id, seen), headers=_HEADERS)


async def _pieces(
    api: Api, call: Call, instance_id: str, seen: str | None
) -> AsyncGenerator[bytes, None]:
    last: OrchestrationState | None = None
    with api.client.watch(instance_id) as watch:
        yield b"retry: %d\n\n" % RECONNECT_MILLISECONDS
        while not call.leaving.is_near and not (last is not None and last.is_ended):
            state: OrchestrationState | None = None
            try:
                with call.interrupting():
                    state = await watch.next(timeout=api.keep_alive_seconds)
            except InstanceNotFoundError:
                yield _event(GONE, None, dump({"instanceId": instance_id}))
                return
            except DurableError:
                return  # the store is away: who listens comes again, and is told why
            if state is None:
                yield _STILL_HERE
                continue
            event_id = _event_id(api, state)
            if event_id != seen:
                yield _event(_kind(last, state), event_id, _data(api, state))
            seen, last = None, state


def _kind(last: OrchestrationState | None, state: OrchestrationState) -> str:
    if state.is_ended:
        return END
    if last is None or _standing(last) != _standing(state):
        return STATUS
    return CUSTOM_STATUS


def _standing(state: OrchestrationState) -> tuple[object, ...]:
    return state.status, state.execution, state.parked


def _event_id(api: Api, state: OrchestrationState) -> str:
    """Return what stands for all that events tell of: the same state has the same id, whoever serves it."""
    told = dump([state.parked, stored(state.custom_status, api.hub.payloads)])
    return f"{state.execution}-{state.status.value}-{zlib.crc32(told):08x}"


def _data(api: Api, state: OrchestrationState) -> bytes:
    return dump(state_document(state, api.hub.payloads))


def _event(kind: str, event_id: str | None, data: bytes) -> bytes:
    lines = [f"event: {kind}".encode()]
    if event_id is not None:
        lines.append(f"id: {event_id}".encode())
    # JSON has line breaks between its parts alone, and there one is like another.
    lines += [b"data: " + line for line in data.replace(b"\r", b"\n").split(b"\n")]
    return b"\n".join(lines) + b"\n\n"
