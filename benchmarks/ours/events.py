"""Orchestrations that wait for an event each: they are started, sent it, and complete. The client does both in batches.

python -m benchmarks.ours.events postgres 2000
"""

from __future__ import annotations

import asyncio
import sys
import time

from benchmarks.ours.meter import Meter, measured_hub
from benchmarks.samples import emit
from durable_async import OrchestrationContext, Registry, TaskHub

WARM_UP = 50

registry = Registry()


@registry.orchestrator
async def waiter(ctx: OrchestrationContext, number: int) -> list[int]:
    """Return the own number, and what the event says."""
    return [number, await ctx.wait_for_external_event("go", int)]


async def measure(hub: TaskHub, meter: Meter, instances: int) -> dict[str, float]:
    """Start them, and when each has committed that it waits, send each its event, and wait for each result."""
    await meter.begin()
    begin = time.perf_counter()
    handles = await hub.client.start_many(waiter, range(instances))
    await asyncio.gather(*[hub.client.wait_for_start(handle) for handle in handles])
    waiting = time.perf_counter()
    delivered = await hub.client.raise_events(
        [(handle, "go", number * 2) for number, handle in enumerate(handles)]
    )
    sent = time.perf_counter()
    results = await asyncio.gather(*[handle.wait() for handle in handles])
    end = time.perf_counter()
    figures = await meter.figures(instances)
    assert all(delivered)
    assert results == [[number, number * 2] for number in range(instances)]
    return figures | {
        "start_seconds": waiting - begin,
        "send_seconds": sent - waiting,
        "complete_seconds": end - sent,
    }


async def main(store: str, instances: int) -> None:
    """Run it and print its figures."""
    async with measured_hub(store, registry) as (hub, meter):
        await measure(hub, meter, WARM_UP)
        figures = await measure(hub, meter, instances)
    emit(figures)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
