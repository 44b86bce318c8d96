"""Human approval: wait for a decision, or for the deadline, whichever comes first.

The wait holds no thread and survives restarts; the deadline here is a fraction of a second, and may as well be a month.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from durable_async import OrchestrationContext, TaskHub, activity, orchestrator, when_any


@dataclass
class Order:
    product: str
    cost: float


@dataclass
class Approval:
    approver: str


DEADLINE_SECONDS = 0.5


@activity
async def ask_for_approval(order: Order) -> None:
    print(f"approval needed: {order.product} for {order.cost:.0f}")


@activity
async def place_order(order: Order) -> str:
    return f"ordered {order.product}"


@orchestrator
async def purchase(ctx: OrchestrationContext, order: Order) -> str:
    if order.cost < 1000:
        return "approved without asking"
    await ctx.call_activity(ask_for_approval, order)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):  # a durable timer
            approval = await ctx.wait_for_external_event("approved", Approval)
    except TimeoutError:
        return f"nobody approved {order.product}"
    placed = await ctx.call_activity(place_order, order)
    return f"{placed}, approved by {approval.approver}"


@orchestrator
def purchase_with_yield(ctx: OrchestrationContext, order: Order) -> Generator[Any, Any, str]:
    if order.cost < 1000:
        return "approved without asking"
    yield ctx.call_activity(ask_for_approval, order)
    approved = ctx.wait_for_external_event("approved", Approval)
    deadline = ctx.create_timer(DEADLINE_SECONDS)
    winner = yield when_any([approved, deadline])
    if winner is deadline:
        approved.cancel()
        return f"nobody approved {order.product}"
    deadline.cancel()
    placed = yield ctx.call_activity(place_order, order)
    return f"{placed}, approved by {approved.result().approver}"


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        for orchestration in (purchase, purchase_with_yield):
            small = await hub.client.start(orchestration, Order("pencils", 5))
            print(await small.wait())
            approved = await hub.client.start(orchestration, Order("a desk", 2000))
            await approved.raise_event("approved", Approval("Mia"))  # kept until it is waited for
            print(await approved.wait())
            ignored = await hub.client.start(orchestration, Order("a boat", 90_000))
            print(await ignored.wait())


if __name__ == "__main__":
    asyncio.run(main())
