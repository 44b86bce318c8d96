"""The workload on Postgres, with the client in one process, and workers in that one and others: what a step costs, and who did how many.

python -m benchmarks.throughput_postgres 4        four processes
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Mapping
from typing import Any

import asyncpg

from benchmarks.samples import ROOT, emit
from benchmarks.server import DSN_VARIABLE, Counts, counts, database, deadlocks
from benchmarks.workload import ORCHESTRATIONS, STEPS, Ran, registry, run
from durable_async import TaskHub

WARM_UP = 20
"""Orchestrations that each process runs beforehand, so that every connection is made, and its plans."""


class Statements:
    """Counts what this process sends to the server, from outside of the engine. Each is one round trip: it stays prepared."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self._connect = asyncpg.connect

    def install(self) -> None:
        """See every connection that is opened from now on."""

        async def connect(*args: Any, **kwargs: Any) -> asyncpg.Connection:
            connection = await self._connect(*args, **kwargs)
            connection.add_query_logger(self._note)
            return connection

        asyncpg.connect = connect

    def _note(self, logged: Any) -> None:
        self.sent[logged.query] += 1


class Meter:
    """What this process has used since it was told to begin."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self.begin()

    def begin(self) -> None:
        """Count from here."""
        self._statements.sent.clear()
        self._steps = Ran.steps
        self._cpu = time.process_time()

    def figures(self) -> dict[str, float]:
        """Return what was counted."""
        return {
            "steps": Ran.steps - self._steps,
            "cpu": time.process_time() - self._cpu,
            "statements": self._statements.sent.total(),
        }


async def help_out(dsn: str) -> None:
    """Be one of the other processes: a worker and no client; told by its standard input when to count."""
    statements = Statements()
    statements.install()
    async with TaskHub.open(dsn, registry=registry) as hub, hub.worker():
        await run(hub, WARM_UP)
        meter = Meter(statements)
        while await asyncio.to_thread(sys.stdin.readline):
            emit(meter.figures())
            meter.begin()


class Helper:
    """One of the other processes, as the first one sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, dsn: str) -> Helper:
        """Start it, and return when it is ready."""
        helper = cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.throughput_postgres", "helper"),
                cwd=ROOT,
                stdin=PIPE,
                stdout=PIPE,
                env={**os.environ, DSN_VARIABLE: dsn},
            )
        )
        await helper.figures()
        return helper

    async def figures(self) -> dict[str, float]:
        """Return what it counted since it was asked last."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        figures: dict[str, float] = json.loads(await self._process.stdout.readline())
        return figures

    async def stop(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def main(processes: int) -> None:
    """Run the workload and print its figures."""
    statements = Statements()
    statements.install()
    async with database() as (dsn, watcher):
        async with TaskHub.open(dsn, registry=registry) as hub, hub.worker():
            await run(hub, WARM_UP)
            helpers = [await Helper.start(dsn) for _ in range(processes - 1)]
            meter = Meter(statements)
            for helper in helpers:
                await helper.figures()
            before = await counts(watcher)
            meter.begin()
            begin = time.perf_counter()
            await run(hub)
            wall = time.perf_counter() - begin
            shares = [meter.figures(), *[await helper.figures() for helper in helpers]]
            after = await counts(watcher)
            for helper in helpers:
                await helper.stop()
        emit(_figures(wall, shares, before, after, await deadlocks(watcher, dsn)))


def _figures(
    wall: float,
    shares: list[dict[str, float]],
    before: Counts,
    after: Counts,
    broken: int,
) -> Mapping[str, float]:
    steps = ORCHESTRATIONS * STEPS
    assert sum(one["steps"] for one in shares) >= steps
    return {
        "steps_per_second": steps / wall,
        "cpu_us_per_step": sum(one["cpu"] for one in shares) / steps * 1e6,
        "server_cpu_us_per_step": (after.cpu_seconds - before.cpu_seconds) / steps * 1e6,
        "commits_per_step": (after.transactions - before.transactions) / steps,
        "wal_bytes_per_step": (after.wal_bytes - before.wal_bytes) / steps,
        "statements_per_step": sum(one["statements"] for one in shares) / steps,
        "steps_again": sum(one["steps"] for one in shares) - steps,
        "deadlocks": broken,
        **{f"share_{place}": one["steps"] / steps for place, one in enumerate(shares)},
    }


if __name__ == "__main__":
    if sys.argv[1] == "helper":
        asyncio.run(help_out(os.environ[DSN_VARIABLE]))
    else:
        asyncio.run(main(int(sys.argv[1])))
