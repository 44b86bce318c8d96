"""Batched fan-out: a bound on how many activities are under way.

Two ways: in batches, each as slow as its slowest member; or with a semaphore, which keeps the bound and never idles.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from durable_async import OrchestrationContext, TaskHub, activity, orchestrator, when_all

AT_ONCE = 4


@activity
async def resize(image: int) -> int:
    await asyncio.sleep(0.01)
    return image * 2


@orchestrator
async def in_batches(ctx: OrchestrationContext, count: int) -> int:
    total = 0
    for first in range(0, count, AT_ONCE):
        batch = range(first, min(first + AT_ONCE, count))
        total += sum(await asyncio.gather(*(ctx.call_activity(resize, image) for image in batch)))
    return total


@orchestrator
async def under_a_semaphore(ctx: OrchestrationContext, count: int) -> int:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(image: int) -> int:
        async with room:
            return await ctx.call_activity(resize, image)

    return sum(await asyncio.gather(*(one(image) for image in range(count))))


@orchestrator
def in_batches_with_yield(ctx: OrchestrationContext, count: int) -> Generator[Any, Any, int]:
    total = 0
    for first in range(0, count, AT_ONCE):
        batch = range(first, min(first + AT_ONCE, count))
        total += sum((yield when_all([ctx.call_activity(resize, image) for image in batch])))
    return total


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        for orchestration in (in_batches, under_a_semaphore, in_batches_with_yield):
            handle = await hub.client.start(orchestration, 10)
            print(f"{orchestration.name}: {await handle.wait()}")


if __name__ == "__main__":
    asyncio.run(main())
