"""Scheduled execution: at a date, whether the orchestration waits for it or is started for it.

`start_at` keeps the whole orchestration pending. A `datetime` input lets it do something first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

from durable_async import OrchestrationContext, TaskHub, activity, orchestrator


@activity
async def publish(text: str) -> str:
    return f"published {text}"


@orchestrator
async def at_a_date(ctx: OrchestrationContext, due: datetime) -> str:
    await ctx.create_timer(due)  # a date that is past fires at once
    assert ctx.now() >= due
    return await ctx.call_activity(publish, "the article")


@orchestrator
def at_a_date_with_yield(ctx: OrchestrationContext, due: datetime) -> Generator[Any, Any, str]:
    delay = due - ctx.now()
    if delay > timedelta(0):
        yield ctx.create_timer(delay)
    published: str = yield ctx.call_activity(publish, "the article")
    return published


@orchestrator
async def at_once(ctx: OrchestrationContext) -> str:
    return await ctx.call_activity(publish, "the news")


async def main() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    async with TaskHub.open("memory://") as hub, hub.worker():
        for orchestration in (at_a_date, at_a_date_with_yield):
            handle = await hub.client.start(orchestration, soon)
            print(
                f"{orchestration.name}: {await handle.wait()}, in time: {datetime.now(UTC) >= soon}"
            )

        later = await hub.client.start(at_once, start_at=timedelta(seconds=0.4))
        state = await later.get()
        assert state is not None
        print(f"{state.name}: {state.status.value}, then {await later.wait()}")


if __name__ == "__main__":
    asyncio.run(main())
