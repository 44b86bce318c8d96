"""Absurd: 500 tasks of 10 steps, with 8 connections and 200 in flight, as tuned as it goes, spread over worker processes.

absurd_spread.py 2      two processes of 4 connections each, beside the one that spawns

A step of Absurd runs in the process that has its task: it has no way to run it elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from absurd_sdk import AsyncAbsurd
from common import DSN_VARIABLE, Database, Meter, check, emit, finish, fresh_database

TASKS = 500
STEPS = 10
CONNECTIONS = 8
CONCURRENCY = 200
POLL_SECONDS = 0.01
SPAWNERS = 4
WARM_UP = 40
QUEUE = "default"


class Ran:
    steps = 0


async def noop() -> None:
    Ran.steps += 1


def client(dsn: str) -> AsyncAbsurd:
    absurd = AsyncAbsurd(dsn, queue_name=QUEUE)

    @absurd.register_task("sequence")
    async def sequence(parameters: dict, context: Any) -> int:
        for _ in range(parameters["steps"]):
            await context.step("step", noop)
        return parameters["steps"]

    return absurd


async def work(dsn: str, connections: int) -> None:
    """Be a worker, and say what was used whenever asked."""
    share = CONCURRENCY // CONNECTIONS
    running = [
        asyncio.create_task(
            client(dsn).start_worker(
                worker_id=f"{os.getpid()}-{number}",
                concurrency=share,
                poll_interval=POLL_SECONDS,
                claim_timeout=120,
            )
        )
        for number in range(connections)
    ]
    print("0 0", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        assert not any(one.done() for one in running)
        print(Ran.steps, time.process_time(), flush=True)


class Worker:
    """One of the other processes."""

    def __init__(self, dsn: str, connections: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "work", str(connections)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, DSN_VARIABLE: dsn},
        )
        self._read()

    def used(self) -> tuple[float, float]:
        """Return steps that were run, and CPU seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._read()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> tuple[float, float]:
        assert self._process.stdout is not None
        steps, cpu = self._process.stdout.readline().split()
        return float(steps), float(cpu)


async def spawn(dsn: str, tasks: int) -> None:
    """Spawn tasks, by a few connections."""

    async def some(count: int) -> None:
        absurd = client(dsn)
        for _ in range(count):
            await absurd.spawn("sequence", {"steps": STEPS})
        await absurd.close()

    await asyncio.gather(*[some(tasks // SPAWNERS) for _ in range(SPAWNERS)])


def run(database: Database, tasks: int, already: int) -> None:
    """Spawn tasks, and wait until all have completed."""
    asyncio.run(spawn(database.dsn, tasks))
    query = f"select count(*) from absurd.t_{QUEUE} where state = 'completed'"
    while int(database.value(query) or 0) < already + tasks:
        time.sleep(0.02)


def set_up(dsn: str) -> None:
    tool = Path(sys.executable).with_name("absurdctl")
    for arguments in (["init"], ["create-queue", QUEUE]):
        environment = {**os.environ, "ABSURD_DATABASE_URL": dsn}
        subprocess.run([tool, *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)


def measure(database: Database, workers: list[Worker]) -> dict[str, float]:
    run(database, WARM_UP, 0)
    before = [one.used() for one in workers]
    meter = Meter(database)
    run(database, TASKS, WARM_UP)
    used = meter.stop()
    after = [one.used() for one in workers]
    steps = TASKS * STEPS
    check("steps", sum(now[0] - then[0] for now, then in zip(after, before)), float(steps))  # noqa: B905
    figures = used.per(steps)
    elsewhere = sum(now[1] - then[1] for now, then in zip(after, before))  # noqa: B905
    figures["cpu_us_per_step"] += elsewhere / steps * 1e6
    return figures


def main(processes: int) -> None:
    workers: list[Worker] = []
    with fresh_database() as database:
        set_up(database.dsn)
        try:
            for _ in range(processes):
                workers.append(Worker(database.dsn, CONNECTIONS // processes))  # noqa: PERF401 - each is ended
            figures = measure(database, workers)
        finally:
            for one in workers:
                one.end()
    emit(figures)
    finish()


if __name__ == "__main__":
    if sys.argv[1] == "work":
        asyncio.run(work(os.environ[DSN_VARIABLE], int(sys.argv[2])))
        finish()
    else:
        main(int(sys.argv[1]))
