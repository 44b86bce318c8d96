"""One process with an open hub while nothing happens: its statements an hour, its connections, and its share of a core.

python -m benchmarks.ours.idle worker 45       the way of being idle, seconds
"""

from __future__ import annotations

import asyncio
import sys
import time

import asyncpg

from benchmarks import idle
from benchmarks.samples import emit
from benchmarks.server import database

WAYS = {
    "client": idle.client,
    "waiting_client": idle.waiting_client,
    "worker": idle.worker,
    "worker_with_instances": idle.worker_with_instances,
}
SETTLE_SECONDS = 70.0
"""A hub in which nothing has happened for a minute is looked at less often: most of an idle hour is like that."""

HOUR_SECONDS = 3600


async def connections(watcher: asyncpg.Connection, name: str) -> int:
    """Return how many a database has."""
    query = "select count(*) from pg_stat_activity where datname = $1"
    return int(await watcher.fetchval(query, name))


async def main(way: str, seconds: float) -> None:
    """Measure and print."""
    async with database() as (dsn, watcher):
        await watcher.execute("create extension if not exists pg_stat_statements")
        name = dsn.rpartition("/")[2]
        async with WAYS[way](dsn):
            await asyncio.sleep(SETTLE_SECONDS)
            assert await connections(watcher, name) > 0
            before = sum((await idle.counters(watcher, name)).values())
            begin, cpu = time.perf_counter(), time.process_time()
            await asyncio.sleep(seconds)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - begin
            after = sum((await idle.counters(watcher, name)).values())
            held = await connections(watcher, name)
    emit(
        {
            "statements_an_hour": (after - before) / wall * HOUR_SECONDS,
            "connections": held,
            "core_percent": cpu / wall * 100,
        }
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
