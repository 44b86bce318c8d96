"""A hub in a store of its own for one round, and what its use costs."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from benchmarks.server import Counts, counts, database
from durable_async import Registry, TaskHub

FOLDER_VARIABLE = "DURABLE_ASYNC_BENCH_FOLDER"


class Meter:
    """What has been used since it was told to begin: time, CPU of this process, and writes of the server if there is one."""

    def __init__(self, watcher: asyncpg.Connection | None) -> None:
        self._watcher = watcher
        self._before: Counts | None = None

    async def begin(self) -> None:
        """Count from here."""
        self._before = None if self._watcher is None else await counts(self._watcher)
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    async def figures(self, items: int) -> dict[str, float]:
        """Return what was used: the time in all, the rest for each item."""
        wall = time.perf_counter() - self._wall
        cpu = time.process_time() - self._cpu
        figures = {
            "seconds": wall,
            "us": wall / items * 1e6,
            "per_second": items / wall,
            "cpu_us": cpu / items * 1e6,
        }
        if self._watcher is not None and self._before is not None:
            after = await counts(self._watcher)
            figures["commits"] = (after.transactions - self._before.transactions) / items
            figures["wal_bytes"] = (after.wal_bytes - self._before.wal_bytes) / items
        return figures


@asynccontextmanager
async def measured_hub(
    store: str, registry: Registry, *, worker: bool = True
) -> AsyncGenerator[tuple[TaskHub, Meter]]:
    """Open a hub in a new ``postgres`` database or ``sqlite`` file, with a worker of default settings."""
    async with _new_store(store) as (url, watcher), TaskHub.open(url, registry=registry) as hub:
        meter = Meter(watcher)
        if worker:
            async with hub.worker():
                yield hub, meter
        else:
            yield hub, meter


@asynccontextmanager
async def _new_store(store: str) -> AsyncGenerator[tuple[str, asyncpg.Connection | None]]:
    if store == "postgres":
        async with database() as (dsn, watcher):
            yield dsn, watcher
        return
    assert store == "sqlite", store
    yield f"sqlite:///{_new_file()}", None


def _new_file() -> Path:
    folder = Path(os.environ[FOLDER_VARIABLE]).resolve() / secrets.token_hex(4)
    folder.mkdir()
    return folder / "hub.db"
