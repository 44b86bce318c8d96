"""Retries: which failures are tried again, how often, and after how long.

Each decision is taken once, from recorded time, and stored: a replay never decides again.
"""

from __future__ import annotations

import asyncio

from durable_async import (
    ActivityFailedError,
    NonRetryableError,
    OrchestrationContext,
    RetryPolicy,
    TaskHub,
    activity,
    activity_context,
    orchestrator,
)

PATIENT = RetryPolicy(max_attempts=5, first_delay=0.02, backoff=2.0, max_delay=0.1, jitter=0.2)


@activity(retry=PATIENT)
async def flaky() -> str:
    attempt = activity_context().attempt
    if attempt < 3:
        raise ConnectionError(f"attempt {attempt} did not get through")
    return f"done at attempt {attempt}"


class CardDeclinedError(NonRetryableError):
    """No second attempt helps."""


@activity(retry=PATIENT)
async def charge(amount: float) -> str:
    if amount > 100:
        raise CardDeclinedError(f"{amount:.0f} is too much")
    return "charged"


@activity(start_to_close=0.05)
async def slow() -> str:
    await asyncio.sleep(10)
    return "never seen"


@orchestrator
async def shop(ctx: OrchestrationContext) -> list[str]:
    report = [await ctx.call_activity(flaky)]
    try:
        await ctx.call_activity(charge, 500.0)
    except ActivityFailedError as error:
        report.append(f"{error.failure.error_type.rpartition('.')[2]}: {error.failure.message}")
    twice = RetryPolicy(max_attempts=2, first_delay=0.01)
    try:
        await ctx.call_activity(slow.with_options(retry=twice))  # other options for one call
    except ActivityFailedError as error:
        report.append(error.failure.message)
    return report


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        handle = await hub.client.start(shop)
        for line in await handle.wait():
            print(line)


if __name__ == "__main__":
    asyncio.run(main())
