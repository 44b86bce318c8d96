"""The workload of the throughput benchmarks: 500 orchestrations of 10 no-op activities, 200 in flight, begun by one client."""

from __future__ import annotations

import asyncio

from durable_async import OrchestrationContext, Registry, TaskHub

ORCHESTRATIONS = 500
STEPS = 10
IN_FLIGHT = 200

registry = Registry()


class Ran:
    """What this process has run so far."""

    steps = 0


@registry.activity
async def noop(number: int) -> int:
    """Do nothing."""
    Ran.steps += 1
    return number


@registry.orchestrator
async def sequence(ctx: OrchestrationContext, steps: int) -> int:
    """Call an activity again and again."""
    for number in range(steps):
        await ctx.call_activity(noop, number)
    return steps


async def run(hub: TaskHub, orchestrations: int = ORCHESTRATIONS) -> None:
    """Start them all, and wait for each."""
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one() -> None:
        async with gate:
            handle = await hub.client.start(sequence, STEPS)
            assert await handle.wait() == STEPS

    await asyncio.gather(*[one() for _ in range(orchestrations)])
