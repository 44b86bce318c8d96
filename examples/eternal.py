"""Eternal orchestrations: `continue_as_new` begins again with a fresh history, so that it never grows.

The instance keeps its id, and events that nobody has waited for yet are there for the next execution.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from durable_async import OrchestrationContext, Status, TaskHub, activity, orchestrator


@activity
async def collect(round_number: int) -> None:
    print(f"round {round_number}")


@orchestrator
async def collector(ctx: OrchestrationContext, round_number: int) -> str:
    await ctx.call_activity(collect, round_number)
    await asyncio.sleep(0.02)
    if round_number < 3:
        ctx.continue_as_new(round_number + 1)  # the code is left here
    return f"stopped in execution {ctx.execution}"


@orchestrator
def collector_with_yield(ctx: OrchestrationContext, round_number: int) -> Generator[Any, Any, str]:
    yield ctx.call_activity(collect, round_number)
    yield ctx.create_timer(0.02)
    if round_number < 3:
        ctx.continue_as_new(round_number + 1)
    return f"stopped in execution {ctx.execution}"


@orchestrator
async def counter(ctx: OrchestrationContext, total: int) -> None:
    """Really eternal: adds up what it is sent, until somebody terminates it."""
    ctx.set_custom_status(total)
    total += await ctx.wait_for_external_event("add", int)
    ctx.continue_as_new(total)


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        for orchestration in (collector, collector_with_yield):
            handle = await hub.client.start(orchestration, 1)
            print(await handle.wait())

        eternal = await hub.client.start(counter, 0)
        await hub.client.raise_events([(eternal, "add", number) for number in range(1, 11)])
        with hub.client.watch(eternal) as watch:
            async for state in watch:
                if state.custom_status() == 55:
                    break
        await eternal.terminate()
        ended = await hub.client.wait_for_end(eternal)
        print(f"counted to 55 in {ended.execution} executions: {ended.status is Status.TERMINATED}")


if __name__ == "__main__":
    asyncio.run(main())
