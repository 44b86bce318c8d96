"""Cancellation: what is not wanted any more is stopped, down to the code that runs.

Cancelling a durable call cancels the activity. Terminating an orchestration cancels its activities and its children.
"""

from __future__ import annotations

import asyncio
import threading
import time

from durable_async import (
    OrchestrationContext,
    OrchestrationTerminatedError,
    TaskHub,
    activity,
    activity_context,
    orchestrator,
)


@activity
async def ask(server: str, seconds: float) -> str:
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        print(f"{server}: cancelled")
        raise
    return server


crunching = threading.Event()
stopped = threading.Event()


@activity
def crunch() -> None:
    """A thread cannot be interrupted: it looks, or it beats its heart, and is told there."""
    context = activity_context()
    crunching.set()
    while not context.is_cancelled:
        time.sleep(0.01)
    print("crunch: told to stop")
    stopped.set()


@orchestrator
async def fastest(ctx: OrchestrationContext) -> str:
    calls = [ctx.call_activity(ask, "quick", 0.05), ctx.call_activity(ask, "slow", 30.0)]
    done, pending = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    for call in pending:
        call.cancel()
    (first,) = done
    return first.result()


@orchestrator
async def child(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(crunch)


@orchestrator
async def parent(ctx: OrchestrationContext) -> None:
    await ctx.call_sub_orchestrator(child, instance_id="the-child")


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        handle = await hub.client.start(fastest)
        print(f"fastest: {await handle.wait()}")

        endless = await hub.client.start(parent)
        await asyncio.to_thread(crunching.wait)
        await endless.terminate(output="enough")
        try:
            await endless.wait()
        except OrchestrationTerminatedError as error:
            print(f"parent: terminated, {error.output}")
        ended = await hub.client.wait_for_end("the-child")
        print(f"child: {ended.status.value}")
        await asyncio.to_thread(stopped.wait)


if __name__ == "__main__":
    asyncio.run(main())
