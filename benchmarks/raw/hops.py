"""What a hop is measured by: one commit of one row on the same server, and a plain hop by an insert that notifies.

python -m benchmarks.raw.hops commit 400       inserts, one after the other, on one connection
python -m benchmarks.raw.hops ball 200         two processes insert, commit and notify in turns: there and back are two hops
"""

from __future__ import annotations

import asyncio
import os
import sys

import asyncpg

from benchmarks.companions import attend, companion
from benchmarks.samples import emit
from benchmarks.sequential import WARM_UP, sequentially
from benchmarks.server import DSN_VARIABLE, database

PAYLOAD = b"x" * 80

SCHEMA = "create table history (id bigint generated always as identity primary key, events bytea)"
INSERT = "insert into history (events) values ($1)"
SEND = """
with sent as (insert into history (events) values ($1) returning 1)
select pg_notify('{}', '') from sent
"""


async def commit(dsn: str, total: int, watcher: asyncpg.Connection) -> dict[str, float]:
    """Measure inserts; one counts as one hop."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(SCHEMA)
    insert = await connection.prepare(INSERT)

    async def one(number: int) -> None:
        await insert.fetch(PAYLOAD)

    figures = await sequentially(one, total, watcher)
    assert await connection.fetchval("select count(*) from history") == total + WARM_UP
    await connection.close()
    return _of_a_hop(figures, 1)


async def ball(dsn: str, total: int, watcher: asyncpg.Connection) -> dict[str, float]:
    """Measure how long one is away."""
    connection, ear = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    await connection.execute(SCHEMA)
    back: asyncio.Queue[None] = asyncio.Queue()
    await ear.add_listener("ping", lambda *_: back.put_nowait(None))
    send = await connection.prepare(SEND.format("pong"))

    async def one(number: int) -> None:
        await send.fetch(PAYLOAD)
        await back.get()

    async with companion(dsn, "benchmarks.raw.hops", "work"):
        figures = await sequentially(one, total, watcher)
    assert await connection.fetchval("select count(*) from history") == 2 * (total + WARM_UP)
    await connection.close()
    await ear.close()
    return _of_a_hop(figures, 2)


async def work(dsn: str) -> None:
    """Be the other process: send back what comes."""
    connection, ear = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    come: asyncio.Queue[None] = asyncio.Queue()
    await ear.add_listener("pong", lambda *_: come.put_nowait(None))
    send = await connection.prepare(SEND.format("ping"))

    async def loop() -> None:
        while True:
            await come.get()
            await send.fetch(PAYLOAD)

    task = asyncio.create_task(loop())
    await attend()
    task.cancel()


def _of_a_hop(figures: dict[str, float], hops: int) -> dict[str, float]:
    return {key.replace("_run", "_hop"): value / hops for key, value in figures.items()}


async def main(what: str, total: int) -> None:
    """Measure and print."""
    async with database() as (dsn, watcher):
        figures = await (commit if what == "commit" else ball)(dsn, total, watcher)
    emit(figures)


if __name__ == "__main__":
    if sys.argv[1] == "work":
        asyncio.run(work(os.environ[DSN_VARIABLE]))
    else:
        asyncio.run(main(sys.argv[1], int(sys.argv[2])))
