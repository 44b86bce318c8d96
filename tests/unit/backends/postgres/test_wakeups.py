"""A message to an instance of another process reaches it by a notification; if that is lost, by looking."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from durable_async import OrchestrationContext, Registry, TaskHub
from durable_async.backend import Hearing
from durable_async.model.status import Status
from durable_async.testing.postgres import ThrowawayPostgres
from durable_async.testing.proxy import FaultProxy

PATIENCE = 30.0
NEVER = 1_000_000.0
"""Whoever polls as rarely as this, and begins at a fiftieth of it, does not look within a test's patience."""

registry = Registry()


@registry.orchestrator
async def echo(ctx: OrchestrationContext) -> str:
    return await ctx.wait_for_external_event("said", str)


WORKER = """
import asyncio, sys
from durable_async import Registry, TaskHub
from durable_async.backend import Hearing

registry = Registry()

@registry.orchestrator
async def echo(ctx):
    return await ctx.wait_for_external_event("said", str)

async def main() -> None:
    async with TaskHub.open(sys.argv[1], hub=sys.argv[2], registry=registry) as hub:
        async with hub.worker(poll_seconds=1_000_000.0):
            while hub.backend.hearing is not Hearing.MOSTLY:
                await asyncio.sleep(0.005)
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


def hears(hub: TaskHub) -> bool:
    return hub.backend.hearing is Hearing.MOSTLY


@pytest.fixture
def rarely_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that do not look by themselves, so that nothing but a hint can tell them."""
    monkeypatch.setattr("durable_async.client._lookout.PAUSE_SECONDS_FIRST", NEVER)
    pauses = dict.fromkeys(Hearing, NEVER)
    monkeypatch.setattr("durable_async.client._lookout.PAUSE_SECONDS_MAX", pauses)


@asynccontextmanager
async def another_process(dsn: str, hub: str) -> AsyncIterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, dsn, hub],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
        yield
        process.stdin.close()
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0


@pytest.mark.usefixtures("rarely_looking")
async def test_a_message_reaches_another_process_and_its_answer_comes_back(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    dsn = postgres_server.dsn
    async with (
        TaskHub.open(dsn, hub=fresh_name, registry=registry) as hub,
        another_process(dsn, fresh_name),
        asyncio.timeout(PATIENCE),
    ):
        await until(lambda: hears(hub))
        handles = [await hub.client.start(echo) for _ in range(5)]
        for handle in handles:
            state = await hub.client.wait_for_start(handle)
            assert state.status is Status.RUNNING
        for number, handle in enumerate(handles):
            await handle.raise_event("said", f"hello {number}")
            assert await handle.wait() == f"hello {number}"


@asynccontextmanager
async def two_hubs(
    server: ThrowawayPostgres, proxy: FaultProxy, name: str, **settings: Any
) -> AsyncIterator[tuple[TaskHub, TaskHub]]:
    """A client whose connections can fail, and a worker elsewhere."""
    async with (
        TaskHub.open(server.dsn, hub=name, registry=registry) as there,
        TaskHub.open(proxy.through(server.dsn), hub=name, registry=registry) as here,
        there.worker(**settings),
    ):
        await until(lambda: hears(here) and hears(there))
        yield here, there


async def test_what_was_not_told_is_found_by_looking(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    with FaultProxy(postgres_server.server.port) as proxy:
        async with two_hubs(postgres_server, proxy, fresh_name) as (hub, _):
            proxy.hold("/ears")  # neither what is said here nor what is said to us
            async with asyncio.timeout(PATIENCE):
                handle = await hub.client.start(echo)
                await hub.client.wait_for_start(handle)
                await handle.raise_event("said", "hello")
                assert await handle.wait() == "hello"


async def test_a_client_that_hears_nothing_finds_the_end_by_looking(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    with FaultProxy(postgres_server.server.port) as proxy:
        async with two_hubs(postgres_server, proxy, fresh_name, poll_seconds=NEVER) as (
            hub,
            other,
        ):
            handle = await hub.client.start(echo)
            waiting = asyncio.ensure_future(handle.wait())
            await hub.client.wait_for_start(handle)
            proxy.hold("/ears", way="down")
            await other.client.raise_event(handle.instance_id, "said", "hello")
            async with asyncio.timeout(PATIENCE):
                assert await waiting == "hello"


async def test_a_worker_looks_when_it_can_hear_again(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    with FaultProxy(postgres_server.server.port) as proxy:
        async with (
            TaskHub.open(postgres_server.dsn, hub=fresh_name, registry=registry) as here,
            TaskHub.open(
                proxy.through(postgres_server.dsn), hub=fresh_name, registry=registry
            ) as there,
            there.worker(poll_seconds=NEVER),
        ):
            await until(lambda: hears(here) and hears(there))
            first = await here.client.start(echo)
            await here.client.wait_for_start(first)
            proxy.refuse()
            proxy.reset("/ears")
            await until(lambda: not hears(there))
            second = await here.client.start(echo)
            await first.raise_event("said", "one")
            await second.raise_event("said", "two")
            proxy.accept()
            async with asyncio.timeout(PATIENCE):
                assert await first.wait() == "one"
                assert await second.wait() == "two"


@pytest.mark.usefixtures("rarely_looking")
async def test_a_waiting_client_looks_when_it_can_hear_again(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    with FaultProxy(postgres_server.server.port) as proxy:
        async with two_hubs(postgres_server, proxy, fresh_name) as (hub, other):
            handle = await hub.client.start(echo)
            waiting = asyncio.ensure_future(handle.wait())
            await hub.client.wait_for_start(handle)
            proxy.refuse()
            proxy.reset("/ears")
            await until(lambda: not hears(hub))
            await other.client.raise_event(handle.instance_id, "said", "hello")
            async with asyncio.timeout(PATIENCE):
                while (await other.client.get(handle.instance_id)).status is not Status.COMPLETED:  # type: ignore[union-attr]
                    await asyncio.sleep(0.005)
            assert not waiting.done()
            proxy.accept()
            async with asyncio.timeout(PATIENCE):
                assert await waiting == "hello"
