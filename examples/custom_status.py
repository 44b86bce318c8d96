"""Custom status: what an orchestration tells its watchers while it runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from durable_async import OrchestrationContext, TaskHub, activity, orchestrator


@dataclass
class Progress:
    done: int
    of: int


@activity
async def work(item: int) -> None:
    await asyncio.sleep(0.01)


@orchestrator
async def job(ctx: OrchestrationContext, count: int) -> str:
    for item in range(count):
        ctx.set_custom_status(Progress(item, count))
        await ctx.call_activity(work, item)
    ctx.set_custom_status(Progress(count, count))
    await ctx.wait_for_external_event("seen")
    return "finished"


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        handle = await hub.client.start(job, 5)
        with hub.client.watch(handle) as watch:
            async for state in watch:  # what is over before anybody looks is passed over
                progress = state.custom_status(Progress)
                if progress is not None and progress.done == progress.of:
                    print(f"{progress.done} of {progress.of}")
                    break
        await handle.raise_event("seen")
        print(await handle.wait())


if __name__ == "__main__":
    asyncio.run(main())
