"""Runs a workload once, in virtual time, and says what it cost."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from types import CodeType, FrameType
from typing import Any

from benchmarks.floors import OWN, floor_of
from durable_async import TaskHub, WorkerSettings
from durable_async._kernel.loop import DeterministicLoop
from durable_async.testing import CALM, VirtualEnvironment, run_virtual

from .stores import Counts, Store, Tally
from .workloads import Workload, elsewhere, registry

SETTLED_SECONDS = 1.0

BUSY = replace(CALM, heartbeat_seconds=10 * 86_400.0, sweep_seconds=10 * 86_400.0)
"""A worker whose fetches have no errands, as those of one that fetches all the time, and does not look round either."""


@dataclass(frozen=True)
class Cost:
    """What one run of a workload cost.

    Attributes:
        store: What the store did.
        callbacks: What became ready in the loops of orchestrations.
        kernel_tasks: Tasks in these loops.
        tasks: Tasks in the event loop of the process.
        calls: Calls of Python functions of durable_async, by floor.
    """

    store: Counts
    callbacks: int
    kernel_tasks: int
    tasks: int
    calls: Tally


class Calls:
    """Calls of Python functions."""

    def __init__(self) -> None:
        self._by_code: Counter[CodeType] = Counter()

    @contextmanager
    def counted(self) -> Generator[None]:
        """Count for the length of a block."""
        before = sys.getprofile()
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(before)

    def _note(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            self._by_code[frame.f_code] += 1

    def of(self, function: Any) -> int:
        """Return how often one function was called."""
        return self._by_code[function.__code__]

    def by_floor(self) -> Tally:
        """Return how often those of each floor were called; the test kit belongs to none."""
        floors = Tally()
        for code, count in self._by_code.items():
            path = code.co_filename.replace("\\", "/")
            if OWN in path and f"{OWN}testing/" not in path:
                floors[floor_of(path)] += count
        return floors


def measure(workload: Workload, store: Store) -> Cost:
    """Run a workload and return what it cost."""
    return run_virtual(lambda env: _measure(workload, store, env))


async def _measure(workload: Workload, store: Store, env: VirtualEnvironment) -> Cost:
    async with _running(workload, store, env) as hub:
        for _ in range(workload.rounds_before):
            await workload.before(hub)
            await _run(workload, hub)
        await workload.before(hub)
        calls = Calls()
        before, tasks = store.counts(), env.loop._task_number
        with calls.counted():
            await _run(workload, hub)
        return Cost(
            store=store.counts().since(before),
            callbacks=calls.of(DeterministicLoop.call_soon),
            kernel_tasks=calls.of(DeterministicLoop.create_task),
            tasks=env.loop._task_number - tasks,
            calls=calls.by_floor(),
        )


async def _run(workload: Workload, hub: TaskHub) -> None:
    """Run it, and what goes on after the result."""
    await workload.run(hub)
    if not workload.is_idle:
        await asyncio.sleep(SETTLED_SECONDS)


@asynccontextmanager
async def _running(
    workload: Workload, store: Store, env: VirtualEnvironment
) -> AsyncGenerator[TaskHub]:
    """Open the hub in one process or in two, each with a worker; yields the first one's."""
    settings = WorkerSettings() if workload.is_idle else BUSY
    hubs = []
    async with AsyncExitStack() as stack:
        for one in [registry, elsewhere] if workload.has_second else [registry]:
            opened = TaskHub.open(store.process(env), registry=one, environment=env)
            hub = await stack.enter_async_context(opened)
            await stack.enter_async_context(hub.worker(settings=settings))
            hubs.append(hub)
        yield hubs[0]
