"""The psql session of the administrators' page: what it shows is what psql shows, on a hub such as the page describes."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import pytest

from durable_async import Entity, OrchestrationContext, Registry, RetryPolicy, TaskHub
from durable_async.backends.postgres.embedded import find_binaries

from .markdown import ROOT, blocks

PAGE = ROOT / "docs/howto/postgres-schema.md"
PROMPT = "shop=> "
DAY = 86_400

registry = Registry()
answered = anyio.Event()


@registry.activity
async def charge(order: int) -> None:
    await answered.wait()


@registry.activity(retry=RetryPolicy(max_attempts=9, first_delay=timedelta(hours=1)))
async def reserve(order: int) -> None:
    raise ConnectionError("the warehouse does not answer")


@registry.orchestrator
async def checkout(ctx: OrchestrationContext, order: int) -> str:
    async with asyncio.timeout(DAY):
        await ctx.wait_for_external_event("approved")
    async with asyncio.TaskGroup() as group:
        for work in (charge, reserve):
            group.create_task(ctx.call_activity(work, order))
        group.create_task(ctx.call_activity("ship", order))
    return "done"


@registry.orchestrator
async def greet(ctx: OrchestrationContext, name: str) -> str:
    return f"hello {name}"


@registry.entity
class Stock(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def add(self, amount: int) -> None:
        self.state += amount


@registry.orchestrator
async def count(ctx: OrchestrationContext, what: str) -> None:
    async with ctx.lock_entities([Stock.entity_id(what)]):
        await ctx.wait_for_external_event("counted")


@asynccontextmanager
async def shop(dsn: str) -> AsyncIterator[None]:
    async with TaskHub.open(dsn, hub="shop", registry=registry) as hub, hub.worker():
        client = hub.client
        await client.start(greet, "Ada", instance_id="hello-1")
        await client.start(checkout, 1, instance_id="order-1")
        await client.start(checkout, 2, instance_id="order-2")
        await client.start(checkout, 3, instance_id="order-3", start_at=DAY)
        await client.start("refund", instance_id="refund-1")
        await client.raise_event("order-2", "approved")
        await client.raise_event("order-2", "thanks")
        await client.wait("hello-1", str, timeout=30)
        await client.signal_entity(Stock.entity_id("apples"), Stock.add, 5)
        async with asyncio.timeout(30):
            for number in (1, 2):
                await client.start(count, "apples", instance_id=f"count-{number}")
                while "EntityLocksRequested" not in await events(hub, f"count-{number}"):
                    await asyncio.sleep(0.01)
            while "EntityLocked" not in await events(hub, "count-1"):
                await asyncio.sleep(0.01)
            while "ActivityFailed" not in await events(hub, "order-2"):
                await asyncio.sleep(0.01)
            while "TimerCreated" not in await events(hub, "order-1"):
                await asyncio.sleep(0.01)
        yield
        answered.set()


async def events(hub: TaskHub, instance_id: str) -> set[str]:
    return {type(event).__name__ for event in await hub.client.history(instance_id)}


def session() -> Iterator[tuple[str, str]]:
    """Yield the page's statements, and what it says that each of them prints."""
    for block in blocks(PAGE.read_text(encoding="utf-8")):
        if block.language == "text" and block.text.startswith(PROMPT):
            for part in block.text.split(PROMPT)[1:]:
                statement, _, printed = part.partition(";\n")
                yield f"{statement};", printed


def plain(text: str) -> str:
    """Return a table without what differs from run to run: times, and how wide they make a column."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+\d\d", "TIME", text)
    text = re.sub(r"[0-9a-f]{32}", "WORKER", text)
    return "\n".join(
        " ".join(re.sub("-{3,}", "---", line).split()) for line in text.strip().splitlines()
    )


def psql(dsn: str, statement: str) -> str:
    program = find_binaries() / "psql"
    if not program.exists():
        pytest.skip("the server's programs come without psql")
    words = [str(program), "-X", "-q", "-P", "pager=off", "-v", "ON_ERROR_STOP=1", dsn]
    setup = "set search_path = durable_async; set timezone = 'UTC'"
    done = subprocess.run(
        [*words, "-c", setup, "-c", statement], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_the_session_is_as_it_is(postgres_database: str) -> None:
    statements = list(session())
    assert len(statements) >= 5
    async with shop(postgres_database):
        for statement, printed in statements:
            actual = await asyncio.to_thread(psql, postgres_database, statement)
            assert plain(actual) == plain(printed), statement
