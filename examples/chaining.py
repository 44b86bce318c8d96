"""Chaining: each activity gets what the one before returned.

After a crash the chain goes on at the first activity whose result is not in the history yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from durable_async import OrchestrationContext, TaskHub, activity, orchestrator


@activity
async def fetch(page: str) -> str:
    return f"<{page}>"


@activity
def translate(text: str) -> str:  # a plain def runs in a thread
    return text.upper()


@activity
async def publish(text: str, *, channel: str) -> str:
    return f"{text} on {channel}"


@orchestrator
async def chain(ctx: OrchestrationContext, page: str) -> str:
    text = await ctx.call_activity(fetch, page)
    translated = await ctx.call_activity(translate, text)
    return await ctx.call_activity(publish, translated, channel="news")


@orchestrator
def chain_with_yield(ctx: OrchestrationContext, page: str) -> Generator[Any, Any, str]:
    text = yield ctx.call_activity(fetch, page)
    translated = yield ctx.call_activity(translate, text)
    published: str = yield ctx.call_activity(publish, translated, channel="news")
    return published


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        for orchestration in (chain, chain_with_yield):
            handle = await hub.client.start(orchestration, "weather")
            print(f"{orchestration.name}: {await handle.wait()}")


if __name__ == "__main__":
    asyncio.run(main())
