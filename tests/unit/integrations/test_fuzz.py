"""Whatever is sent: an answer that says what is wrong, and never a failure of the server."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, given, settings, strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount

from durable_async import TaskHub
from durable_async.integrations._http.routes import ROUTES, Route
from durable_async.integrations.starlette import durable_routes
from durable_async.testing import VirtualEnvironment, run_virtual

from .stage import registry

ORDINARY = ["a", "b", "doubling", "approval", "echo", "counter", "add", "fail", "approved"]
words = st.sampled_from(
    [*ORDINARY, "@counter@a", "~", "~YQ", "..", "%00", "{}", "x" * 300]
) | st.text(max_size=8)
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
bodies = st.one_of(
    st.binary(max_size=20),
    json_like.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"", b"null", b"1", b'{"product": "x"}', b'"Mia"', b"[" * 2_000, b"1e999"]),
)
header_values = st.sampled_from(
    ["application/json", "text/plain", "k", "", "1", "99999999999999999999", "x" * 300, "\t"]
) | st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=10)


@st.composite
def requests(draw: st.DrawFn) -> tuple[Route, str, dict[str, str], bytes]:
    route = draw(st.sampled_from([one for one in ROUTES if one.operation != "events"]))
    path = "/".join(
        quote(draw(words), safe="") if part.startswith("{") else part
        for part in route.path.split("/")
    )
    names = [parameter.name for parameter in route.parameters if parameter.place == "query"]
    query = [
        (name, draw(words | st.sampled_from(["true", "0", "1e3", "nan", "2026-11-26", "a:b"])))
        for name in names
        if name != "wait" and draw(st.booleans())
    ]
    query.append(("wait", draw(st.sampled_from(["0", "0.1", "-1", "", "inf", "x"]))))
    encoded = "&".join(f"{name}={quote(value, safe='')}" for name, value in query)
    headers = draw(
        st.dictionaries(
            st.sampled_from(["content-type", "idempotency-key", "last-event-id", "accept"]),
            header_values,
            max_size=3,
        )
    )
    return route, f"/durable{path}?{encoded}", headers, draw(bodies)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(st.lists(requests(), min_size=1, max_size=6))
def test_nothing_that_is_sent_makes_the_server_fail(sent: list[Any]) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with (
            TaskHub.open("memory://", registry=registry, environment=env) as hub,
            hub.worker(),
        ):
            app = Starlette(routes=[Mount("/durable", routes=durable_routes(hub))])
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://shop.example"
            ) as client:
                for route, url, headers, body in sent:
                    raw = {name: value.encode("latin-1") for name, value in headers.items()}
                    answer = await client.request(
                        route.method, url, headers=list(raw.items()), content=body
                    )
                    assert answer.status_code < 500, answer.text
                    assert answer.status_code in {
                        200,
                        202,
                        204,
                        307,
                        404,
                        405,
                        409,
                        410,
                        413,
                        415,
                        422,
                    }
                    if answer.status_code in {409, 410, 413, 415, 422}:
                        assert answer.json()["status"] == answer.status_code

    run_virtual(story)
