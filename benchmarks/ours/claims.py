"""What a claim takes while many instances are in the hub, and how long a worker needs to begin.

python -m benchmarks.ours.claims 1000000 ready      ready to be claimed, older than the one that comes next: those are what is claimed
python -m benchmarks.ours.claims 1000000 others     ready, of a name that the one who claims does not run
python -m benchmarks.ours.claims 1000000 scheduled  to be begun in an hour
python -m benchmarks.ours.claims 100000 parked      that wait for an event, owned by nobody
python -m benchmarks.ours.claims 0 ready            the empty hub
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

import asyncpg

from benchmarks.samples import emit
from benchmarks.server import database
from benchmarks.workload import registry, sequence
from durable_async import TaskHub
from durable_async.backends.postgres import PostgresBackend
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

_FILL = """
insert into durable_async.instances (
    hub, key, execution, ready_at_us, start_at_us, created_at_us, updated_at_us, status, id, name
)
select $1, 1000000000 + n, 1, durable_async.clock_us() + $3::bigint + n, 0, n, n, $4, 'filler-' || n, $5
from generate_series(1, $2::bigint) n
"""
_ONE = """
insert into durable_async.instances (
    hub, key, execution, ready_at_us, start_at_us, created_at_us, updated_at_us, status, id, name
)
select $1, nextval('durable_async.instance_keys'), 1, durable_async.clock_us(), 0, 0, 0, 'pending', 'one-' || $2::bigint, $3
"""


async def fill(watcher: asyncpg.Connection, hub: int, count: int, kind: str) -> float:
    """Put instances into the hub, in one statement, and let the server look at them as it does by itself after a while."""
    started = time.perf_counter()
    status = "running" if kind == "parked" else "pending"
    name = STRANGER if kind == "others" else FILLER
    await watcher.execute(_FILL, hub, count, SHIFTS_US[kind], status, name, timeout=120)
    await watcher.execute("vacuum (analyze) durable_async.instances", timeout=120)
    assert count == await watcher.fetchval(
        "select count(*) from durable_async.instances where hub = $1 and name = $2", hub, name
    )
    return time.perf_counter() - started


class Claimer:
    """A worker that does nothing but claim, one instance at a time."""

    def __init__(self, backend: PostgresBackend, fence: Fence) -> None:
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


async def claims(dsn: str, watcher: asyncpg.Connection, hub: int) -> list[float]:
    """Claim again and again, each time after one more has become ready; returns the seconds of each."""
    backend = PostgresBackend(dsn)
    await backend.open()
    try:
        fence = await backend.register_worker("claimer", LEASE_SECONDS)
        claimer = Claimer(backend, fence)
        found = []
        for number in range(WARM_UP + SAMPLES):
            await watcher.execute(_ONE, hub, number, FILLER)
            found.append(await claimer.claim())
        assert len(claimer.claimed) == WARM_UP + SAMPLES
        await backend.retire_worker(fence)
    finally:
        await backend.close()
    return sorted(found[WARM_UP:])


async def start_up(dsn: str) -> tuple[float, float]:
    """Begin a worker that does not run what fills the hub.

    Returns the seconds until it has ended something, and those that the next one takes.
    """
    begin = time.perf_counter()
    async with TaskHub.open(dsn, registry=registry) as hub, hub.worker():
        assert await (await hub.client.start(sequence, 1)).wait() == 1
        first = time.perf_counter()
        assert await (await hub.client.start(sequence, 1)).wait() == 1
        return first - begin, time.perf_counter() - first


async def main(count: int, kind: str) -> None:
    """Measure and print."""
    async with database() as (dsn, _):
        async with TaskHub.open(dsn, registry=registry):
            pass  # makes the schema and the hub
        watcher = await asyncpg.connect(dsn)
        try:
            query = "select hub from durable_async.hubs where name = 'default'"
            hub = await watcher.fetchval(query)
            filled = await fill(watcher, hub, count, kind)
            took = await claims(dsn, watcher, hub)
            began, second = await start_up(dsn)
        finally:
            await watcher.close()
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
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
