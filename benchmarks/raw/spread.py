"""The floor of steps in another process: 500 plain coroutines of 10 steps, 200 in flight, and a table of tasks between two processes.

A step is four durable phases: scheduled, claimed, completed, taken back. Each side commits all that is ready at a time, and notifies once
a commit. There are no retries, leases or checks.

python -m benchmarks.raw.spread
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import asyncpg

from benchmarks.companions import attend, companion
from benchmarks.samples import emit
from benchmarks.server import DSN_VARIABLE, counts, database
from benchmarks.workload import IN_FLIGHT, ORCHESTRATIONS, STEPS

WARM_UP = 50
REPEATS = 5
"""How often the workload is run: once is a fifth of a second, which says more of the machine's mood than of the loop."""

PAYLOAD = b"x" * 80

SCHEMA = """
create table instances (id bigint primary key, status smallint not null default 0);
create table history (instance bigint, turn integer, events bytea, primary key (instance, turn));
create table tasks (id bigint generated always as identity primary key, instance bigint, step integer, input bytea, claimed boolean not null default false);
create index on tasks (id) where not claimed;
create table inbox (id bigint generated always as identity primary key, instance bigint, step integer, result bytea);
"""
SAVE = """
with history as (insert into history select * from unnest($1::bigint[], $2::integer[], $3::bytea[])),
    made as (insert into instances select * from unnest($4::bigint[])),
    ended as (update instances set status = 1 where id = any($5::bigint[])),
    called as (insert into tasks (instance, step, input) select * from unnest($6::bigint[], $7::integer[], $8::bytea[]) returning 1)
select pg_notify('called', '') where exists (select from called)
"""
TAKE = """
with taken as (delete from inbox returning instance, step, result),
    history as (insert into history select instance, step * 2, result from taken)
select instance, step from taken
"""
CLAIM = """
with free as (select id from tasks where not claimed order by id limit 500 for update skip locked)
update tasks set claimed = true from free where tasks.id = free.id
returning tasks.id, tasks.instance, tasks.step, tasks.input
"""
COMPLETE = """
with gone as (delete from tasks where id = any($1::bigint[])),
    told as (insert into inbox (instance, step, result) select * from unnest($2::bigint[], $3::integer[], $4::bytea[]) returning 1)
select pg_notify('completed', '') where exists (select from told)
"""


class Writer:
    """The side of the coroutines: saves what they bring, takes what comes back, by one connection."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, bytes]] = []
        self._made: list[int] = []
        self._ended: list[int] = []
        self._calls: list[tuple[int, int, bytes]] = []
        self._saved: list[asyncio.Future[None]] = []
        self._waiting: dict[tuple[int, int], asyncio.Future[None]] = {}
        self._ready = asyncio.Event()
        self._heard = False

    async def begin(self, dsn: str) -> None:
        """Connect, and listen."""
        self._connection, self._ear = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
        await self._ear.add_listener("completed", self._hear)
        self._save = await self._connection.prepare(SAVE)
        self._take = await self._connection.prepare(TAKE)
        self._task = asyncio.create_task(self._loop())

    async def end(self) -> None:
        """Disconnect."""
        self._task.cancel()
        await self._connection.close()
        await self._ear.close()

    async def run(self, number: int) -> None:
        """Be one coroutine."""
        self._made.append(number)
        await self._persist(number, 0)
        for step in range(1, STEPS + 1):
            future = self._waiting[number, step] = asyncio.get_running_loop().create_future()
            self._calls.append((number, step, PAYLOAD))
            self._rows.append((number, step * 2 - 1, PAYLOAD))
            self._ready.set()
            await future
        self._ended.append(number)
        await self._persist(number, STEPS * 2 + 1)

    async def _persist(self, number: int, turn: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rows.append((number, turn, PAYLOAD))
        self._saved.append(future)
        self._ready.set()
        await future

    def _hear(self, *_: Any) -> None:
        self._heard = True
        self._ready.set()

    async def _loop(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            if self._heard:
                self._heard = False
                for row in await self._take.fetch():
                    self._waiting.pop((row["instance"], row["step"])).set_result(None)
                await asyncio.sleep(0)  # those that have their results bring more
            if self._rows:
                await self._save_all()

    async def _save_all(self) -> None:
        rows, made, ended = self._rows, self._made, self._ended
        calls, saved = self._calls, self._saved
        self._rows, self._made, self._ended, self._calls, self._saved = [], [], [], [], []
        await self._save.fetch(*_columns(rows), made, ended, *_columns(calls))
        for future in saved:
            future.set_result(None)


def _columns(rows: list[tuple[int, int, bytes]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], []]


async def run(writer: Writer, first: int, total: int) -> None:
    """Run coroutines, 200 at a time."""
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int) -> None:
        async with gate:
            await writer.run(number)

    await asyncio.gather(*[one(first + number) for number in range(total)])


async def noop(data: bytes) -> bytes:
    """Do nothing."""
    return data


async def work(dsn: str) -> None:
    """Be the other process: claim tasks, run them, and send back what came out."""
    connection, ear = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    called = asyncio.Event()
    await ear.add_listener("called", lambda *_: called.set())
    claim, complete = await connection.prepare(CLAIM), await connection.prepare(COMPLETE)

    async def loop() -> None:
        while True:
            called.clear()
            rows = await claim.fetch()
            if not rows:
                await called.wait()
                continue
            results = await asyncio.gather(
                *[asyncio.create_task(noop(row["input"])) for row in rows]
            )
            columns = [[row[name] for row in rows] for name in ("id", "instance", "step")]
            await complete.fetch(*columns, results)

    task, begin = asyncio.create_task(loop()), time.process_time()
    await attend(lambda: {"cpu": time.process_time() - begin})
    task.cancel()


async def main() -> None:
    """Run the workload and print its figures."""
    async with database() as (dsn, watcher):
        writer = Writer()
        connection = await asyncpg.connect(dsn)
        await connection.execute(SCHEMA)
        await writer.begin(dsn)
        async with companion(dsn, "benchmarks.raw.spread", "work") as other:
            await run(writer, 0, WARM_UP)
            elsewhere = (await other.figures())["cpu"]
            before = await counts(watcher)
            cpu, begin = time.process_time(), time.perf_counter()
            for repeat in range(REPEATS):
                await run(writer, WARM_UP + repeat * ORCHESTRATIONS, ORCHESTRATIONS)
            wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
            after = await counts(watcher)
            elsewhere = (await other.figures())["cpu"] - elsewhere
        await writer.end()
        ended = await connection.fetchval("select count(*) from instances where status = 1")
        rows = await connection.fetchval("select count(*) from history")
        everything = REPEATS * ORCHESTRATIONS + WARM_UP
        assert (ended, rows) == (everything, everything * (2 + 2 * STEPS))
        await connection.close()
    steps = REPEATS * ORCHESTRATIONS * STEPS
    emit(
        {
            "steps_per_second": steps / wall,
            "cpu_us_per_step": (cpu + elsewhere) / steps * 1e6,
            "server_cpu_us_per_step": (after.cpu_seconds - before.cpu_seconds) / steps * 1e6,
            "commits_per_step": (after.transactions - before.transactions) / steps,
            "wal_bytes_per_step": (after.wal_bytes - before.wal_bytes) / steps,
        }
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(work(os.environ[DSN_VARIABLE]))
    else:
        asyncio.run(main())
