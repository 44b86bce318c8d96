"""One orchestration that calls many activities at once, and waits for all of them.

python -m benchmarks.ours.fan_out postgres 1000 10000        no-op activities, so many at once
python -m benchmarks.ours.fan_out sqlite 10000 --nap         activities of ``asyncio.sleep(1)``
"""

from __future__ import annotations

import argparse
import asyncio
from statistics import median

from benchmarks.ours.meter import Meter, measured_hub
from benchmarks.samples import emit
from durable_async import OrchestrationContext, Registry, TaskHub, when_all

REPEATS_OF_SMALL = 5
"""Small sizes are over in a blink, so that one disturbance would be all that is seen: their median is told."""
SMALL_MAX = 1_000
WARM_UP = 1_000

registry = Registry()


class Ran:
    """What this process has run so far."""

    activities = 0


@registry.activity
async def noop(number: int) -> int:
    """Do nothing."""
    Ran.activities += 1
    return number


@registry.activity
async def nap(number: int) -> int:
    """Sleep for a second."""
    await asyncio.sleep(1)
    Ran.activities += 1
    return number


@registry.orchestrator
async def fan(ctx: OrchestrationContext, size: int) -> int:
    """Call the no-op for each number."""
    return sum(await when_all([ctx.call_activity(noop, number) for number in range(size)]))


@registry.orchestrator
async def fan_of_naps(ctx: OrchestrationContext, size: int) -> int:
    """Sleep for each number."""
    return sum(await when_all([ctx.call_activity(nap, number) for number in range(size)]))


async def measure(hub: TaskHub, meter: Meter, size: int, *, naps: bool) -> dict[str, float]:
    """Run one, from the call of the client to the result in its hands."""
    ran = Ran.activities
    await meter.begin()
    handle = await hub.client.start(fan_of_naps if naps else fan, size)
    total = await handle.wait()
    figures = await meter.figures(size)
    assert total == size * (size - 1) // 2
    assert Ran.activities - ran == size
    return figures


async def main(store: str, sizes: list[int], *, naps: bool) -> None:
    """Measure each size; the first and the last are compared."""
    figures: dict[str, float] = {}
    async with measured_hub(store, registry) as (hub, meter):
        await measure(hub, meter, WARM_UP, naps=False)
        for size in sizes:
            repeats = REPEATS_OF_SMALL if size <= SMALL_MAX and not naps else 1
            samples = [await measure(hub, meter, size, naps=naps) for _ in range(repeats)]
            for key in samples[0]:
                figures[f"{key}_{size}"] = median(sample[key] for sample in samples)
    if len(sizes) > 1:
        figures["growth"] = figures[f"us_{sizes[-1]}"] / figures[f"us_{sizes[0]}"]
    emit(figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=["postgres", "sqlite"])
    parser.add_argument("sizes", nargs="+", type=int)
    parser.add_argument("--nap", action="store_true")
    chosen = parser.parse_args()
    asyncio.run(main(chosen.store, chosen.sizes, naps=chosen.nap))
