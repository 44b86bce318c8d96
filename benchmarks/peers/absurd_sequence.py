"""Absurd: tasks that call a no-op step again and again, on Postgres.

absurd_sequence.py 1 100 1 default        tasks, steps of each, in flight, how

``default``: one worker, which is one connection, and polls every 250 ms. ``tuned``: 8 of them in this process, who share what is in
flight and poll every 10 ms.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absurd_sdk import AsyncAbsurd
from common import Database, Meter, check, emit, ending, fresh_database, gaps, milliseconds

QUEUE = "default"
WORKERS_TUNED = 8
LOOK_SECONDS = 0.01
WARM_UP = 16
DONE = f"select count(*) from absurd.t_{QUEUE} where state = 'completed'"

stamps: list[float] = []
ended: list[int] = []


async def noop() -> int:
    """Do nothing, and note when."""
    stamps.append(time.perf_counter())
    return 1


def client(dsn: str) -> AsyncAbsurd:
    """Return a client, with a connection of its own, that knows the task."""
    absurd = AsyncAbsurd(dsn, queue_name=QUEUE)

    @absurd.register_task("sequence")
    async def sequence(params: Mapping[str, Any], ctx: Any) -> int:
        for _ in range(params["steps"]):
            await ctx.step("noop", noop)
        ended.append(params["steps"])
        return int(params["steps"])

    return absurd


def make_queue(dsn: str) -> None:
    """Make the schema and the queue, with the peer's own tool."""
    tool = Path(sys.executable).parent / "absurdctl"
    environment = {**os.environ, "ABSURD_DATABASE_URL": dsn}
    for words in (["init"], ["create-queue", QUEUE]):
        subprocess.run(
            [sys.executable, str(tool), *words],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
        )


def begin_workers(dsn: str, in_flight: int, how: str) -> list[asyncio.Task[Any]]:
    """Start the workers."""
    if how == "default":
        return [asyncio.create_task(client(dsn).start_worker(worker_id="w", concurrency=in_flight))]
    share = max(1, in_flight // WORKERS_TUNED)
    return [
        asyncio.create_task(
            client(dsn).start_worker(worker_id=f"w{place}", concurrency=share, poll_interval=0.01)
        )
        for place in range(WORKERS_TUNED)
    ]


async def run(absurd: AsyncAbsurd, database: Database, tasks: int, steps: int) -> None:
    """Spawn them all, and look in the store once the last has ended: cheaper for the peer than a poll for each result."""
    expected = int(database.value(DONE) or 0) + tasks
    ended.clear()
    for _ in range(tasks):
        await absurd.spawn("sequence", {"steps": steps})
    while len(ended) < tasks or int(database.value(DONE) or 0) < expected:  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(LOOK_SECONDS)


async def main(
    database: Database, tasks: int, steps: int, in_flight: int, how: str
) -> dict[str, float]:
    """Run the workload, and return what a step took."""
    make_queue(database.dsn)
    absurd = client(database.dsn)
    workers = begin_workers(database.dsn, in_flight, how)
    await run(absurd, database, WARM_UP, 5)
    stamps.clear()
    meter = Meter(database)
    await run(absurd, database, tasks, steps)
    used = meter.stop()
    check("every step ran", len(stamps) >= tasks * steps, True)
    check("tasks", int(database.value(DONE) or 0), WARM_UP + tasks)
    check("workers that ended", sum(worker.done() for worker in workers), 0)
    latencies = milliseconds(gaps(stamps)) if tasks == 1 else {}
    return used.per(tasks * steps) | latencies


if __name__ == "__main__":
    with ending(), fresh_database() as fresh:
        loop = asyncio.new_event_loop()
        shape = [int(word) for word in sys.argv[1:4]]
        emit(loop.run_until_complete(main(fresh, *shape, sys.argv[4])))
