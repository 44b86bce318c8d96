"""What a hub costs a Postgres server while nothing happens: statements an hour and connections, of one process.

./dev python -m benchmarks.idle            with 75 s for each way of being idle
./dev python -m benchmarks.idle 300 --statements
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from benchmarks.samples import table
from benchmarks.server import server
from durable_async import OrchestrationContext, Registry, TaskHub

SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "top",
    # What an autovacuum does meanwhile is not the hub's doing.
    "autovacuum": "off",
}
SETTLE_SECONDS = 70.0
"""A hub in which nothing has happened for a minute is looked at less often: most of an idle hour is like that."""

WORDS = 70

registry = Registry()


@registry.orchestrator
async def waits(ctx: OrchestrationContext) -> None:
    """Wait for what does not come."""
    await ctx.wait_for_external_event("never", str)


@dataclass(frozen=True)
class Cost:
    """What was counted."""

    seconds: float
    statements: dict[str, int]
    connections: dict[str, int]

    def an_hour(self, count: int) -> str:
        """Return a count as one of an hour."""
        return f"{count * 3600 / self.seconds:,.0f}"


@asynccontextmanager
async def client(dsn: str) -> AsyncGenerator[None, None]:
    """A process that has opened a hub, to start something some time."""
    async with TaskHub.open(dsn, registry=registry) as hub:
        await hub.client.get("nobody")
        yield


@asynccontextmanager
async def waiting_client(dsn: str) -> AsyncGenerator[None, None]:
    """The same, with calls that wait for a hundred instances."""
    async with TaskHub.open(dsn, registry=registry) as hub, asyncio.TaskGroup() as group:
        handles = [await hub.client.start(waits) for _ in range(100)]
        tasks = [group.create_task(handle.wait()) for handle in handles]
        yield
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def worker(dsn: str) -> AsyncGenerator[None, None]:
    """A process with a worker that has nothing to do."""
    async with TaskHub.open(dsn, registry=registry) as hub, hub.worker():
        yield


@asynccontextmanager
async def worker_with_instances(dsn: str) -> AsyncGenerator[None, None]:
    """The same, with a hundred instances that wait for something."""
    async with TaskHub.open(dsn, registry=registry) as hub, hub.worker():
        for _ in range(100):
            await hub.client.start(waits)
        yield


Idle = Callable[[str], AbstractAsyncContextManager[None]]


async def measure(admin: str, number: int, idle: Idle, seconds: float) -> Cost:
    """Be idle in one way in a database of its own, and count."""
    watcher: Any = await asyncpg.connect(admin)
    name = f"idle_{number}"
    await watcher.execute(f"create database {name}")
    async with idle(admin.rpartition("/")[0] + f"/{name}"):
        await asyncio.sleep(SETTLE_SECONDS)
        before = await counters(watcher, name)
        await asyncio.sleep(seconds)
        after = await counters(watcher, name)
        rows = await watcher.fetch(
            "select coalesce(nullif(substring(application_name from '[^/]*$'), ''), '?') as role, count(*) as n"
            " from pg_stat_activity where datname = $1 group by 1 order by 1",
            name,
        )
    await watcher.close()
    statements = {
        text: calls - before.get(text, 0)
        for text, calls in after.items()
        if calls > before.get(text, 0)
    }
    return Cost(
        seconds,
        statements,
        {row["role"]: row["n"] for row in rows},
    )


async def counters(watcher: Any, name: str) -> dict[str, int]:
    """Return how often each statement was called in a database."""
    rows = await watcher.fetch(
        "select s.query, sum(s.calls)::bigint as calls from pg_stat_statements s"
        " join pg_database d on d.oid = s.dbid where d.datname = $1 group by 1",
        name,
    )
    return {" ".join(row["query"].split()): row["calls"] for row in rows}


async def main(seconds: float, show_statements: bool, folder: str) -> None:
    """Measure and print."""
    ways: dict[str, Idle] = {
        "client": client,
        "client, 100 calls wait": waiting_client,
        "worker": worker,
        "worker, 100 instances wait": worker_with_instances,
    }
    with server(folder, SETTINGS) as postgres:
        watcher: Any = await asyncpg.connect(postgres.dsn)
        await watcher.execute("create extension pg_stat_statements")
        await watcher.close()
        costs = await asyncio.gather(
            *(
                measure(postgres.dsn, number, idle, seconds)
                for number, idle in enumerate(ways.values())
            )
        )
    rows = [
        [
            name,
            cost.an_hour(sum(cost.statements.values())),
            str(sum(cost.connections.values())),
            ", ".join(f"{role} {count}" for role, count in cost.connections.items()),
        ]
        for name, cost in zip(ways, costs, strict=True)
    ]
    heads = ["one process", "statements/h", "connections", "which"]
    print(f"idle for {seconds:g} s")
    print(table(heads, rows))
    if show_statements:
        for name, cost in zip(ways, costs, strict=True):
            print(f"\n{name}")
            for text, calls in sorted(cost.statements.items(), key=lambda item: -item[1]):
                print(f"{cost.an_hour(calls):>8}/h  {text[:WORDS]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=75.0)
    parser.add_argument("--statements", action="store_true", help="show which, too")
    parser.add_argument("--disk", default=tempfile.gettempdir(), help="a folder for the server")
    chosen = parser.parse_args()
    asyncio.run(main(chosen.seconds, chosen.statements, chosen.disk))
