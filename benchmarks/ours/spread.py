"""500 orchestrations of 10 steps, 200 in flight, with the activities registered in other processes than the orchestrators.

python -m benchmarks.ours.spread 1      one process does everything, and nothing goes through the hub's queue
python -m benchmarks.ours.spread 2      the orchestrators in one, beside the client, and the activities in the other
python -m benchmarks.ours.spread 4      two of each
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from benchmarks.companions import attend, companions
from benchmarks.samples import emit
from benchmarks.server import DSN_VARIABLE, Counts, counts, database, deadlocks
from benchmarks.workload import ORCHESTRATIONS, STEPS, Ran, noop, registry, run, sequence
from durable_async import Registry, TaskHub

WARM_UP = 50


def part_of(role: str) -> Registry:
    """Return what a process registers."""
    if role == "both":
        return registry
    part = Registry()
    if role == "orchestrators":
        part.add_orchestrator(sequence)
    else:
        part.add_activity(noop)
    return part


class Meter:
    """What this process has used since it was asked last."""

    def __init__(self) -> None:
        self._steps, self._cpu = 0, 0.0
        self.figures()

    def figures(self) -> dict[str, float]:
        """Return what was used, and begin anew."""
        steps, cpu = Ran.steps - self._steps, time.process_time() - self._cpu
        self._steps, self._cpu = Ran.steps, time.process_time()
        return {"steps": steps, "cpu": cpu}


async def work(dsn: str, role: str) -> None:
    """Be one of the other processes."""
    async with TaskHub.open(dsn, registry=part_of(role)) as hub, hub.worker():
        await attend(Meter().figures)


async def main(processes: int) -> None:
    """Run the workload and print its figures."""
    half = processes // 2
    roles = ["orchestrators"] * max(0, half - 1) + ["activities"] * half
    mine = "both" if processes == 1 else "orchestrators"
    async with database() as (dsn, watcher):
        each = [("work", role) for role in roles]
        async with (
            TaskHub.open(dsn, registry=part_of(mine)) as hub,
            hub.worker(),
            companions(dsn, "benchmarks.ours.spread", each) as others,
        ):
            await run(hub, WARM_UP)
            meter = Meter()
            for other in others:
                await other.figures()
            before, begin = await counts(watcher), time.perf_counter()
            await run(hub)
            wall = time.perf_counter() - begin
            after = await counts(watcher)
            shares = [meter.figures(), *[await other.figures() for other in others]]
        broken = await deadlocks(watcher, dsn)
    if processes > 1:
        assert shares[0]["steps"] == 0
    emit(_figures(wall, shares, before, after) | {"deadlocks": broken})


def _figures(
    wall: float, shares: list[dict[str, float]], before: Counts, after: Counts
) -> dict[str, float]:
    steps = ORCHESTRATIONS * STEPS
    ran = sum(one["steps"] for one in shares)
    assert ran >= steps, f"{ran} of {steps} steps were run"
    return {
        "steps_per_second": steps / wall,
        "cpu_us_per_step": sum(one["cpu"] for one in shares) / steps * 1e6,
        "server_cpu_us_per_step": (after.cpu_seconds - before.cpu_seconds) / steps * 1e6,
        "commits_per_step": (after.transactions - before.transactions) / steps,
        "wal_bytes_per_step": (after.wal_bytes - before.wal_bytes) / steps,
        "steps_again": ran - steps,
        **{f"share_{place}": one["steps"] / steps for place, one in enumerate(shares)},
    }


if __name__ == "__main__":
    if sys.argv[1] == "work":
        asyncio.run(work(os.environ[DSN_VARIABLE], sys.argv[2]))
    else:
        asyncio.run(main(int(sys.argv[1])))
