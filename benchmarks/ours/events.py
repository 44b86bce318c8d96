"""Orchestrations that wait for an event each: they are started, sent it, and complete. The client does both in batches.

python -m benchmarks.ours.events postgres 2000               this process knows which have come to wait, as with the peers
python -m benchmarks.ours.events postgres 2000 --look        the client asks the store, as it would from another process
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence

from benchmarks.ours.meter import Meter, measured_hub
from benchmarks.samples import emit
from durable_async import OrchestrationContext, OrchestrationHandle, Registry, TaskHub

LOOK_SECONDS = 0.005
WARM_UP = 50

registry = Registry()


class Ran:
    """The orchestrations of this process that have come to wait."""

    waiting: set[str] = set()  # noqa: RUF012 - of the process, on purpose


@registry.orchestrator
async def waiter(ctx: OrchestrationContext, number: int) -> list[int]:
    """Return the own number, and what the event says."""
    Ran.waiting.add(ctx.instance_id)
    return [number, await ctx.wait_for_external_event("go", int)]


async def all_wait(_hub: TaskHub, handles: Sequence[OrchestrationHandle[list[int]]]) -> None:
    """Return when each is known to wait by this process."""
    wanted = {handle.instance_id for handle in handles}
    while not Ran.waiting.issuperset(wanted):  # noqa: ASYNC110 - the same as the peers' programs do
        await asyncio.sleep(LOOK_SECONDS)


async def all_started(hub: TaskHub, handles: Sequence[OrchestrationHandle[list[int]]]) -> None:
    """Return when the store has told the client of each that it has begun."""
    await asyncio.gather(*[hub.client.wait_for_start(handle) for handle in handles])


async def measure(hub: TaskHub, meter: Meter, instances: int, *, look: bool) -> dict[str, float]:
    """Start them, and when each waits, send each its event, and wait for each result."""
    Ran.waiting.clear()
    await meter.begin()
    begin = time.perf_counter()
    handles = await hub.client.start_many(waiter, range(instances))
    await (all_started if look else all_wait)(hub, handles)
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


async def main(store: str, instances: int, *, look: bool) -> None:
    """Run it and print its figures."""
    async with measured_hub(store, registry) as (hub, meter):
        await measure(hub, meter, WARM_UP, look=look)
        figures = await measure(hub, meter, instances, look=look)
    emit(figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=["postgres", "sqlite"])
    parser.add_argument("instances", type=int)
    parser.add_argument("--look", action="store_true")
    chosen = parser.parse_args()
    asyncio.run(main(chosen.store, chosen.instances, look=chosen.look))
