"""Orchestrations that call a no-op activity again and again: the time between one call and the next, and steps a second.

python -m benchmarks.ours.sequence postgres 1 100 1       store, orchestrations, steps of each, in flight
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks.samples import emit
from benchmarks.server import counts, database
from benchmarks.suite.__main__ import FOLDER_VARIABLE
from benchmarks.throughput import Commits
from durable_async import OrchestrationContext, Registry, TaskHub

WARM_UP = 20
"""Orchestrations of ten steps beforehand, so that every connection is made, and its plans."""

registry = Registry()


stamps: list[float] = []
"""When each activity ran."""


@registry.activity
async def noop(number: int) -> int:
    """Do nothing, and note when."""
    stamps.append(time.perf_counter())
    return number


@registry.orchestrator
async def sequence(ctx: OrchestrationContext, steps: int) -> int:
    """Call an activity again and again."""
    for number in range(steps):
        await ctx.call_activity(noop, number)
    return steps


async def run(hub: TaskHub, orchestrations: int, steps: int, in_flight: int) -> None:
    """Start them all through the client, and wait for each."""
    gate = asyncio.Semaphore(in_flight)

    async def one() -> None:
        async with gate:
            handle = await hub.client.start(sequence, steps)
            assert await handle.wait() == steps

    await asyncio.gather(*[one() for _ in range(orchestrations)])


async def measure(
    hub: TaskHub, orchestrations: int, steps: int, in_flight: int
) -> dict[str, float]:
    """Run the workload, and return what a step took."""
    cpu, begin = time.process_time(), time.perf_counter()
    await run(hub, orchestrations, steps, in_flight)
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    done = orchestrations * steps
    assert len(stamps) >= done, f"{len(stamps)} steps ran instead of {done}"
    figures = {"steps_per_second": done / wall, "cpu_us_per_step": cpu / done * 1e6}
    return figures | (latencies(stamps) if orchestrations == 1 else {})


def latencies(stamped: Sequence[float]) -> dict[str, float]:
    """Return percentiles of the milliseconds from one step to the next."""
    gaps = sorted(later - earlier for earlier, later in pairwise(stamped))
    return {f"ms_p{part}": gaps[(len(gaps) - 1) * part // 100] * 1e3 for part in (50, 99)}


async def on_postgres(orchestrations: int, steps: int, in_flight: int) -> None:
    """Run it in a fresh database and print its figures."""
    async with (
        database() as (dsn, watcher),
        TaskHub.open(dsn, registry=registry) as hub,
        hub.worker(),
    ):
        await run(hub, WARM_UP, 10, WARM_UP)
        stamps.clear()
        before = await counts(watcher)
        figures = await measure(hub, orchestrations, steps, in_flight)
        after = await counts(watcher)
    done = orchestrations * steps
    figures["commits_per_step"] = (after.transactions - before.transactions) / done
    figures["wal_bytes_per_step"] = (after.wal_bytes - before.wal_bytes) / done
    emit(figures)


async def on_sqlite(orchestrations: int, steps: int, in_flight: int) -> None:
    """Run it in a fresh file and print its figures."""
    commits = Commits()
    commits.install()
    with tempfile.TemporaryDirectory(dir=os.environ[FOLDER_VARIABLE]) as folder:
        url = f"sqlite:///{Path(folder) / 'hub.db'}"
        async with TaskHub.open(url, registry=registry) as hub, hub.worker():
            await run(hub, WARM_UP, 10, WARM_UP)
            stamps.clear()
            before = commits.count
            figures = await measure(hub, orchestrations, steps, in_flight)
            figures["commits_per_step"] = (commits.count - before) / (orchestrations * steps)
    emit(figures)


def new_loop(words: Sequence[str]) -> asyncio.AbstractEventLoop:
    """Return the loop that was asked for, asyncio's own by default."""
    if "uvloop" in words:
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[2:5]]
    run_on = {"postgres": on_postgres, "sqlite": on_sqlite}[sys.argv[1]]
    with asyncio.Runner(loop_factory=lambda: new_loop(sys.argv[5:])) as runner:
        runner.run(run_on(*numbers))
