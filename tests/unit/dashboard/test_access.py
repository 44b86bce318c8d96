"""Who may come in: operators that the application knows, or this machine alone."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from starlette.requests import Request

from durable_async import ConfigurationError, TaskHub, ValidationError
from durable_async.dashboard import Dashboard, Operator

from .house import Browser, dashboard, opened

PAGES = ("/", "/instances", "/instance?id=a", "/entities", "/entity?id=@a@b", "/workers")


def test_it_is_not_made_without_saying_who_may_look() -> None:
    hub = TaskHub.at("memory://")
    with pytest.raises(ConfigurationError, match="auth="):
        Dashboard(hub)
    with pytest.raises(ConfigurationError, match="not both"):
        Dashboard(hub, auth=nobody, insecure_local=True)


def test_there_are_two_roles() -> None:
    with pytest.raises(ValidationError, match="admin"):
        Operator("Eve", "admin")  # type: ignore[arg-type]


async def nobody(request: Request) -> Operator | None:
    return None


@pytest.mark.parametrize("path", PAGES)
async def test_who_is_not_known_sees_nothing(path: str) -> None:
    async with opened() as hub:
        page = await Browser(dashboard(hub), user="eve").get(path, 403)
    assert "known to the application" in page
    assert "memory" not in page


async def test_the_application_may_ask_for_a_password() -> None:
    async def ask(request: Request) -> Operator | None:
        raise HTTPException(401, "Who are you?", {"WWW-Authenticate": "Basic"})

    async with opened() as hub:
        browser = Browser(Dashboard(hub, auth=ask))
        answer = await browser.client.get("/")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Basic"


async def local(hub: TaskHub, host: str, peer: Any, **headers: str) -> httpx.Response:
    browser = Browser(Dashboard(hub, insecure_local=True), client=peer)
    return await browser.client.get("/", headers={"host": host, **headers})


HERE = ("127.0.0.1", 5000)


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("localhost", HERE),
        ("localhost:8000", HERE),
        ("127.0.0.1:8000", HERE),
        ("[::1]:8000", ("::1", 5000)),
        ("LOCALHOST", ("::ffff:127.0.0.1", 5000)),
    ],
)
async def test_this_machine_is_let_in(host: str, peer: Any) -> None:
    async with opened() as hub:
        answer = await local(hub, host, peer)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("localhost", ("192.168.1.7", 5000)),
        ("localhost", ("::ffff:10.0.0.1", 5000)),
        ("localhost", None),
        ("attacker.example", HERE),  # whose name resolves to 127.0.0.1 by now
        ("attacker.example:8000", HERE),
        ("localhost.attacker.example", HERE),
        ("127.0.0.1.attacker.example", HERE),
        ("localhost@attacker.example", HERE),
        ("attacker.example/localhost", HERE),
        ("localhost/", HERE),
        ("[::1", HERE),
        ("", HERE),
    ],
)
async def test_nobody_else_is(host: str, peer: Any) -> None:
    async with opened() as hub:
        answer = await local(hub, host, peer)
    assert answer.status_code == 403
    assert "memory" not in answer.text


@pytest.mark.parametrize(
    "header",
    [
        "x-forwarded-for",
        "X-Forwarded-Proto",
        "x-forwarded-client-cert",
        "forwarded",
        "cf-connecting-ip",
        "CF-Ray",
        "true-client-ip",
        "via",
        "x-real-ip",
    ],
)
async def test_nor_anybody_through_a_proxy(header: str) -> None:
    async with opened() as hub:
        answer = await local(hub, "localhost", HERE, **{header: "203.0.113.9"})
    assert answer.status_code == 403
    assert "through a proxy" in answer.text


async def test_nobody_with_two_hosts() -> None:
    async with opened() as hub:
        app = Dashboard(hub, insecure_local=True)
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "client": HERE,
            "server": HERE,
            "headers": [(b"host", b"localhost"), (b"host", b"attacker.example")],
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, send)
    assert sent[0]["status"] == 403


async def test_every_address_is_below_where_it_is_mounted() -> None:
    async with opened() as hub:
        app = FastAPI()
        app.mount("/ops/durable", dashboard(hub))
        await hub.client.start("welcome", "Mia", instance_id="a")
        browser = Browser(app)
        for path in ("/", "/instances", "/instance?id=a", "/entities", "/workers"):
            page = await browser.get(f"/ops/durable{path}")
            places = [part.split('"')[0] for part in page.split(' href="')[1:]]
            places += [part.split('"')[0] for part in page.split(' src="')[1:]]
            places += [part.split('"')[0] for part in page.split(' action="')[1:]]
            assert [one for one in places if not one.startswith(("/ops/durable/", "#"))] == []
        assert "gantt" in (await browser.client.get("/ops/durable/static/dashboard.css")).text


async def test_a_hub_that_is_not_open_is_said() -> None:
    page = await Browser(dashboard(TaskHub.at("memory://"))).get("/", 503)
    assert "not open" in page
