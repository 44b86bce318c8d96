"""How long a client waits for an orchestration of one activity, with the settings that a user has who changes none.

python -m benchmarks.ours.latency here 200           client and worker in one process
python -m benchmarks.ours.latency apart 200          the worker in another process
python -m benchmarks.ours.latency sqlite 200         in one process, on a SQLite file
python -m benchmarks.ours.latency sqlite-apart 200   in two, on the same file
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from contextlib import AsyncExitStack

import asyncpg

from benchmarks.companions import attend, companion
from benchmarks.samples import emit
from benchmarks.sequential import WARM_UP, sequentially
from benchmarks.server import DSN_VARIABLE, database
from benchmarks.workload import Ran, registry, sequence
from durable_async import Client, TaskHub

FOLDER_VARIABLE = "DURABLE_ASYNC_BENCH_FOLDER"


async def measure(
    client: Client, total: int, watcher: asyncpg.Connection | None
) -> dict[str, float]:
    """Start one, wait for its result, and so on."""

    async def one(number: int) -> None:
        handle = await client.start(sequence, 1)
        assert await handle.wait() == 1

    return await sequentially(one, total, watcher)


async def work(url: str) -> None:
    """Be the other process."""
    async with TaskHub.open(url, registry=registry) as hub, hub.worker():
        await attend(lambda: {"steps": Ran.steps})


async def run(
    url: str, total: int, apart: bool, watcher: asyncpg.Connection | None = None
) -> dict[str, float]:
    """Measure with the worker here or elsewhere, and check that it was there that the activities ran."""
    async with TaskHub.open(url, registry=registry) as hub, AsyncExitStack() as stack:
        if not apart:
            await stack.enter_async_context(hub.worker())
            figures = await measure(hub.client, total, watcher)
            assert Ran.steps == total + WARM_UP
            return figures
        worker = await stack.enter_async_context(companion(url, "benchmarks.ours.latency", "work"))
        figures = await measure(hub.client, total, watcher)
        assert Ran.steps == 0
        assert (await worker.figures())["steps"] == total + WARM_UP
        return figures


async def main(place: str, total: int) -> None:
    """Measure and print."""
    apart = place.endswith("apart")
    if place.startswith("sqlite"):
        url = f"sqlite:///{os.environ[FOLDER_VARIABLE]}/{secrets.token_hex(4)}.db"
        emit(await run(url, total, apart))
        return
    async with database() as (dsn, watcher):
        figures = await run(dsn, total, apart, watcher)
    emit(figures)


if __name__ == "__main__":
    if sys.argv[1] == "work":
        asyncio.run(work(os.environ[DSN_VARIABLE]))
    else:
        asyncio.run(main(sys.argv[1], int(sys.argv[2])))
