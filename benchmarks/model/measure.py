"""Finds the constants of the model on a server: bytes of rows, time of sweeps, of wake-ups and of claims.

python -m benchmarks.model.measure            all, on a server of its own; about two minutes
python -m benchmarks.model.measure sizes
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import asyncpg

from benchmarks.server import DSN_VARIABLE, counts, database, server
from benchmarks.workload import IN_FLIGHT, registry, sequence
from durable_async import TaskHub
from durable_async.backends.postgres import PostgresBackend
from durable_async.model.records import Fence, Work

Figures = dict[str, float]

INSTANCES = 10_000
AT_ONCE = 1_000
SERVER_SETTINGS = {"max_connections": "600"}


async def sizes(watcher: asyncpg.Connection, dsn: str, steps: int) -> Figures:
    """Return bytes on disk of what is left of an orchestration that has ended."""
    connection: Any = await asyncpg.connect(dsn)
    async with TaskHub.open(dsn, registry=registry) as hub, hub.worker():
        before = await _bytes(connection)
        for _ in range(INSTANCES // AT_ONCE):
            await _to_the_end(hub, AT_ONCE, steps)
        await connection.execute("vacuum analyze")
        after = await _bytes(connection)
    await connection.close()
    return {
        f"{table}_bytes_{steps}": (size - before[table]) / INSTANCES
        for table, size in after.items()
        if size != before[table]
    }


async def copies(watcher: asyncpg.Connection, dsn: str, times: int) -> Figures:
    """Return bytes on disk of an orchestration of one activity among many: a few are run, and copied by the server."""
    connection: Any = await asyncpg.connect(dsn)
    async with TaskHub.open(dsn, registry=registry) as hub, hub.worker():
        before = await _bytes(connection)
        await _to_the_end(hub, AT_ONCE, 1)
    for table, columns in _COPIED.items():
        await connection.execute(_COPY.format(table=table, **columns), times - 1)
    begun = time.perf_counter()
    await connection.execute("vacuum analyze")
    vacuum_seconds = time.perf_counter() - begun
    count = await connection.fetchval("select count(*) from durable_async.instances where hub > 0")
    after = await _bytes(connection)
    await connection.close()
    figures = {
        f"{table}_bytes_of_{count}": (size - before[table]) / count
        for table, size in after.items()
        if size > before[table] + count
    }
    return figures | {f"vacuum_seconds_of_{count}": vacuum_seconds}


_COPIED = {
    "instances": {
        "names": "hub, key, execution, start_at_us, created_at_us, updated_at_us, completed_at_us, status, id, name, output",
        "values": "hub, key + n * 100000, execution, start_at_us, created_at_us + n * 1000000, updated_at_us,"
        " completed_at_us + n * 1000000, status, md5(id || n), name, output",
    },
    "history": {
        "names": "hub, key, execution, turn, events",
        "values": "hub, key + n * 100000, execution, turn, events",
    },
}
_COPY = """
insert into durable_async.{table} ({names})
select {values} from generate_series(1, $1::int) n cross join durable_async.{table} where hub > 0
"""


async def _bytes(connection: Any) -> Figures:
    rows = await connection.fetch(
        "select relname, pg_table_size(oid) as heap, pg_indexes_size(oid) as indexes from pg_class"
        " where relnamespace = 'durable_async'::regnamespace and relkind = 'r'"
    )
    return {f"{row[0]}_{kind}": row[kind] for row in rows for kind in ("heap", "indexes")}


async def sweeps(watcher: asyncpg.Connection, dsn: str) -> Figures:
    """Return what one look for dead workers takes the server, by the number of workers."""
    figures: Figures = {}
    async with TaskHub.open(dsn) as hub:
        connection: Any = await asyncpg.connect(dsn)
        number = hub.backend._hub  # type: ignore[attr-defined]

        async def look() -> None:
            assert await connection.fetchval(_LOOK, number) == 0

        for many in (10, 100, 1_000):
            await connection.execute(
                "select pg_advisory_lock(n) from generate_series(1, $1::int) n", many
            )
            await connection.execute(_WORKERS, number, many)
            await connection.execute(_LEASES, number, many)
            await connection.execute("analyze")
            await look()
            figures[f"sweep_us_{many}"] = await _server_us(watcher, look, 300)
        await connection.close()
    return figures


_LOOK = "select count(*) from durable_async.dead_workers($1, 'w1')"
_WORKERS = """
insert into durable_async.workers (hub, id, epoch, seq, lifeline, host, pid, registered_at_us, schema_version)
select $1, 'w' || n, 1, 0, n, 'h', 1, 0, 1 from generate_series(1, $2::int) n on conflict do nothing
"""
_LEASES = """
insert into durable_async.leases (hub, worker, epoch, until_us)
select $1, 'w' || n, 1, 1::bigint << 60 from generate_series(1, $2::int) n on conflict do nothing
"""


async def _server_us(
    watcher: asyncpg.Connection, call: Callable[[], Awaitable[Any]], times: int
) -> float:
    """Return the CPU of the server that a call takes."""
    before = await counts(watcher)
    for _ in range(times):
        await call()
    await asyncio.sleep(0.5)  # what it leaves to others
    after = await counts(watcher)
    return (after.cpu_seconds - before.cpu_seconds) / times * 1e6


async def wake_ups(watcher: asyncpg.Connection, dsn: str) -> Figures:
    """Return what a notification costs the server, by the number of listeners."""
    figures: Figures = {}
    async with AsyncExitStack() as stack:
        teller: Any = await asyncpg.connect(dsn)
        listeners = 0
        for many in (0, 100, 400):
            while listeners < many:
                one: Any = await asyncpg.connect(dsn)
                stack.push_async_callback(one.close)
                await one.add_listener("room", lambda *_: None)
                listeners += 1
            figures[f"notify_us_{many}"] = await _server_us(
                watcher, lambda: teller.execute("select pg_notify('room', 'w')"), 500
            )
        await teller.close()
    return figures


async def claims(watcher: asyncpg.Connection, dsn: str) -> Figures:
    """Return instances claimed a second by several claimers at once, 50 at a time."""
    figures: Figures = {}
    async with AsyncExitStack() as stack:
        backend = PostgresBackend(dsn)
        await backend.open()
        stack.push_async_callback(backend.close)
        for claimers in (1, 2, 4, 8):
            await _fill(dsn, backend._hub, 20_000)
            others = []
            for number in range(claimers):
                other = PostgresBackend(dsn)
                await other.open()
                stack.push_async_callback(other.close)
                others.append((other, await other.register_worker(f"c{claimers}-{number}", 600)))
            begun = time.perf_counter()
            taken = sum(await asyncio.gather(*[_claim_all(*one) for one in others]))
            figures[f"claims_a_second_{claimers}"] = taken / (time.perf_counter() - begun)
    return figures


async def _claim_all(backend: PostgresBackend, fence: Fence) -> int:
    taken = 0
    for number in itertools.count(1):
        work = await _fetch(backend, fence, number)
        taken += len(work.claimed)
        if not work.claimed:
            break
    return taken


async def _fetch(backend: PostgresBackend, fence: Fence, number: int) -> Work:
    return await backend.fetch(
        fence,
        number=number,
        instances=50,
        activities=50,
        names=None,
        activity_names=None,
        history_bytes_max=1_000_000,
    )


async def _fill(dsn: str, hub: int, count: int) -> None:
    """Put instances that are ready into a hub."""
    connection: Any = await asyncpg.connect(dsn)
    await connection.execute(_READY, hub, count)
    await connection.execute("analyze")
    await connection.close()


_READY = """
insert into durable_async.instances (
    hub, key, execution, ready_at_us, start_at_us, created_at_us, updated_at_us, status, id, name
)
select $1, nextval('durable_async.instance_keys'), 1, n, 0, 0, 0, 'pending', gen_random_uuid()::text, 'x'
from generate_series(1, $2::int) n
"""


async def work(watcher: asyncpg.Connection, dsn: str, count: int, steps: int) -> Figures:
    """Return the CPU of a step: of the worker's process, and of the server."""
    async with TaskHub.open(dsn, registry=registry) as hub, hub.worker():
        await _to_the_end(hub, count, steps)  # plans are made, caches are full
        before, cpu, begun = await counts(watcher), time.process_time(), time.perf_counter()
        await _to_the_end(hub, count, steps)
        after, done = await counts(watcher), count * steps
        figures = {
            "worker_us": (time.process_time() - cpu) / done * 1e6,
            "server_us": (after.cpu_seconds - before.cpu_seconds) / done * 1e6,
            "wal_bytes": (after.wal_bytes - before.wal_bytes) / done,
            "steps_a_second": done / (time.perf_counter() - begun),
        }
    return {f"{name}_of_{count}_x_{steps}": value for name, value in figures.items()}


async def _to_the_end(hub: TaskHub, count: int, steps: int) -> None:
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one() -> None:
        async with gate:
            await (await hub.client.start(sequence, steps)).wait()

    await asyncio.gather(*[one() for _ in range(count)])


async def looks(watcher: asyncpg.Connection, dsn: str) -> Figures:
    """Return the server's CPU for a look that finds nothing, and for a renewal."""
    backend = PostgresBackend(dsn)
    await backend.open()
    fence = await backend.register_worker("looker", 600)
    numbers = itertools.count(1)

    async def renew() -> None:
        await asyncio.to_thread(backend.renew_lease, fence, 600.0)

    figures = {
        "look_us": await _server_us(watcher, lambda: _fetch(backend, fence, next(numbers)), 500),
        "renewal_us": await _server_us(watcher, renew, 500),
    }
    await backend.close()
    return figures


MEASURES: dict[str, Callable[[asyncpg.Connection, str], Awaitable[Figures]]] = {
    "sizes_1": partial(sizes, steps=1),
    "sizes_11": partial(sizes, steps=11),
    "copies_few": partial(copies, times=100),
    "copies": partial(copies, times=1_000),
    "work_alone": partial(work, count=1, steps=500),
    "work_short": partial(work, count=2_000, steps=1),
    "work": partial(work, count=500, steps=10),
    "looks": looks,
    "sweeps": sweeps,
    "wake_ups": wake_ups,
    "claims": claims,
}


async def main(names: Sequence[str]) -> None:
    """Measure and print."""
    for name in names or MEASURES:
        async with database() as (dsn, watcher):
            for figure, value in (await MEASURES[name](watcher, dsn)).items():
                print(f"{figure:40} {value:12,.1f}", flush=True)


if __name__ == "__main__":
    if DSN_VARIABLE in os.environ:
        asyncio.run(main(sys.argv[1:]))
    else:
        with server(tempfile.gettempdir(), SERVER_SETTINGS) as postgres:
            os.environ[DSN_VARIABLE] = postgres.dsn
            asyncio.run(main(sys.argv[1:]))
