"""The smallest whole program: one activity, one orchestrator, a hub in memory."""

from __future__ import annotations

import asyncio

from durable_async import OrchestrationContext, TaskHub, activity, orchestrator


@activity
async def greet(city: str) -> str:
    return f"Hello {city}!"


@orchestrator
async def hello(ctx: OrchestrationContext, city: str) -> str:
    return await ctx.call_activity(greet, city)


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        handle = await hub.client.start(hello, "Tokyo")
        print(await handle.wait())


if __name__ == "__main__":
    asyncio.run(main())
