"""One of the workers, until it is killed."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from insides import keep_diary
from orders import HUB, Orders
from program import registry, work

from durable_async import BackendUnavailableError, TaskHub
from durable_async.backends.postgres import leases, near
from durable_async.backends.sqlite import renewal

INSTANCES_MAX = 1_000
REPORTED_MAX = 1_000
"""Bounds of what a worker keeps in memory, so low that they are reached while it warms up, and then hold for the rest of the run."""

_AGAIN_SECONDS = 0.1
_LEAKED_BYTES = 4_000


async def run(orders: Orders) -> None:
    """Work, and tell of it."""
    keep_for(orders.kept_seconds)
    async with AsyncExitStack() as stack:
        hub = await _open(stack, orders)
        worker = await stack.enter_async_context(hub.worker(instances_max=INSTANCES_MAX))
        if orders.leak:
            stack.callback(asyncio.create_task(_leak(orders.leak)).cancel)
        await keep_diary(
            Path(orders.diary), orders.every_seconds, lambda: (hub, worker), pid=os.getpid()
        )


def keep_for(seconds: float) -> None:
    """Have the stores forget requests and tombstones after a shorter time, and remember less, so that an hour sees all of it come and go."""
    near._REPORTED_MAX = REPORTED_MAX
    for module in (leases, renewal):
        module.REQUESTS_KEPT_US = round(seconds * 1e6)
        module.TOMBSTONES_KEPT_US = round(seconds * 1e6)


async def _open(stack: AsyncExitStack, orders: Orders) -> TaskHub:
    while True:
        try:
            return await stack.enter_async_context(
                TaskHub.open(orders.url, hub=HUB, registry=registry)
            )
        except BackendUnavailableError:
            await asyncio.sleep(_AGAIN_SECONDS)


async def _leak(what: str) -> None:
    """Grow on purpose, so that it can be seen whether anybody notices."""
    leaked: list[Any] = []
    while True:
        await asyncio.sleep(0.05)
        match what:
            case "memory":
                leaked.append([0] * (_LEAKED_BYTES // 8))
            case "tasks":
                leaked.append(asyncio.create_task(asyncio.Event().wait()))
            case "files":
                leaked.append(Path(os.devnull).open())  # noqa: SIM115 - it is to stay open
            case _:
                raise ValueError(what)


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.WARNING, format=f"%(asctime)s.%(msecs)03d {os.getpid()} %(message)s"
    )
    assert work.name
    asyncio.run(run(Orders.read()))
