"""What a claim takes while many instances are in the hub, and how long a worker needs to begin.

python -m benchmarks.ours.claims postgres 1000000 ready      ready to be claimed, older than the one that comes next: those are what is claimed
python -m benchmarks.ours.claims sqlite 1000000 others       ready, of a name that the one who claims does not run
python -m benchmarks.ours.claims postgres 1000000 scheduled  to be begun in an hour
python -m benchmarks.ours.claims postgres 100000 parked      that wait for an event, owned by nobody
python -m benchmarks.ours.claims sqlite 0 ready              the empty hub
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Protocol

import asyncpg

from benchmarks.ours.meter import FOLDER_VARIABLE
from benchmarks.samples import emit
from benchmarks.server import database
from benchmarks.workload import registry, sequence
from durable_async import TaskHub
from durable_async.backend import Backend
from durable_async.backends.postgres import PostgresBackend
from durable_async.backends.sqlite import SqliteBackend
from durable_async.environment import SystemEnvironment
from durable_async.model.records import Fence

SAMPLES = 1_000
WARM_UP = 100
HISTORY_BYTES = 1_000_000
LEASE_SECONDS = 600.0
FILLER = "filler"
STRANGER = "stranger"
SHIFTS_US = {
    "ready": -3_600_000_000,
    "others": -3_600_000_000,
    "scheduled": 3_600_000_000,
    "parked": None,
}


class Store(Protocol):
    """A new store, of which the schema and the hub are made."""

    url: str

    def backend(self) -> Backend:
        """Return one that is not open yet."""
        ...

    async def fill(self, count: int, status: str, name: str, shift_us: int | None) -> None:
        """Put so many instances into the hub at once, and let the store look at them as it does by itself after a while."""
        ...

    async def add_one(self, number: int) -> None:
        """Put one more into it, ready now."""
        ...


class PostgresStore:
    """A database of its own."""

    _FILL = """
    insert into durable_async.instances (
        hub, key, execution, ready_at_us, start_at_us, created_at_us, updated_at_us, status, id, name
    )
    select hub, 1000000000 + n, 1, durable_async.clock_us() + $2::bigint + n, 0, n, n, $3, 'filler-' || n, $4
    from durable_async.hubs, generate_series(1, $1::bigint) n
    """
    _ONE = """
    insert into durable_async.instances (
        hub, key, execution, ready_at_us, start_at_us, created_at_us, updated_at_us, status, id, name
    )
    select hub, nextval('durable_async.instance_keys'), 1, durable_async.clock_us(), 0, 0, 0, 'pending', 'one-' || $1::bigint, $2
    from durable_async.hubs
    """

    def __init__(self, url: str, watcher: asyncpg.Connection) -> None:
        self.url = url
        self._watcher = watcher

    def backend(self) -> PostgresBackend:
        return PostgresBackend(self.url)

    async def fill(self, count: int, status: str, name: str, shift_us: int | None) -> None:
        await self._watcher.execute(self._FILL, count, shift_us, status, name, timeout=120)
        await self._watcher.execute("vacuum (analyze) durable_async.instances", timeout=120)

    async def add_one(self, number: int) -> None:
        await self._watcher.execute(self._ONE, number, FILLER)


class SqliteStore:
    """A file of its own."""

    _FILL = """
    with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < ?1)
    insert into instances (hub, execution, ready_at_us, start_at_us, created_at_us, updated_at_us, status, id, name)
    select hub, 1, ?2 + n, 0, n, n, ?3, 'filler-' || n, ?4 from hubs, numbers where ?1 > 0
    """
    _ONE = """
    insert into instances (hub, execution, ready_at_us, start_at_us, created_at_us, updated_at_us, status, id, name)
    select hub, 1, ?2, 0, 0, 0, 'pending', 'one-' || ?1, ?3 from hubs
    """

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self._path = path
        self._now_us = SystemEnvironment().now_us

    def backend(self) -> SqliteBackend:
        return SqliteBackend(self._path, environment=SystemEnvironment())

    async def fill(self, count: int, status: str, name: str, shift_us: int | None) -> None:
        base_us = None if shift_us is None else self._now_us() + shift_us
        self._execute(self._FILL, count, base_us, status, name)

    async def add_one(self, number: int) -> None:
        self._execute(self._ONE, number, self._now_us(), FILLER)

    def _execute(self, statement: str, *values: str | int | None) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute(statement, values)


@asynccontextmanager
async def new_store(kind: str) -> AsyncGenerator[Store]:
    """Make one for a round."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(dir=os.environ[FOLDER_VARIABLE]) as folder:
            file = SqliteStore(Path(folder) / "hub.db")
            await make_hub(file)
            yield file
        return
    async with database() as (dsn, _):
        watcher = await asyncpg.connect(dsn)
        try:
            store = PostgresStore(dsn, watcher)
            await make_hub(store)
            yield store
        finally:
            await watcher.close()


async def make_hub(store: Store) -> None:
    """Make the schema and the hub."""
    async with TaskHub.open(store.url, registry=registry):
        pass


async def fill(store: Store, count: int, kind: str) -> float:
    """Fill the hub; returns the seconds."""
    started = time.perf_counter()
    status = "running" if kind == "parked" else "pending"
    await store.fill(count, status, STRANGER if kind == "others" else FILLER, SHIFTS_US[kind])
    return time.perf_counter() - started


class Claimer:
    """A worker that does nothing but claim, one instance at a time."""

    def __init__(self, backend: Backend, fence: Fence) -> None:
        self._backend = backend
        self._fence = fence
        self._number = 0
        self.claimed: set[str] = set()

    async def claim(self) -> float:
        """Claim one; returns the seconds."""
        self._number += 1
        begin = time.perf_counter()
        work = await self._backend.fetch(
            self._fence,
            number=self._number,
            instances=1,
            activities=0,
            names=frozenset({FILLER}),
            activity_names=frozenset(),
            history_bytes_max=HISTORY_BYTES,
        )
        seconds = time.perf_counter() - begin
        assert len(work.claimed) == 1, work
        self.claimed.add(work.claimed[0].instance_id)
        return seconds


async def claims(store: Store) -> list[float]:
    """Claim again and again, each time after one more has become ready; returns the seconds of each."""
    backend = store.backend()
    await backend.open()
    try:
        fence = await backend.register_worker("claimer", LEASE_SECONDS)
        claimer = Claimer(backend, fence)
        found = []
        for number in range(WARM_UP + SAMPLES):
            await store.add_one(number)
            found.append(await claimer.claim())
        assert len(claimer.claimed) == WARM_UP + SAMPLES
        await backend.retire_worker(fence)
    finally:
        await backend.close()
    return sorted(found[WARM_UP:])


async def start_up(store: Store) -> tuple[float, float]:
    """Begin a worker that does not run what fills the hub.

    Returns the seconds until it has ended something, and those that the next one takes.
    """
    begin = time.perf_counter()
    async with TaskHub.open(store.url, registry=registry) as hub, hub.worker():
        assert await (await hub.client.start(sequence, 1)).wait() == 1
        first = time.perf_counter()
        assert await (await hub.client.start(sequence, 1)).wait() == 1
        return first - begin, time.perf_counter() - first


async def main(store_kind: str, count: int, kind: str) -> None:
    """Measure and print."""
    async with new_store(store_kind) as store:
        filled = await fill(store, count, kind)
        took = await claims(store)
        began, second = await start_up(store)
    emit(
        {
            "claim_p50_ms": statistics.median(took) * 1e3,
            "claim_p99_ms": took[int(len(took) * 0.99)] * 1e3,
            "fill_seconds": filled,
            "start_up_ms": began * 1e3,
            "start_to_result_ms": second * 1e3,
        }
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
