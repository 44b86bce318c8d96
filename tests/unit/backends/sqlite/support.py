"""What the tests of the embedded store share."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any

from durable_async.backends.sqlite import SqliteBackend
from durable_async.environment import SystemEnvironment
from durable_async.model.records import (
    NO_ERRANDS,
    Errands,
    Fence,
    NewInstance,
    Outgoing,
    TurnCommit,
    Work,
)

_fetches = itertools.count(1)

ROOT = Path(__file__).resolve().parents[4]

PREAMBLE = """
import asyncio, itertools, os, sys, time, warnings
from durable_async.backends.sqlite import SqliteBackend
from durable_async.environment import SystemEnvironment
from durable_async.model.records import NewInstance

fetches = itertools.count(1)

async def opened():
    backend = SqliteBackend(sys.argv[1], environment=SystemEnvironment())
    await backend.open()
    return backend

def new(instance_id):
    return NewInstance(instance_id=instance_id, name="o", version=None, events=b"e", created_at_us=1)

async def fetch(backend, fence):
    return await backend.fetch(fence, number=next(fetches), instances=10, activities=10, names=frozenset({"o"}),
        activity_names=frozenset({"a"}), history_bytes_max=1000)

def say(text):
    print(text, flush=True)
"""


@asynccontextmanager
async def opened(
    path: Path, *, inline: bool = False, hub: str = "default"
) -> AsyncIterator[SqliteBackend]:
    backend = SqliteBackend(path, environment=SystemEnvironment(), inline=inline, hub=hub)
    await backend.open()
    try:
        yield backend
    finally:
        await backend.close()


class Child:
    """A real process that runs a few lines of Python on a database."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def next_line(self) -> str:
        """Wait for what the process says next; empty when it has ended."""
        assert self.process.stdout is not None
        stream: IO[str] = self.process.stdout
        return stream.readline().strip()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(timeout=30)


@contextmanager
def child(path: Path, body: str) -> Iterator[Child]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + body, str(path)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with process:
        try:
            yield Child(process)
        finally:
            process.kill()


def new(instance_id: str, **fields: Any) -> NewInstance:
    fields = {"version": None, **fields}
    return NewInstance(
        instance_id=instance_id, name="o", events=b"started", created_at_us=1, **fields
    )


def turn(instance_id: str, number: int, events: bytes = b"turn", **fields: Any) -> TurnCommit:
    fields = {"execution": 1, **fields}
    return TurnCommit(instance_id=instance_id, turn=number, events=events, **fields)


def signal(entity_id: str, body: bytes = b"op") -> Outgoing:
    return Outgoing(instance_id=entity_id, execution=None, letter=body, opens="o")


async def fetch(backend: SqliteBackend, fence: Fence, errands: Errands = NO_ERRANDS) -> Work:
    return await backend.fetch(
        fence,
        number=next(_fetches),
        instances=100,
        activities=100,
        names=frozenset({"o"}),
        activity_names=frozenset({"a"}),
        history_bytes_max=100_000,
        errands=errands,
    )
