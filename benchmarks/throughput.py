"""The workload in one process, on SQLite or in memory: steps a second, commits and CPU a step."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time

from benchmarks.samples import emit
from benchmarks.workload import ORCHESTRATIONS, STEPS, registry, run
from durable_async import TaskHub


class Commits:
    """Counts the write transactions of this process's connections, from outside of the engine."""

    def __init__(self) -> None:
        self.count = 0
        self._connect = sqlite3.connect

    def install(self) -> None:
        """See every connection that is opened from now on."""

        def connect(*args: object, **kwargs: object) -> sqlite3.Connection:
            connection = self._connect(*args, **kwargs)  # type: ignore[call-overload]
            connection.set_trace_callback(self._statement)
            return connection  # type: ignore[no-any-return]

        sqlite3.connect = connect  # type: ignore[assignment]

    def _statement(self, sql: str) -> None:
        if sql[:6].lower() == "commit":
            self.count += 1


async def main(url: str) -> None:
    """Run the workload and print its figures."""
    commits = Commits()
    commits.install()
    async with TaskHub.open(url, registry=registry) as hub, hub.worker():
        await run(hub, 1)
        before = commits.count
        cpu, begin = time.process_time(), time.perf_counter()
        await run(hub)
        wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
        written = commits.count - before
    steps = ORCHESTRATIONS * STEPS
    emit(
        {
            "steps_per_second": steps / wall,
            "cpu_us_per_step": cpu / steps * 1e6,
            "commits_per_step": written / steps,
        }
    )


if __name__ == "__main__":
    if sys.argv[1] == "memory":
        asyncio.run(main("memory://"))
    else:
        with tempfile.TemporaryDirectory(dir=sys.argv[1]) as scratch:
            asyncio.run(main(f"sqlite:///{scratch}/hub.db"))
