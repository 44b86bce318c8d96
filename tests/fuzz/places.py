"""Hubs to try things on: a fresh one for each input, on each store, in virtual time."""

from __future__ import annotations

import atexit
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from durable_async import Registry, TaskHub
from durable_async.backend import Backend
from durable_async.backends.memory import MemoryBackend
from durable_async.backends.memory.store import MemoryStore
from durable_async.backends.sqlite import SqliteBackend
from durable_async.testing import VirtualEnvironment, run_virtual
from durable_async.testing.postgres import BridgedBackend, PostgresLab

T = TypeVar("T")

MEMORY, SQLITE, POSTGRES = "memory", "sqlite", "postgres"
STORES = (MEMORY, SQLITE)
"""Where each input is tried. Postgres costs too much for that: it gets a sample, in a test of its own."""

STEPS_MAX = 100_000
SECONDS_MAX = 86_400.0
"""One input may take so many steps of the event loop, and so much virtual time: what takes more hangs."""

_IN_MEMORY = Path("/dev/shm")
_folder = Path(
    tempfile.mkdtemp(prefix="durable-async-fuzz-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None)
)
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
_numbers = itertools.count()

LETTERS_MAX = 20


def file() -> Path:
    """Return the file of all hubs on SQLite."""
    return _folder / "hubs.db"


@asynccontextmanager
async def fresh_hub(
    env: VirtualEnvironment,
    kind: str,
    registry: Registry | None = None,
    lab: PostgresLab | None = None,
) -> AsyncIterator[TaskHub]:
    """Open a hub that nobody has used; one on Postgres is in the lab."""
    name = f"h{next(_numbers)}"
    backend: Backend
    if kind == MEMORY:
        backend = MemoryBackend(MemoryStore(env), hub=name, letters_max=LETTERS_MAX)
    elif lab is not None:
        backend = BridgedBackend(lab, env, clock=name, hub=name, letters_max=LETTERS_MAX)
    else:
        backend = SqliteBackend(
            file(), environment=env, hub=name, inline=True, letters_max=LETTERS_MAX
        )
    await backend.open()
    try:
        hub = TaskHub(backend, name=name, registry=registry or Registry(), environment=env)
        try:
            yield hub
        finally:
            hub.client.close()
    finally:
        await backend.close()


def run(main: Callable[[VirtualEnvironment], Awaitable[T]]) -> T:
    """Run an input to its end, in virtual time, within bounds."""
    return run_virtual(main, timeout_virtual_seconds=SECONDS_MAX, steps_max=STEPS_MAX)
