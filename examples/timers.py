"""Durable timers: a wait is a row, not a sleeping process.

`asyncio.sleep` in an orchestrator is a durable timer. `ctx.create_timer` gives one that can be raced and cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from durable_async import OrchestrationContext, TaskHub, activity, orchestrator


@activity
async def send(text: str) -> None:
    print(text)


@orchestrator
async def remind(ctx: OrchestrationContext, name: str) -> float:
    began = ctx.now()
    await ctx.call_activity(send, f"welcome, {name}")
    await asyncio.sleep(0.2)
    await ctx.call_activity(send, f"still there, {name}?")
    await ctx.create_timer(timedelta(milliseconds=200))
    return (ctx.now() - began).total_seconds()


@orchestrator
def remind_with_yield(ctx: OrchestrationContext, name: str) -> Generator[Any, Any, float]:
    began = ctx.now()
    yield ctx.call_activity(send, f"welcome, {name}")
    yield ctx.create_timer(0.2)
    yield ctx.call_activity(send, f"still there, {name}?")
    yield ctx.create_timer(timedelta(milliseconds=200))
    return (ctx.now() - began).total_seconds()


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        for orchestration in (remind, remind_with_yield):
            handle = await hub.client.start(orchestration, "Ada")
            seconds = await handle.wait()
            print(f"{orchestration.name}: at least 0.4 s: {seconds >= 0.4}")


if __name__ == "__main__":
    asyncio.run(main())
