"""Generator style: orchestrators without `async`, as Durable Task has them. Same engine, same history.

`yield` a durable call to wait for it. `when_all` and `when_any` combine calls. Both styles call each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from durable_async import (
    ActivityFailedError,
    OrchestrationContext,
    TaskHub,
    activity,
    orchestrator,
    when_all,
    when_any,
)


@activity
def double(number: int) -> int:
    if number < 0:
        raise ValueError("no negative numbers")
    return number * 2


@orchestrator
def tour(ctx: OrchestrationContext, number: int) -> Generator[Any, Any, dict[str, Any]]:
    one = yield ctx.call_activity(double, number)
    many = yield when_all([ctx.call_activity(double, n) for n in range(3)])

    answer = ctx.wait_for_external_event("answer", str)
    timer = ctx.create_timer(5)
    winner = yield when_any([answer, timer])  # gives the future that was first
    timer.cancel()

    try:
        yield ctx.call_activity(double, -1)
    except ActivityFailedError as error:
        failure = error.failure.message
    else:
        failure = ""

    name = yield ctx.call_activity("double", 21)  # by name: what another service registers
    below = yield from helper(ctx)  # plain generators compose
    child = yield ctx.call_sub_orchestrator(in_async_style, number)
    return {
        "one": one,
        "many": many,
        "answered": winner is answer and answer.result(),
        "failure": failure,
        "by name": name,
        "below": below,
        "child": child,
    }


def helper(ctx: OrchestrationContext) -> Generator[Any, Any, int]:
    result: int = yield ctx.call_activity(double, 50)
    return result


@orchestrator
async def in_async_style(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_activity(double, number + 1)


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        handle = await hub.client.start(tour, 4)
        await handle.raise_event("answer", "yes")
        for key, value in (await handle.wait()).items():
            print(f"{key}: {value}")


if __name__ == "__main__":
    asyncio.run(main())
