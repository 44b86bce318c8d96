"""One orchestration of many steps, one after the other: whether the last cost what the first did, and whether any history was read.

python -m benchmarks.ours.long_run postgres 10000
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from benchmarks.ours.meter import measured_hub
from benchmarks.samples import emit
from durable_async import OrchestrationContext, Registry
from durable_async.backend import Backend

PART = 1_000
WARM_UP = 50

registry = Registry()


class Ran:
    """When each step of this process ran."""

    stamps: list[float] = []  # noqa: RUF012 - of the process, on purpose
    cpu: list[float] = []  # noqa: RUF012 - as much as the process had used by then


@registry.activity
async def noop(number: int) -> int:
    """Do nothing but note the time."""
    Ran.stamps.append(time.perf_counter())
    Ran.cpu.append(time.process_time())
    return number


@registry.orchestrator
async def sequence(ctx: OrchestrationContext, steps: int) -> int:
    """Call an activity again and again."""
    total = 0
    for number in range(steps):
        total += await ctx.call_activity(noop, number)
    return total


class HistoryReads:
    """Counts how history comes out of a store: rows that came with a claim, and pages that were asked for."""

    def __init__(self, backend: Backend) -> None:
        self.rows = 0
        self.pages = 0
        self._fetch, self._read_history = backend.fetch, backend.read_history
        backend.fetch = self._counted_fetch  # type: ignore[method-assign]
        backend.read_history = self._counted_read_history  # type: ignore[method-assign]

    async def _counted_fetch(self, *args: Any, **kwargs: Any) -> Any:
        fetched = await self._fetch(*args, **kwargs)
        self.rows += sum(len(claimed.history) for claimed in fetched.claimed)
        return fetched

    async def _counted_read_history(self, *args: Any, **kwargs: Any) -> Any:
        self.pages += 1
        return await self._read_history(*args, **kwargs)


async def main(store: str, steps: int) -> None:
    """Run it, and print how long the steps took at its beginning and at its end."""
    part = min(PART, steps // 2)
    async with measured_hub(store, registry, worker=False) as (hub, meter):
        reads = HistoryReads(hub.backend)  # before the worker begins, as it may keep the methods
        async with hub.worker():
            warm_up = await hub.client.start(sequence, WARM_UP)
            await warm_up.wait()
            Ran.stamps.clear()
            Ran.cpu.clear()
            reads.rows = reads.pages = 0
            await meter.begin()
            handle = await hub.client.start(sequence, steps)
            total = await handle.wait()
            figures = await meter.figures(steps)
            figures |= {"history_pages_read": reads.pages, "history_rows_read": reads.rows}
            history = await hub.client.history(handle)
    assert total == steps * (steps - 1) // 2
    assert len(Ran.stamps) == steps
    assert len(history) > steps  # it is all there
    first, last = _ends(Ran.stamps, part)
    cpu_first, cpu_last = _ends(Ran.cpu, part)
    emit(
        {
            **figures,
            "ms_first": first * 1e3,
            "ms_last": last * 1e3,
            "growth": last / first,
            "cpu_us_first": cpu_first * 1e6,
            "cpu_us_last": cpu_last * 1e6,
            "cpu_growth": cpu_last / cpu_first,
        }
    )


def _ends(stamps: list[float], part: int) -> tuple[float, float]:
    """Return what one of the first steps took, and one of the last."""
    return (stamps[part] - stamps[0]) / part, (stamps[-1] - stamps[-1 - part]) / part


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
