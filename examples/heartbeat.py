"""Heartbeats: a long activity says that it is alive and how far it is; the next attempt goes on from there."""

from __future__ import annotations

import asyncio

from durable_async import (
    OrchestrationContext,
    RetryPolicy,
    TaskHub,
    activity,
    activity_context,
    orchestrator,
)


@activity(retry=RetryPolicy(max_attempts=3, first_delay=0.01), heartbeat=0.5)
async def copy_rows(count: int) -> str:
    context = activity_context()
    begin = context.heartbeat_details(int) or 0
    print(f"attempt {context.attempt} begins at row {begin}")
    for row in range(begin, count):
        context.heartbeat(row)
        await asyncio.sleep(0.01)
        if row == 3 and context.attempt == 1:
            raise ConnectionError("the network went away")
        if row == 6 and context.attempt == 2:
            await asyncio.sleep(10)  # silent for more than 0.5 s: the worker gives this attempt up
    return f"copied {count} rows at attempt {context.attempt}"


@orchestrator
async def migration(ctx: OrchestrationContext, rows: int) -> str:
    return await ctx.call_activity(copy_rows, rows)


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        handle = await hub.client.start(migration, 10)
        print(await handle.wait())


if __name__ == "__main__":
    asyncio.run(main())
