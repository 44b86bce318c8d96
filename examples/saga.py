"""Saga: when a later part fails, what was done before is taken back, in reverse order.

`AsyncExitStack` does the bookkeeping: it is ordinary asyncio, and it is replayed. The compensations run even after a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import AsyncExitStack
from typing import Any

from durable_async import (
    ActivityFailedError,
    OrchestrationContext,
    TaskHub,
    activity,
    orchestrator,
)


@activity
async def book(what: str) -> str:
    if what == "car":
        raise LookupError("no car is left")
    print(f"booked {what}")
    return what


@activity
async def cancel_booking(what: str) -> None:
    print(f"cancelled {what}")


@orchestrator
async def trip(ctx: OrchestrationContext, parts: list[str]) -> str:
    try:
        async with AsyncExitStack() as booked:
            for part in parts:
                await ctx.call_activity(book, part)
                booked.push_async_callback(ctx.call_activity, cancel_booking, part)
            booked.pop_all()  # everything went well: nothing is taken back
    except ActivityFailedError as error:
        return f"no trip: {error.failure.message}"
    return "have a good trip"


@orchestrator
def trip_with_yield(ctx: OrchestrationContext, parts: list[str]) -> Generator[Any, Any, str]:
    booked: list[str] = []
    try:
        for part in parts:
            yield ctx.call_activity(book, part)
            booked.append(part)
    except ActivityFailedError as error:
        for part in reversed(booked):
            yield ctx.call_activity(cancel_booking, part)
        return f"no trip: {error.failure.message}"
    return "have a good trip"


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        for orchestration in (trip, trip_with_yield):
            for parts in (["flight", "hotel"], ["flight", "hotel", "car"]):
                handle = await hub.client.start(orchestration, parts)
                print(await handle.wait())


if __name__ == "__main__":
    asyncio.run(main())
