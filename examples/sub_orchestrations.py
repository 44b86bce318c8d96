"""Sub-orchestrations: an orchestration calls others, waits for them, and learns of their failures.

Each child has a history of its own, so a parent of a thousand children stays small.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from durable_async import (
    OrchestrationContext,
    SubOrchestrationFailedError,
    TaskHub,
    activity,
    orchestrator,
    when_all,
)


@activity
async def bake(cake: str) -> str:
    if cake == "stone":
        raise ValueError("cannot bake a stone")
    return f"baked {cake}"


@activity
async def wrap(cake: str) -> str:
    return f"{cake}, wrapped"


@orchestrator
async def one_cake(ctx: OrchestrationContext, cake: str) -> str:
    return await ctx.call_activity(wrap, await ctx.call_activity(bake, cake))


@orchestrator
async def bakery(ctx: OrchestrationContext, cakes: list[str]) -> list[str]:
    return await asyncio.gather(*(ctx.call_sub_orchestrator(one_cake, cake) for cake in cakes))


@orchestrator
def bakery_with_yield(
    ctx: OrchestrationContext, cakes: list[str]
) -> Generator[Any, Any, list[str]]:
    wrapped: list[str] = yield when_all(
        [ctx.call_sub_orchestrator(one_cake, cake) for cake in cakes]
    )
    return wrapped


@orchestrator
async def careful_bakery(ctx: OrchestrationContext, cake: str) -> str:
    try:
        return await ctx.call_sub_orchestrator(one_cake, cake, instance_id=f"cake-{cake}")
    except SubOrchestrationFailedError as error:
        return f"no cake, since {error.failure.message}"


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        for orchestration in (bakery, bakery_with_yield):
            handle = await hub.client.start(orchestration, ["pie", "tart"])
            print(f"{orchestration.name}: {await handle.wait()}")
        careful = await hub.client.start(careful_bakery, "stone")
        print(await careful.wait())


if __name__ == "__main__":
    asyncio.run(main())
