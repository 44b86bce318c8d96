"""The floor on Postgres: a plain loop on 8 connections that makes one row a step durable, each in a commit of its own."""

from __future__ import annotations

import asyncio
import sys
import time

import asyncpg

from benchmarks.samples import emit
from benchmarks.server import counts, database

CONNECTIONS = 8
PAYLOAD = b"x" * 80


async def main(steps: int) -> None:
    """Insert rows one by one and print steps a second."""
    async with database() as (dsn, watcher):
        connections = [await asyncpg.connect(dsn) for _ in range(CONNECTIONS)]
        await connections[0].execute(
            "create table history (instance bigint, turn integer, events bytea, primary key (instance, turn))"
        )
        inserts = [
            await one.prepare("insert into history values ($1, $2, $3)") for one in connections
        ]
        share = steps // CONNECTIONS

        async def loop(place: int) -> None:
            insert = inserts[place]
            for step in range(share):
                await insert.fetch(place * steps + step // 10, step % 10, PAYLOAD)

        for place, insert in enumerate(inserts):
            await insert.fetch(-1 - place, 0, PAYLOAD)
        before = await counts(watcher)
        cpu, begin = time.process_time(), time.perf_counter()
        await asyncio.gather(*[loop(place) for place in range(CONNECTIONS)])
        wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
        after = await counts(watcher)
        for one in connections:
            await one.close()
    steps = share * CONNECTIONS
    emit(
        {
            "steps_per_second": steps / wall,
            "cpu_us_per_step": cpu / steps * 1e6,
            "server_cpu_us_per_step": (after.cpu_seconds - before.cpu_seconds) / steps * 1e6,
            "commits_per_step": (after.transactions - before.transactions) / steps,
            "wal_bytes_per_step": (after.wal_bytes - before.wal_bytes) / steps,
            "statements_per_step": 1.0,
        }
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
