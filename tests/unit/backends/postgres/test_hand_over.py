"""A process that is told to stop hands over at once what waits, and keeps what is busy for its grace time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio

from durable_async import OrchestrationContext, Registry, TaskHub, activity_context
from durable_async.testing.postgres import ThrowawayPostgres

PATIENCE = 30.0
SIZE = 200

PROGRAM = """
import asyncio, os, signal
from durable_async import Registry, TaskHub

registry = Registry()

@registry.activity
async def work(seconds):
    print("begun", flush=True)
    await asyncio.sleep(seconds)
    return "in time"

@registry.orchestrator
async def busy(ctx, seconds):
    return await ctx.call_activity(work, seconds)

@registry.orchestrator
async def waiting(ctx):
    return await ctx.wait_for_external_event("said", str)

async def main():
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with TaskHub.open(os.environ["URL"], hub=os.environ["HUB"], registry=registry) as hub:
        async with hub.worker(shutdown_seconds=60):
            print("ready", flush=True)
            await told.wait()

asyncio.run(main())
"""

registry = Registry()


@registry.activity
async def work(seconds: float) -> str:
    return f"again, attempt {activity_context().attempt}"


@registry.orchestrator
async def busy(ctx: OrchestrationContext, seconds: float) -> str:
    return await ctx.call_activity(work, seconds)


@registry.orchestrator
async def waiting(ctx: OrchestrationContext) -> str:
    return await ctx.wait_for_external_event("said", str)


@pytest_asyncio.fixture
async def hub(postgres_server: ThrowawayPostgres, fresh_name: str) -> AsyncIterator[TaskHub]:
    async with TaskHub.open(postgres_server.dsn, hub=fresh_name, registry=registry) as hub:
        yield hub


async def test_what_waits_is_handed_over_while_an_activity_ends(
    hub: TaskHub, postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    environment = {**os.environ, "URL": postgres_server.dsn, "HUB": fresh_name}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE
    )
    connection = await asyncpg.connect(postgres_server.dsn)
    owned = (
        "select count(*) from durable_async.instances join durable_async.hubs using (hub)"
        " where hubs.name = $1 and owner is not null"
    )

    async def until_owned(count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while await connection.fetchval(owned, fresh_name) != count:
                await asyncio.sleep(0.01)

    try:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
        handles = await hub.client.start_many(waiting, [None] * SIZE)
        last = await hub.client.start(busy, 3.0)
        assert await asyncio.to_thread(process.stdout.readline) == b"begun\n"
        await until_owned(SIZE + 1)
        process.send_signal(signal.SIGTERM)
        await until_owned(1)
        assert process.poll() is None
        async with hub.worker():
            for handle in handles:
                await handle.raise_event("said", "heard")
            assert {await handle.wait(timeout=PATIENCE) for handle in handles} == {"heard"}
            assert await last.wait(timeout=PATIENCE) == "in time"
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()
        await connection.close()
