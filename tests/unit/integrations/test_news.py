"""News of one orchestration: what is told, what is not told twice, and what is left when nobody listens any more."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from durable_async import BackendUnavailableError, TaskHub
from durable_async.integrations._http import news as module
from durable_async.integrations._http.leaving import Leaving
from durable_async.integrations._http.messages import Answer, Api, Stream
from durable_async.integrations._http.news import news
from durable_async.testing import VirtualEnvironment, virtual_time

from .stage import Order, approval, call_for, progress, registry


@asynccontextmanager
async def a_shop(env: VirtualEnvironment) -> AsyncGenerator[Api, None]:
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub, hub.worker():
        yield Api(hub=hub)


async def pieces_of(
    api: Api, instance_id: str, last: str | None = None, leaving: Leaving | None = None
) -> Any:
    headers = {} if last is None else {"last-event-id": last}
    answer = await news(api, call_for({"instance": instance_id}, headers=headers, leaving=leaving))
    assert isinstance(answer, Stream)
    return answer.pieces


def read(piece: bytes) -> dict[str, str]:
    lines = (line.split(": ", 1) for line in piece.decode().strip().split("\n"))
    return {line[0]: line[1] for line in lines}


@virtual_time
async def test_each_change_is_told_once_and_the_end_is_the_last(env: VirtualEnvironment) -> None:
    async with a_shop(env) as api:
        handle = await api.client.start(approval, Order("desk"), instance_id="a")
        told: list[tuple[str, str, Any]] = []

        async def listen() -> None:
            async for piece in await pieces_of(api, "a"):
                if b"data: " in piece:
                    event = read(piece)
                    state = json.loads(event["data"])
                    told.append((event["event"], state["runtimeStatus"], state["customStatus"]))

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            await anyio.sleep(1)
            await handle.suspend()
            await anyio.sleep(1)
            await handle.resume()
            await anyio.sleep(1)
            await handle.raise_event("approved", "Mia")
        assert told[-4:] == [
            ("status", "Running", "waits for an approval"),
            ("status", "Suspended", "waits for an approval"),
            ("status", "Running", "waits for an approval"),
            ("end", "Completed", "waits for an approval"),
        ]


@virtual_time
async def test_who_comes_again_is_told_what_changed_since(env: VirtualEnvironment) -> None:
    async with a_shop(env) as api:
        handle = await api.client.start(approval, Order("desk"), instance_id="a")
        await anyio.sleep(1)
        pieces = await pieces_of(api, "a")
        assert await anext(pieces) == b"retry: 2000\n\n"
        first = read(await anext(pieces))
        await pieces.aclose()
        pieces = await pieces_of(api, "a", first["id"])
        await anext(pieces)
        assert await anext(pieces) == b": still here\n\n"
        await handle.raise_event("approved", "Mia")
        last = read(await anext(pieces))
        assert last["event"] == "end"
        assert json.loads(last["data"])["output"] == {"product": "desk", "approved_by": "Mia"}
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)
        answer = await news(api, call_for({"instance": "a"}, headers={"last-event-id": last["id"]}))
        assert isinstance(answer, Answer)
        assert answer.status == 204
        assert [read(piece).get("event") async for piece in await pieces_of(api, "a", "x")] == [
            None,
            "end",
        ]


@virtual_time
async def test_what_is_purged_meanwhile_is_gone(env: VirtualEnvironment) -> None:
    async with a_shop(env) as api:
        handle = await api.client.start(approval, Order("desk"), instance_id="a")
        await anyio.sleep(1)
        pieces = await pieces_of(api, "a")
        await anext(pieces)
        await anext(pieces)
        await handle.terminate()
        await api.client.wait_for_end("a")
        assert await api.client.purge("a") == 1
        assert read(await anext(pieces))["event"] == "gone"
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)


@virtual_time
async def test_a_change_of_the_custom_status_alone_is_told_as_such(
    env: VirtualEnvironment,
) -> None:
    async with a_shop(env) as api:
        await api.client.start(progress, instance_id="a")
        told = [
            (event["event"], json.loads(event["data"])["customStatus"])
            async for piece in await pieces_of(api, "a")
            if "data" in (event := read(piece))
        ]
    assert told[-3:] == [("customStatus", "half"), ("customStatus", "whole"), ("end", "whole")]


@virtual_time
async def test_when_the_store_is_away_the_stream_ends_and_browsers_come_again(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise BackendUnavailableError("nobody at home")

    async with a_shop(env) as api:
        handle = await api.client.start(approval, Order("desk"), instance_id="a")
        await anyio.sleep(1)
        pieces = await pieces_of(api, "a")
        await anext(pieces)
        await anext(pieces)
        with monkeypatch.context() as patched:
            patched.setattr(type(api.hub.backend), "read", away)
            await handle.suspend()
            assert [piece async for piece in pieces if piece != b": still here\n\n"] == []


@virtual_time
async def test_listeners_share_their_looks_at_the_store(env: VirtualEnvironment) -> None:
    async with a_shop(env) as api:
        await api.client.start(approval, Order("desk"), instance_id="a")
        await anyio.sleep(1)
        reads: list[int] = []
        store: Any = api.hub.backend
        original = store.read

        async def counted(ids: Any, *, payloads: bool) -> Any:
            reads.append(len(ids))
            return await original(ids, payloads=payloads)

        async def listen() -> None:
            async for _ in await pieces_of(api, "a"):
                pass

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(listen)
            await anyio.sleep(1)
            store.read = counted
            await anyio.sleep(600)
            group.cancel_scope.cancel()
        assert len(reads) < 60, "ten minutes, in which nothing happens"


@virtual_time
async def test_a_listener_that_leaves_leaves_nothing(env: VirtualEnvironment) -> None:
    async with a_shop(env) as api:
        await api.client.start(approval, Order("desk"), instance_id="a")
        waiters = api.client._instances._by_key
        with anyio.move_on_after(20):
            async for _ in await pieces_of(api, "a"):
                assert "a" in waiters
        assert waiters == {}
        state = await api.client.get("a")
        assert state is not None
        assert not state.is_ended


@virtual_time
async def test_a_stream_ends_when_its_server_is_to_exit(
    env: VirtualEnvironment,
) -> None:
    leaving = Leaving()
    async with a_shop(env) as api:
        await api.client.start(approval, Order("desk"), instance_id="a")
        began = env.monotonic()
        async with anyio.create_task_group() as group:

            async def listen() -> None:
                async for _ in await pieces_of(api, "a", leaving=leaving):
                    pass

            group.start_soon(listen)
            await anyio.sleep(3)
            leaving.tell()
        assert env.monotonic() - began < 3.5


class Listening:
    """What a server listens by."""

    is_open = True

    def is_serving(self) -> bool:
        return self.is_open


class Server:
    """As much of uvicorn as is looked at."""

    def __init__(self) -> None:
        self.should_exit = False
        self.servers = [Listening()]

    def handle_exit(self, *_: object) -> None: ...

    def is_told(self) -> None:
        self.should_exit = True

    def has_had_enough(self) -> None:
        """As after ``--limit-max-requests``, of which nobody is told."""
        self.servers[0].is_open = False


@pytest.mark.parametrize("end", [Server.is_told, Server.has_had_enough])
@virtual_time
async def test_a_stream_looks_whether_its_server_is_to_exit(
    env: VirtualEnvironment, end: Callable[[Server], None]
) -> None:
    server = Server()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "durable_async.integrations._http.leaving.signal.getsignal",
            lambda _: server.handle_exit,
        )
        async with a_shop(env) as api:
            await api.client.start(approval, Order("desk"), instance_id="a")
            async with anyio.create_task_group() as group:

                async def listen() -> None:
                    async for _ in await pieces_of(api, "a"):
                        pass

                group.start_soon(listen)
                await anyio.sleep(3)

                end(server)
                began = env.monotonic()
            assert env.monotonic() - began <= 1.0


def test_line_breaks_between_parts_of_json_do_not_break_an_event() -> None:
    piece = module._event("status", "1", b'{"a":\r\n[1,\n2]}')
    assert piece == b'event: status\nid: 1\ndata: {"a":\ndata: \ndata: [1,\ndata: 2]}\n\n'
