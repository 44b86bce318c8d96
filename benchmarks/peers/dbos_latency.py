"""DBOS: how long a client waits for a workflow of one step.

dbos_latency.py here 200       the workflow is started in this process, and its handle waited for
dbos_latency.py apart 200      by way of a queue, with a worker in another process; both poll every 10 ms, as tuned as they go
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from common import DSN_VARIABLE, Database, check, emit, finish, fresh_database, milliseconds
from dbos import DBOS, DBOSClient

WARM_UP = 10
POLL_SECONDS = 0.01
QUEUE = "bench"


@DBOS.step()
async def noop(number: int) -> int:
    return number


@DBOS.workflow()
async def sequence(steps: int) -> int:
    for number in range(steps):
        await noop(number)
    return steps


def launch(dsn: str) -> None:
    DBOS(
        config={
            "name": "bench",
            "system_database_url": dsn,
            "log_level": "ERROR",
            "application_version": "1",
            "executor_id": "local",
        }
    )
    DBOS.launch()


async def work(dsn: str) -> None:
    """Be the worker, until the first process lets go of our standard input."""
    launch(dsn)
    await DBOS.register_queue_async(
        QUEUE, worker_concurrency=200, polling_interval_sec=POLL_SECONDS
    )
    await asyncio.sleep(2)  # what launches a queue looks for new ones once a second
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def measure(
    one: Callable[[], Awaitable[None]], total: int, database: Database
) -> dict[str, float]:
    for _ in range(WARM_UP):
        await one()
    before, cpu = database.counters(), time.process_time()
    seconds = []
    for _ in range(total):
        begin = time.perf_counter()
        await one()
        seconds.append(time.perf_counter() - begin)
    cpu = time.process_time() - cpu
    after = database.counters()
    return milliseconds(seconds) | {
        "cpu_us_per_run": cpu / total * 1e6,
        "commits_per_run": (after[0] - before[0]) / total,
        "wal_bytes_per_run": (after[1] - before[1]) / total,
    }


async def here(database: Database, total: int) -> dict[str, float]:
    launch(database.dsn)

    async def one() -> None:
        handle = await DBOS.start_workflow_async(sequence, 1)
        check("result", await handle.get_result(), 1)

    return await measure(one, total, database)


def begin_worker(dsn: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, __file__, "work"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, DSN_VARIABLE: dsn},
    )


async def apart(database: Database, total: int) -> dict[str, float]:
    worker = begin_worker(database.dsn)
    try:
        assert worker.stdout is not None
        check("worker", await asyncio.to_thread(worker.stdout.readline), b"ready\n")
        client = DBOSClient(system_database_url=database.dsn)
        options = {"workflow_name": sequence.__qualname__, "queue_name": QUEUE}

        async def one() -> None:
            handle = await client.enqueue_async(options, 1)
            check("result", await handle.get_result(polling_interval_sec=POLL_SECONDS), 1)

        return await measure(one, total, database)
    finally:
        worker.kill()
        worker.wait()


def main(place: str, total: int) -> None:
    with fresh_database() as database:
        figures = asyncio.run((here if place == "here" else apart)(database, total))
        done = database.value("select count(*) from dbos.workflow_status where status = 'SUCCESS'")
        check("workflows", done, str(total + WARM_UP))
    emit(figures)
    finish()


if __name__ == "__main__":
    if sys.argv[1] == "work":
        asyncio.run(work(os.environ[DSN_VARIABLE]))
        finish()
    else:
        main(sys.argv[1], int(sys.argv[2]))
