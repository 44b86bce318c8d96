"""The program that is killed, frozen, blocked and cut off: one worker. What to do stands in an environment variable, for DSNs hold passwords."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import bank.transfers  # noqa: F401 - registers the bank's code
import crowds.tallies  # noqa: F401 - and that of a crowd
import errands.programs  # noqa: F401 - and that of errands
from errands.hiring import open_office
from workload import registry

from durable_async import BackendUnavailableError, TaskHub
from durable_async.backends.postgres import PostgresBackend
from durable_async.environment import SystemEnvironment
from durable_async.worker import Worker

VARIABLE = "DURABLE_ASYNC_CHAOS_WORKER"
_LOOK_SECONDS = 0.02
_AGAIN_SECONDS = 0.1


@dataclass
class Orders:
    """What a worker process is told.

    Attributes:
        url: Of the store.
        identities: A file to which it appends each identity that it works under.
        hub: Name of the task hub.
        direct_url: For LISTEN and the sign of life, if it is another.
        skew_seconds: How far its clock is ahead.
        settings: Of the worker.
    """

    url: str
    identities: str
    hub: str = "default"
    direct_url: str | None = None
    skew_seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Return the environment of the process."""
        return {**os.environ, VARIABLE: json.dumps(asdict(self))}


def open_hub(orders: Orders) -> AbstractAsyncContextManager[TaskHub]:
    """Open the hub as the orders say."""
    environment = SkewedEnvironment(orders.skew_seconds)
    if orders.url.startswith("sqlite"):
        return TaskHub.open(orders.url, hub=orders.hub, registry=registry, environment=environment)
    backend = PostgresBackend(
        orders.url, hub=orders.hub, direct_dsn=orders.direct_url, environment=environment
    )
    return TaskHub.open(backend, hub=orders.hub, registry=registry, environment=environment)


class SkewedEnvironment(SystemEnvironment):
    """The real world, seen by a clock that is wrong."""

    def __init__(self, ahead_seconds: float) -> None:
        super().__init__()
        self._ahead_us = round(ahead_seconds * 1e6)

    def now_us(self) -> int:
        """Return the wrong time."""
        return super().now_us() + self._ahead_us


async def work(orders: Orders) -> None:
    """Run a worker until killed."""
    async with AsyncExitStack() as stack:
        hub = await open_somehow(stack, orders)
        open_office(hub.client)
        worker = await stack.enter_async_context(hub.worker(**orders.settings))
        await _tell_identities(worker, Path(orders.identities))


async def open_somehow(stack: AsyncExitStack, orders: Orders) -> TaskHub:
    """Begin again what could not begin, as a supervisor does; what ends later is not hidden by it."""
    while True:
        try:
            return await stack.enter_async_context(open_hub(orders))
        except BackendUnavailableError:
            await asyncio.sleep(_AGAIN_SECONDS)


def begin_log() -> None:
    """Log as `logs` reads it."""
    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s.%(msecs)03d {os.getpid()} %(levelname)s %(message)s",
    )


async def _tell_identities(worker: Worker, file: Path) -> None:
    known = None
    while True:
        if worker.worker_id not in (None, known):
            known = worker.worker_id
            with file.open("a") as lines:
                lines.write(f"{os.getpid()} {known} {time.time_ns() // 1_000}\n")
        await asyncio.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    begin_log()
    asyncio.run(work(Orders(**json.loads(os.environ[VARIABLE]))))
