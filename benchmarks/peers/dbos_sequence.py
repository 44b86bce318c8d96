"""DBOS: workflows that call a no-op step again and again.

dbos_sequence.py postgres 1 100 1 direct      store, workflows, steps of each, in flight, how they are begun

``direct``: started in this process, as many at once as are to be in flight. ``queue``: enqueued, and taken by this process, which polls
its queue every 50 ms and may run as many as are to be in flight. Workflows and steps are async; SQLite is as DBOS sets it: a rollback
journal, synchronous=FULL.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Callable

from common import Meter, Used, check, emit, ending, fresh_database, fresh_file, gaps, milliseconds
from dbos import DBOS, DBOSConfig

QUEUE = "bench"
POLL_SECONDS = 0.05
LOOK_SECONDS = 0.01
WARM_UP = 5

stamps: list[float] = []
ended: list[int] = []


@DBOS.step()
async def noop(number: int) -> int:
    """Do nothing, and note when."""
    stamps.append(time.perf_counter())
    return number


@DBOS.workflow()
async def sequence(steps: int) -> int:
    """Call a step again and again."""
    for number in range(steps):
        await noop(number)
    ended.append(steps)
    return steps


async def run_direct(workflows: int, steps: int, in_flight: int) -> None:
    """Start them in this process, and wait for each by its handle."""
    gate = asyncio.Semaphore(in_flight)

    async def one() -> None:
        async with gate:
            handle = await DBOS.start_workflow_async(sequence, steps)
            check("result", await handle.get_result(), steps)

    await asyncio.gather(*[one() for _ in range(workflows)])


async def run_queued(workflows: int, steps: int, done: Callable[[], int]) -> None:
    """Enqueue them all, and look in the store once the last has ended: cheaper for the peer than a poll for each result."""
    expected = done() + workflows
    ended.clear()
    for _ in range(workflows):
        await DBOS.enqueue_workflow_async(QUEUE, sequence, steps)
    while len(ended) < workflows or done() < expected:  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(LOOK_SECONDS)


async def play(
    url: str,
    numbers: tuple[int, int, int],
    how: str,
    done: Callable[[], int],
    meter: Callable[[], Meter],
) -> Used:
    """Launch DBOS, warm it up, and run the workload."""
    workflows, steps, in_flight = numbers
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": url,
        "log_level": "ERROR",
        "application_version": "1",
        "executor_id": "local",
    }
    DBOS(config=config)
    DBOS.launch()
    if how == "queue":
        await DBOS.register_queue_async(
            QUEUE, worker_concurrency=in_flight, polling_interval_sec=POLL_SECONDS
        )
        await run_queued(WARM_UP, 5, done)
    await run_direct(WARM_UP, 5, WARM_UP)
    before = done()
    stamps.clear()
    measured = meter()
    if how == "queue":
        await run_queued(workflows, steps, done)
    else:
        await run_direct(workflows, steps, in_flight)
    used = measured.stop()
    check("every step ran", len(stamps) >= workflows * steps, True)
    check("workflows", done() - before, workflows)
    return used


def figures_of(used: Used, workflows: int, steps: int) -> dict[str, float]:
    """Return what a step took."""
    latencies = milliseconds(gaps(stamps)) if workflows == 1 else {}
    return used.per(workflows * steps) | latencies


def main(store: str, numbers: tuple[int, int, int], how: str) -> None:
    """Run it in a fresh store and print its figures."""
    if store == "postgres":
        sql = "select count(*) from dbos.workflow_status where status = 'SUCCESS'"
        with fresh_database() as database:
            used = asyncio.run(
                play(
                    database.dsn,
                    numbers,
                    how,
                    lambda: int(database.value(sql) or 0),
                    lambda: Meter(database),
                )
            )
            emit(figures_of(used, *numbers[:2]))
    else:
        path = fresh_file("dbos.sqlite")

        def done() -> int:
            connection = sqlite3.connect(path, timeout=30)
            (found,) = connection.execute(
                "select count(*) from workflow_status where status = 'SUCCESS'"
            ).fetchone()
            connection.close()
            return int(found)

        used = asyncio.run(play(f"sqlite:///{path}", numbers, how, done, Meter))
        emit(figures_of(used, *numbers[:2]))


if __name__ == "__main__":
    with ending():
        main(sys.argv[1], (int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])), sys.argv[5])
