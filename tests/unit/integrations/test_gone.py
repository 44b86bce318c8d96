"""A caller who is gone: his orchestration goes on, nothing is half done, and nothing of his request is left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import anyio
import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from starlette.applications import Starlette
from starlette.routing import Mount

from durable_async import Status, TaskHub
from durable_async.integrations import aiohttp as on_aiohttp
from durable_async.integrations._http.messages import Api
from durable_async.integrations._http.orchestrations import start
from durable_async.integrations.starlette import durable_routes
from durable_async.testing import VirtualEnvironment, run_virtual, virtual_time

from .stage import Order, approval, call_for, registry

KEYED = {"idempotency-key": "k"}


async def begun(api: Api) -> Any:
    return await start(api, call_for({"name": "doubling"}, headers=KEYED, body=b"21"))


@pytest.mark.parametrize("means", ["scope", "task"])
@pytest.mark.parametrize("steps", range(12))
def test_a_start_that_is_cancelled_happened_or_did_not(steps: int, means: str) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with (
            TaskHub.open("memory://", registry=registry, environment=env) as hub,
            hub.worker(),
        ):
            api = Api(hub=hub)
            await _cancelled_after(steps, means, api)
            count = sum((await hub.statistics()).by_status.values())
            assert count in (0, 1)
            answer = await begun(api)
            assert answer.status == 202
            instances = [state.instance_id async for state in hub.client.query()]
            assert len(instances) == 1
            assert await hub.client.wait(instances[0], timeout=10) == 42

    run_virtual(story)


async def _cancelled_after(steps: int, means: str, api: Api) -> None:
    scope = anyio.CancelScope()

    async def request() -> None:
        with scope:
            await begun(api)

    task = asyncio.ensure_future(request())
    for _ in range(steps):
        await asyncio.sleep(0)
    if means == "scope":
        scope.cancel()
    else:
        task.cancel()
    await asyncio.wait([task])


def asgi(hub: TaskHub) -> Starlette:
    return Starlette(routes=[Mount("/durable", routes=durable_routes(hub))])


def scope_of(method: str, path: str, query: str = "") -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": method,
        "path": f"/durable/{path}",
        "query_string": query.encode(),
        "headers": [(b"host", b"shop.example"), (b"content-type", b"application/json")],
        "scheme": "http",
        "server": ("shop.example", 80),
        "root_path": "",
    }


class Caller:
    """One end of a connection, without a socket: sends what it is told to, and is gone when it is told to be."""

    def __init__(self, pieces: Iterable[bytes] = (), *, is_whole: bool = True) -> None:
        self._pieces = list(pieces)
        self._is_whole = is_whole
        self._told = False
        self.gone = anyio.Event()
        self.received: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if self._pieces:
            piece = self._pieces.pop(0)
            return {
                "type": "http.request",
                "body": piece,
                "more_body": bool(self._pieces) or not self._is_whole,
            }
        if self._is_whole and not self._told:
            self._told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.received.append(message)


@virtual_time
async def test_who_is_gone_in_the_midst_of_his_request_started_nothing(
    env: VirtualEnvironment,
) -> None:
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub:
        caller = Caller([b"[1, 2"], is_whole=False)
        caller.gone.set()
        await asgi(hub)(scope_of("POST", "orchestrators/echo"), caller.receive, caller.send)
        assert (await hub.statistics()).by_status.get(Status.PENDING, 0) == 0


@virtual_time
async def test_who_is_gone_in_the_midst_of_waiting_stops_nothing(env: VirtualEnvironment) -> None:
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub, hub.worker():
        caller = Caller([b'{"product": "desk"}'])
        with anyio.move_on_after(5):  # what a server does with a request that takes too long
            await asgi(hub)(
                scope_of("POST", "orchestrators/approval", "instanceId=a&wait=50"),
                caller.receive,
                caller.send,
            )
        assert hub.client._instances._by_key == {}
        await hub.client.raise_event("a", "approved", "Mia")
        assert (await hub.client.wait_for_end("a", timeout=5)).status is Status.COMPLETED


@virtual_time
async def test_who_is_gone_in_the_midst_of_news_leaves_nothing(env: VirtualEnvironment) -> None:
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub, hub.worker():
        await hub.client.start(approval, Order("desk"), instance_id="a")
        caller = Caller()
        async with anyio.create_task_group() as group:
            group.start_soon(
                asgi(hub), scope_of("GET", "instances/a/events"), caller.receive, caller.send
            )
            await anyio.sleep(20)
            assert b"event: status" in b"".join(one.get("body", b"") for one in caller.received)
            caller.gone.set()
        assert hub.client._instances._by_key == {}
        state = await hub.client.get("a")
        assert state is not None
        assert state.status is Status.RUNNING


@virtual_time
async def test_a_server_that_says_so_when_it_is_sent_to_is_believed(
    env: VirtualEnvironment,
) -> None:
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub, hub.worker():
        await hub.client.start(approval, Order("desk"), instance_id="a")

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.body":
                raise OSError("gone")

        await asgi(hub)(scope_of("GET", "instances/a/events"), Caller().receive, send)
        assert hub.client._instances._by_key == {}


@virtual_time
async def test_a_head_of_news_is_only_a_head(env: VirtualEnvironment) -> None:
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub, hub.worker():
        await hub.client.start(approval, Order("desk"), instance_id="a")
        caller = Caller()
        await asgi(hub)(scope_of("HEAD", "instances/a/events"), caller.receive, caller.send)
        assert [message["type"] for message in caller.received] == [
            "http.response.start",
            "http.response.body",
        ]


@pytest.mark.parametrize("path", ["instances/a?wait=50", "instances/a/events"])
async def test_aiohttp_may_cancel_its_handlers(path: str) -> None:
    hub = TaskHub.at("memory://", registry=registry)
    app = web.Application()
    app.cleanup_ctx.append(on_aiohttp.durable_context(hub))
    app.add_routes(on_aiohttp.durable_routes(hub, prefix="/durable"))
    async with TestServer(app, handler_cancellation=True) as server:
        await hub.client.start(approval, Order("desk"), instance_id="a")
        waiters = hub.client._instances._by_key
        with anyio.fail_after(20):
            async with httpx.AsyncClient(base_url=str(server.make_url("/durable/"))) as client:
                asking = asyncio.ensure_future(client.get(path))
                while not waiters:
                    await anyio.sleep(0)
                asking.cancel()
            while waiters:
                await anyio.sleep(0)
        await hub.client.raise_event("a", "approved", "Mia")
        assert (await hub.client.wait_for_end("a", timeout=5)).status is Status.COMPLETED
