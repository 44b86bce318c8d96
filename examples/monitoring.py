"""Monitoring: look at something again and again until it is done, has failed, or has taken too long."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from durable_async import OrchestrationContext, TaskHub, activity, orchestrator

looks: dict[str, int] = {}


@activity
async def check(job: str) -> str:
    """Stands for a request to a system that runs the job."""
    looks[job] = looks.get(job, 0) + 1
    if job == "endless":
        return "running"
    return "completed" if looks[job] == 3 else "running"


@orchestrator
async def monitor(ctx: OrchestrationContext, job: str) -> str:
    pause = 0.01
    try:
        async with asyncio.timeout(1.0):
            while await ctx.call_activity(check, job) != "completed":
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.1)
    except TimeoutError:
        return f"{job}: gave up"
    return f"{job}: completed"


@orchestrator
def monitor_with_yield(ctx: OrchestrationContext, job: str) -> Generator[Any, Any, str]:
    for attempt in range(1, 11):
        status = yield ctx.call_activity(check, job)
        if status == "completed":
            return f"{job}: completed at look {attempt}"
        yield ctx.create_timer(0.02)
    return f"{job}: gave up"


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        started = [
            await hub.client.start(monitor, "import"),
            await hub.client.start(monitor_with_yield, "export"),
            await hub.client.start(monitor, "endless"),
        ]
        for handle in started:
            print(await handle.wait())


if __name__ == "__main__":
    asyncio.run(main())
