"""What a store allows to many orchestrations at once: flows that hand their rows to one writer, which commits whatever has come.

python -m benchmarks.raw.group_commit postgres 500 10 200 100   store, flows, steps of each, in flight, CPU us burnt a step

A flow is a coroutine that writes a row for its start, one for each step, and one for its end, each durable before it goes on. The
writer checks in each transaction that its worker's row is still at its epoch: the least that any engine has to. Nothing is retried,
timed, replayed or traced.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from benchmarks.ours.sequence import latencies
from benchmarks.samples import emit
from benchmarks.server import counts, database
from benchmarks.suite.__main__ import FOLDER_VARIABLE

PADDING = b"x" * 80
BATCH_MAX = 2_000
WORKER, EPOCH = 1, 7
STARTED, STEPPED, ENDED = 0, 1, 2
WARM_UP = 20

Row = tuple[int, int, int, str, bytes]
"""Flow, sequence number, kind, name, payload."""

TABLES = (
    "create table workers (id integer primary key, epoch integer not null)",
    f"insert into workers values ({WORKER}, {EPOCH})",
    "create table instances (id bigint primary key, status integer not null)",
    (
        "create table history (instance bigint, seq integer, kind integer, name text, payload {blob},"
        " written timestamp default current_timestamp, primary key (instance, seq))"
    ),
)

POSTGRES = """
with fence as (select 1 from workers where id = $8 and epoch = $9 for share),
history_rows as (
    insert into history (instance, seq, kind, name, payload)
    select * from unnest($1::bigint[], $2::integer[], $3::integer[], $4::text[], $5::bytea[])
    where exists (select from fence)),
started as (
    insert into instances select id, 0 from unnest($6::bigint[]) id where exists (select from fence)),
ended as (
    update instances set status = 1 where id = any($7::bigint[]) and exists (select from fence))
select count(*) from fence
"""

INSERT = "insert into history (instance, seq, kind, name, payload) values (?, ?, ?, ?, ?)"

Write = Callable[[Sequence[Row]], Awaitable[None]]


class Writer:
    """Takes rows of many flows, and commits all that wait at once; no lingering."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._rows: list[Row] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._some = asyncio.Event()
        self.batches = 0

    def put(self, row: Row) -> asyncio.Future[None]:
        """Return what is done when the row is durable."""
        done = asyncio.get_running_loop().create_future()
        self._rows.append(row)
        self._waiting.append(done)
        self._some.set()
        return done

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._some.wait()
            rows, self._rows = self._rows[:BATCH_MAX], self._rows[BATCH_MAX:]
            waiting, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            if not self._rows:
                self._some.clear()
            await self._write(rows)
            self.batches += 1
            for one in waiting:
                one.set_result(None)


@dataclass
class Workload:
    """What the flows do."""

    writer: Writer
    burnt: float
    stamps: list[float]

    async def run(self, first: int, flows: int, steps: int, in_flight: int) -> None:
        """Run them all."""
        gate = asyncio.Semaphore(in_flight)

        async def one(instance: int) -> None:
            async with gate:
                await self._flow(instance, steps)

        await asyncio.gather(*[one(first + place) for place in range(flows)])

    async def _flow(self, instance: int, steps: int) -> None:
        await self.writer.put((instance, 0, STARTED, "start", b"{}"))
        for seq in range(1, steps + 1):
            end = time.perf_counter() + self.burnt
            while time.perf_counter() < end:
                pass
            argument = json.dumps({"number": seq})
            result = await asyncio.create_task(self._step(json.loads(argument)["number"]))
            recorded = json.dumps(result).encode()
            await self.writer.put((instance, seq, STEPPED, "noop", recorded + PADDING))
            assert json.loads(recorded) == seq
        await self.writer.put((instance, steps + 1, ENDED, "end", b"{}"))

    async def _step(self, number: int) -> int:
        self.stamps.append(time.perf_counter())
        return number


def _split(rows: Sequence[Row]) -> tuple[list[int], list[int]]:
    started = [row[0] for row in rows if row[2] == STARTED]
    return started, [row[0] for row in rows if row[2] == ENDED]


def to_postgres(statement: asyncpg.prepared_stmt.PreparedStatement) -> Write:
    """Return what writes a batch by one statement, which is one round trip and one transaction."""

    async def write(rows: Sequence[Row]) -> None:
        columns = zip(*rows, strict=True)
        fenced = await statement.fetchval(*map(list, columns), *_split(rows), WORKER, EPOCH)
        assert fenced == 1

    return write


def to_sqlite(connection: sqlite3.Connection) -> Write:
    """Return what writes a batch in one transaction, on a thread, so that flows run while the disk works."""

    def commit(rows: Sequence[Row]) -> None:
        started, ended = _split(rows)
        connection.execute("begin immediate")
        fence = connection.execute("select epoch from workers where id = ?", (WORKER,)).fetchone()
        assert fence == (EPOCH,)
        connection.executemany(INSERT, rows)
        connection.executemany("insert into instances values (?, 0)", zip(started, strict=True))
        connection.executemany(
            "update instances set status = 1 where id = ?", zip(ended, strict=True)
        )
        connection.execute("commit")

    async def write(rows: Sequence[Row]) -> None:
        await asyncio.get_running_loop().run_in_executor(None, commit, rows)

    return write


@asynccontextmanager
async def writing(write: Write, burnt: float) -> AsyncGenerator[Workload]:
    """Run a writer, and warm everything up."""
    writer = Writer(write)
    running = asyncio.create_task(writer.run())
    try:
        workload = Workload(writer, burnt, [])
        await workload.run(-WARM_UP, WARM_UP, 10, WARM_UP)
        workload.stamps.clear()
        writer.batches = 0
        yield workload
    finally:
        running.cancel()


async def measure(workload: Workload, flows: int, steps: int, in_flight: int) -> dict[str, float]:
    """Run the workload, and return what a step took."""
    cpu, begin = time.process_time(), time.perf_counter()
    await workload.run(1, flows, steps, in_flight)
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    done = flows * steps
    figures = {
        "steps_per_second": done / wall,
        "cpu_us_per_step": cpu / done * 1e6,
        "commits_per_step": workload.writer.batches / done,
    }
    return figures | (latencies(workload.stamps) if flows == 1 else {})


COUNTED = (
    "select (select count(*) from history where instance > 0),"
    " (select count(*) from instances where id > 0 and status = 1)"
)


async def on_postgres(flows: int, steps: int, in_flight: int, burnt: float) -> None:
    """Run it in a fresh database and print its figures."""
    async with database() as (dsn, watcher):
        connection = await asyncpg.connect(dsn)
        for sql in TABLES:
            await connection.execute(sql.format(blob="bytea"))
        write = to_postgres(await connection.prepare(POSTGRES))
        async with writing(write, burnt) as workload:
            before = await counts(watcher)
            figures = await measure(workload, flows, steps, in_flight)
            after = await counts(watcher)
        check(tuple(await connection.fetchrow(COUNTED)), flows, steps)
        await connection.close()
    done = flows * steps
    figures["commits_per_step"] = (after.transactions - before.transactions) / done
    figures["wal_bytes_per_step"] = (after.wal_bytes - before.wal_bytes) / done
    emit(figures)


async def on_sqlite(flows: int, steps: int, in_flight: int, burnt: float) -> None:
    """Run it in a fresh file and print its figures."""
    with tempfile.TemporaryDirectory(dir=os.environ[FOLDER_VARIABLE]) as folder:
        path = Path(folder) / "raw.db"
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=full")
        for sql in TABLES:
            connection.execute(sql.format(blob="blob"))
        async with writing(to_sqlite(connection), burnt) as workload:
            figures = await measure(workload, flows, steps, in_flight)
        check(connection.execute(COUNTED).fetchone(), flows, steps)
        connection.close()
    emit(figures)


def check(found: tuple[int, ...], flows: int, steps: int) -> None:
    """See that every row is there, and every flow has ended."""
    expected = (flows * (steps + 2), flows)
    assert found == expected, f"{found} rows and ended flows instead of {expected}"


if __name__ == "__main__":
    store, *words = sys.argv[1:]
    numbers = [int(word) for word in words]
    burnt_us = numbers[3] if len(numbers) > 3 else 0
    flows, steps, in_flight = numbers[:3]
    run_on = {"postgres": on_postgres, "sqlite": on_sqlite}[store]
    asyncio.run(run_on(flows, steps, in_flight, burnt_us / 1e6))
