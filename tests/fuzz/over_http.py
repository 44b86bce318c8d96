"""Requests to the routes of a hub: paths, queries, headers and bodies as no client would send them, past any client."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes, unquote

from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount

from durable_async import OrchestrationContext, Registry, TaskHub
from durable_async.integrations._http.routes import ROUTES, Route
from durable_async.integrations.starlette import durable_routes
from durable_async.testing import VirtualEnvironment

from . import strategies as s
from .client_api import ready
from .places import STORES, fresh_hub, run
from .reading import read_all
from .target import Target

BODY_BYTES_MAX = 10_000


class RefusedError(Exception):
    """Raised for an answer that refuses a request, in the form that is documented."""


registry = Registry()


@registry.orchestrator
async def typed(ctx: OrchestrationContext, order: dict[str, int]) -> int:
    return len(order)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it comes to a server."""

    route: Route
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


def _encoded(text: str) -> bytes:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="").encode()


def _segments() -> st.SearchStrategy[bytes]:
    known = s.one_of([b"there", b"more", b"typed", b"a", b"counter", b"add", b"~", b"~YQ", b".."])
    return st.one_of(known, st.one_of(s.sound_texts(), s.texts()).map(_encoded))


def _values() -> st.SearchStrategy[bytes]:
    known = s.one_of(
        [b"", b"true", b"0", b"1e3", b"nan", b"-1", b"2026-11-26T10:00:00Z", b"a:b", b"created"]
    )
    return st.one_of(known, s.texts().map(_encoded), st.binary(max_size=8))


def _headers() -> st.SearchStrategy[list[tuple[bytes, bytes]]]:
    names = s.one_of(
        [
            *(b"content-type", b"content-length", b"idempotency-key", b"last-event-id"),
            *(b"origin", b"host", b"sec-fetch-site", b"traceparent"),
        ]
    )
    values = s.one_of([b"application/json", b"k", b"", b"9" * 5_000, b"http://[", b"cross-site"])
    return st.lists(st.tuples(names, st.one_of(values, st.binary(max_size=8))), max_size=3)


def _bodies() -> st.SearchStrategy[bytes]:
    sound = s.sound_values().map(lambda value: json.dumps(value).encode())
    return st.one_of(s.json_texts(), sound, s.one_of([b"", b'{"a": 1}', b" " * BODY_BYTES_MAX]))


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """A request for one of the routes, all but the one that never ends."""
    route = draw(s.one_of([one for one in ROUTES if one.operation != "events"]))
    parts = route.path.encode().split(b"/")
    path = b"/".join(draw(_segments()) if part.startswith(b"{") else part for part in parts)
    names = [one.name.encode() for one in route.parameters if one.place == "query"]
    chosen = [name for name in names if draw(st.booleans())]
    pairs = [name + b"=" + draw(_values()) for name in chosen if name != b"wait"]
    return Sent(route, path, b"&".join([*pairs, b"wait=0"]), draw(_headers()), draw(_bodies()))


async def _answer(app: Starlette, sent: Sent) -> tuple[int, dict[str, str], bytes]:
    pieces = [sent.body[:7], sent.body[7:]]
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {
            "type": "http.request",
            "body": pieces.pop(0) if pieces else b"",
            "more_body": bool(pieces),
        }

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    await app(
        {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": sent.route.method,
            "scheme": "http",
            "path": "/durable" + unquote(sent.path.decode("latin-1")),
            "raw_path": b"/durable" + sent.path,
            "query_string": sent.query,
            "root_path": "",
            "headers": sent.headers,
            "server": ("shop.example", 80),
        },
        receive,
        send,
    )
    headers = {name.decode(): value.decode("latin-1") for name, value in told[0]["headers"]}
    return told[0]["status"], headers, b"".join(one.get("body", b"") for one in told[1:])


async def _try(env: VirtualEnvironment, kind: str, sent: Sent) -> int:
    """Send a request to a hub on one store; return the status of the answer, which is known to be of the documented form."""
    async with fresh_hub(env, kind, registry) as hub:
        await ready(hub)
        before = await read_all(hub, shown=False)
        routes = durable_routes(hub, body_bytes_max=BODY_BYTES_MAX)
        app = Starlette(routes=[Mount("/durable", routes=routes)])
        status, headers, body = await _answer(app, sent)
        await _check(hub, status, headers, body, before)
        return status


async def _check(
    hub: TaskHub, status: int, headers: dict[str, str], body: bytes, before: dict[str, Any]
) -> None:
    assert status < 500, body
    after = await read_all(hub, shown=False)
    if status < 300:
        assert not body or json.loads(body) is not ...
        return
    assert after == before, "a request was refused, and something was written"
    if status in (307, 405) or headers["content-type"] != "application/problem+json":
        return  # the framework's own: there is no such path
    problem = json.loads(body)
    assert problem["status"] == status
    assert problem["type"].startswith("urn:durable-async:problem:")


def _probe(sent: Sent) -> None:
    """Send a request to each store, and check that both answer the same."""
    first, *others = [run(lambda env, kind=kind: _try(env, kind, sent)) for kind in STORES]  # type: ignore[misc]
    assert all(other == first for other in others), (first, others)
    if first >= 300:
        raise RefusedError(str(first))


TARGETS = (
    Target(
        name="http",
        inputs=requests(),
        probe=_probe,
        refusals=(RefusedError,),
        examples=200,
        share=3,
    ),
)
