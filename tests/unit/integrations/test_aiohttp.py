"""What only aiohttp has: applications inside applications, its own way to start and to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from durable_async import ConfigurationError, TaskHub
from durable_async.integrations.aiohttp import (
    client_of,
    durable_context,
    durable_routes,
    hub_of,
)
from durable_async.worker._session import Session

from .stage import Order, approval, doubling, registry


@pytest.fixture
def hub() -> TaskHub:
    return TaskHub.at("memory://", registry=registry)


@asynccontextmanager
async def served(app: web.Application) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with (
        TestServer(app) as server,
        httpx.AsyncClient(base_url=str(server.make_url(""))) as client,
    ):
        yield client


async def double(request: web.Request) -> web.Response:
    assert hub_of(request).client is client_of(request)
    handle = await client_of(request).start(doubling, int(request.match_info["number"]))
    return web.json_response(await handle.wait(timeout=10))


async def test_an_application_inside_another_has_its_hub_and_rules_of_its_own(hub: TaskHub) -> None:
    @web.middleware
    async def operators(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("x-operator") is None:
            raise web.HTTPUnauthorized
        answer: web.StreamResponse = await handler(request)
        return answer

    inner = web.Application(middlewares=[operators])
    inner.add_routes([web.get("/double/{number}", double)])
    inner.add_routes(durable_routes(hub))
    app = web.Application()
    app.cleanup_ctx.append(durable_context(hub))
    app.add_subapp("/inside", inner)
    async with served(app) as client:
        assert (await client.get("/inside/double/4")).status_code == 401
        known = {"x-operator": "Ada"}
        assert (await client.get("/inside/double/4", headers=known)).json() == 8
        answer = await client.post("/inside/orchestrators/doubling", json=4, headers=known)
        uri = answer.json()["statusQueryGetUri"]
        assert "/inside/instances/" in uri
        ended = await client.get(uri, params={"wait": 10}, headers=known)
        assert ended.json()["output"] == 8


async def test_an_application_without_a_hub_is_told_so() -> None:
    seen: list[Exception] = []

    async def index(request: web.Request) -> web.Response:
        with pytest.raises(ConfigurationError, match="cleanup_ctx") as raised:
            client_of(request)
        seen.append(raised.value)
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/", index)])
    async with served(app) as client:
        await client.get("/")
    assert len(seen) == 1


async def test_a_process_may_leave_the_work_to_others(hub: TaskHub) -> None:
    app = web.Application()
    app.cleanup_ctx.append(durable_context(hub, works=False))
    app.add_routes(durable_routes(hub))
    async with served(app) as client:
        answer = await client.post("/orchestrators/doubling?wait=0.01", json=4)
        assert answer.status_code == 202
        assert (await hub.statistics()).workers == 0


async def test_no_signal_handlers_are_taken(hub: TaskHub) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    app = web.Application()
    app.cleanup_ctx.append(durable_context(hub))
    async with served(app):
        assert [signal.getsignal(number) for number in numbers] == before
    assert [signal.getsignal(number) for number in numbers] == before


async def test_it_may_begin_in_one_task_and_end_in_another(hub: TaskHub) -> None:
    """As in fixtures of a test, or where a signal's task cleans up: no scope is to be left in one and missed in the other."""
    app = web.Application()
    app.cleanup_ctx.append(durable_context(hub))
    runner = web.AppRunner(app)
    tasks = asyncio.all_tasks()
    with anyio.fail_after(20):
        await asyncio.create_task(runner.setup())
        handle = await hub.client.start(doubling, 21)
        assert await handle.wait(timeout=10) == 42
    await asyncio.create_task(runner.cleanup())
    assert "not open" in repr(hub)
    assert asyncio.all_tasks() == tasks


@pytest.mark.parametrize("steps", range(6))
async def test_who_is_cancelled_while_it_begins_leaves_nothing_behind(steps: int) -> None:
    hub = TaskHub.at("memory://", registry=registry)
    app = web.Application()
    app.cleanup_ctx.append(durable_context(hub))
    runner = web.AppRunner(app)
    tasks = asyncio.all_tasks()
    beginning = asyncio.create_task(runner.setup())
    for _ in range(steps):
        await asyncio.sleep(0)
    beginning.cancel()
    await asyncio.wait([beginning])
    await runner.cleanup()
    assert "not open" in repr(hub)
    assert asyncio.all_tasks() == tasks


async def test_what_keeps_it_from_beginning_is_told() -> None:
    hub = TaskHub.at("sqlite:////nowhere/at/all.db", registry=registry)
    app = web.Application()
    app.cleanup_ctx.append(durable_context(hub))
    with pytest.raises(ConfigurationError, match="nowhere"):
        await web.AppRunner(app).setup()


async def test_a_worker_that_breaks_down_ends_the_application(
    hub: TaskHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(_: object) -> None:
        raise KeyError("of ada")

    monkeypatch.setattr(Session, "_sweep_forever", breaks)

    async def run() -> None:
        app = web.Application()
        app.cleanup_ctx.append(durable_context(hub))
        runner = web.AppRunner(app)
        try:
            await runner.setup()
            await asyncio.sleep(60)
        finally:
            await runner.cleanup()

    with pytest.RaisesGroup(KeyError, flatten_subgroups=True):
        await run()
    assert not (await hub.health()).is_live


@pytest.mark.parametrize("path", ["/instances/a?wait=50", "/instances/a/events"])
async def test_who_is_gone_is_noticed_without_being_sent_anything(hub: TaskHub, path: str) -> None:
    app = web.Application()
    app.cleanup_ctx.append(durable_context(hub))
    app.add_routes(durable_routes(hub, keep_alive_seconds=1_000))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("durable_async.integrations._http.leaving.LOOK_SECONDS", 0.0)
        async with served(app) as client:
            await hub.client.start(approval, Order("desk"), instance_id="a")
            waiters = hub.client._instances._by_key
            with anyio.fail_after(20):
                asking = asyncio.ensure_future(client.get(path))
                while not waiters:
                    await anyio.sleep(0)
                asking.cancel()
                while waiters:
                    await anyio.sleep(0)
            state = await hub.client.get("a")
            assert state is not None
            assert not state.is_ended


async def test_a_head_of_news_has_no_body_that_would_be_taken_for_the_next_answer(
    hub: TaskHub,
) -> None:
    app = web.Application()
    app.cleanup_ctx.append(durable_context(hub))
    app.add_routes(durable_routes(hub))
    async with TestServer(app) as server:
        await hub.client.start(approval, Order("desk"), instance_id="a")
        reader, writer = await asyncio.open_connection(server.host, server.port)
        for request in ("HEAD /instances/a/events", "GET /instances/a"):
            writer.write(f"{request} HTTP/1.1\r\nHost: shop.example\r\n\r\n".encode())
        with anyio.fail_after(20):
            assert b"text/event-stream" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readline() == b"HTTP/1.1 202 Accepted\r\n"
        writer.close()
        assert hub.client._instances._by_key == {}


async def test_a_body_that_cannot_be_read_is_its_senders_mistake(hub: TaskHub) -> None:
    app = web.Application()
    app.cleanup_ctx.append(durable_context(hub))
    app.add_routes(durable_routes(hub))
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with served(app) as client:
        answer = await client.post("/orchestrators/doubling", content=b"21", headers=headers)
        assert answer.status_code == 400
        assert answer.json()["type"] == "urn:durable-async:problem:not-readable"


async def test_addresses_begin_with_what_was_said_and_believe_no_header(hub: TaskHub) -> None:
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    for base_url, begins in (("https://shop.example/", "https://shop.example/d/"), (None, None)):
        app = web.Application()
        app.cleanup_ctx.append(durable_context(hub))
        app.add_routes(durable_routes(hub, prefix="/d", base_url=base_url))
        async with served(app) as client:
            answer = await client.post("/d/orchestrators/doubling", json=1, headers=forwarded)
            uri = answer.json()["statusQueryGetUri"]
            assert uri.startswith(begins or f"{client.base_url.join('/d/')}")
            assert answer.headers["location"] == uri


@pytest.mark.parametrize("base_url", ["shop.example", "ftp://shop.example", "https://a/?b", ""])
def test_a_base_that_is_no_address_is_refused(hub: TaskHub, base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        durable_routes(hub, base_url=base_url)
