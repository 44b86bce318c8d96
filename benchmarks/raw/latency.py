"""The floor of a start to its result: a plain loop with a commit for the start, one for the step, and one for the end.

python -m benchmarks.raw.latency here 200       three commits on one connection
python -m benchmarks.raw.latency apart 200      a client that inserts, and another process that claims, commits and notifies
python -m benchmarks.raw.latency sqlite 200     three commits in a SQLite file, in a thread
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import sys
from pathlib import Path

import asyncpg

from benchmarks.companions import attend, companion
from benchmarks.samples import emit
from benchmarks.sequential import WARM_UP, sequentially
from benchmarks.server import DSN_VARIABLE, database

FOLDER_VARIABLE = "DURABLE_ASYNC_BENCH_FOLDER"
PAYLOAD = b"x" * 80

SCHEMA = """
create table instances (id bigint primary key, owner integer, status smallint not null default 0);
create index on instances (id) where owner is null;
create table history (instance bigint, turn integer, events bytea, primary key (instance, turn));
"""
BEGIN = """
with made as (insert into instances (id, owner) values ($1, 1))
insert into history values ($1, 0, $2)
"""
STEP = "insert into history values ($1, 1, $2)"
END = """
with ended as (update instances set status = 1 where id = $1)
insert into history values ($1, 2, $2)
"""
SUBMIT = """
with made as (insert into instances (id) values ($1) returning 1)
select pg_notify('wake', '') from made
"""
CLAIM = """
with free as (select id from instances where owner is null limit 100 for update skip locked),
    mine as (update instances set owner = 1 from free where instances.id = free.id returning instances.id)
insert into history select id, 0, $1 from mine returning instance
"""
END_AND_TELL = """
with ended as (update instances set status = 1 where id = $1),
    told as (insert into history values ($1, 2, $2) returning instance)
select pg_notify('done', instance::text) from told
"""


async def here(dsn: str, total: int, watcher: asyncpg.Connection) -> dict[str, float]:
    """Measure three commits."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(SCHEMA)
    begin, step, end = [await connection.prepare(sql) for sql in (BEGIN, STEP, END)]

    async def one(number: int) -> None:
        for statement in (begin, step, end):
            await statement.fetch(number, PAYLOAD)

    figures = await sequentially(one, total, watcher)
    await check(connection, total)
    await connection.close()
    return figures


async def apart(dsn: str, total: int, watcher: asyncpg.Connection) -> dict[str, float]:
    """Measure an insert that notifies, until the other process has notified of the end."""
    connection, ear = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    await connection.execute(SCHEMA)
    done: asyncio.Queue[str] = asyncio.Queue()
    await ear.add_listener("done", lambda *heard: done.put_nowait(heard[-1]))
    submit = await connection.prepare(SUBMIT)

    async def one(number: int) -> None:
        await submit.fetch(number)
        assert await done.get() == str(number)

    async with companion(dsn, "benchmarks.raw.latency", "work"):
        figures = await sequentially(one, total, watcher)
    await check(connection, total)
    await connection.close()
    await ear.close()
    return figures


async def check(connection: asyncpg.Connection, total: int) -> None:
    """Look whether every row is there."""
    rows = await connection.fetchval("select count(*) from history")
    ended = await connection.fetchval("select count(*) from instances where status = 1")
    assert (rows, ended) == (3 * (total + WARM_UP), total + WARM_UP)


async def work(dsn: str) -> None:
    """Be the other process: claim, commit the step, commit the end and notify of it."""
    connection, ear = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    woken = asyncio.Event()
    await ear.add_listener("wake", lambda *_: woken.set())
    claim, step, end = [await connection.prepare(sql) for sql in (CLAIM, STEP, END_AND_TELL)]

    async def loop() -> None:
        while True:
            woken.clear()
            rows = await claim.fetch(PAYLOAD)
            for row in rows:
                await step.fetch(row["instance"], PAYLOAD)
                await end.fetch(row["instance"], PAYLOAD)
            if not rows:
                await woken.wait()

    task = asyncio.create_task(loop())
    await attend()
    task.cancel()


def in_file(total: int) -> dict[str, float]:
    """Measure three commits in a file, each brought to a thread and back, for a loop must not wait for the disk."""
    path = Path(os.environ[FOLDER_VARIABLE]) / f"raw-{secrets.token_hex(4)}.db"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute(
        "create table history (instance, turn, events, primary key (instance, turn))"
    )

    async def one(number: int) -> None:
        for turn in range(3):
            row = (number, turn, PAYLOAD)
            await asyncio.to_thread(connection.execute, "insert into history values (?, ?, ?)", row)

    figures = asyncio.run(sequentially(one, total))
    (rows,) = connection.execute("select count(*) from history").fetchone()
    assert rows == 3 * (total + WARM_UP)
    connection.close()
    return figures


async def main(place: str, total: int) -> None:
    """Measure on the server, and print."""
    async with database() as (dsn, watcher):
        figures = await (here if place == "here" else apart)(dsn, total, watcher)
    emit(figures)


if __name__ == "__main__":
    if sys.argv[1] == "work":
        asyncio.run(work(os.environ[DSN_VARIABLE]))
    elif sys.argv[1] == "sqlite":
        emit(in_file(int(sys.argv[2])))
    else:
        asyncio.run(main(sys.argv[1], int(sys.argv[2])))
