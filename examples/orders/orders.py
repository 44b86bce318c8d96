"""Order approval: reserve the goods, charge the customer, wait for a person or the deadline; then ship, or take everything back.

Nothing here knows of the web. `fastapi_app.py` and `aiohttp_app.py` put pages in front of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from durable_async import (
    Entity,
    OrchestrationContext,
    TaskHub,
    activity,
    activity_context,
    entity,
    orchestrator,
)

hub = TaskHub.at("sqlite:///orders.db")

PRICES = {"desk": 240, "chair": 120, "lamp": 40}
STOCK_AT_FIRST = 10


@dataclass
class Order:
    """What an orchestration is started with. Whatever is wrong with it is said before anything is started."""

    customer: str
    product: str
    quantity: int
    approval_seconds: float = 120.0

    def __post_init__(self) -> None:
        if not 1 <= len(self.customer) <= 200:
            raise ValueError("We need your name, in at most 200 characters.")
        if self.product not in PRICES:
            raise ValueError("We do not sell that.")
        if not 1 <= self.quantity <= 99:
            raise ValueError("Please order between 1 and 99 of it.")

    @property
    def price(self) -> int:
        return PRICES[self.product] * self.quantity


@dataclass
class Step:
    at: datetime
    text: str


@dataclass
class Progress:
    """What an orchestration tells those who watch it, while it runs."""

    steps: list[Step] = field(default_factory=list)
    doing: str = "Reserving the goods"
    decide_until: datetime | None = None


# An entity: it has a state, and does one thing after the other, so that two orders never get the same desk.
@entity
class Stock(Entity[int]):
    def initial_state(self) -> int:
        return STOCK_AT_FIRST

    def reserve(self, quantity: int) -> bool:
        if quantity > self.state:
            return False
        self.state -= quantity
        return True

    def put_back(self, quantity: int) -> None:
        self.state += quantity


# Activities: they do the work, and may do anything. Each is half a second of somebody else's service.
@activity
async def charge(order: Order) -> str:
    await asyncio.sleep(0.5)
    # The same if a crash makes it run twice: give it to the payment service.
    key = activity_context().idempotency_key
    return f"payment of {order.price} € ({key})"


@activity
async def refund(payment: str) -> None:
    await asyncio.sleep(0.5)


@activity
async def ship(order: Order) -> str:
    await asyncio.sleep(0.5)
    return f"parcel to {order.customer}"


# The orchestrator: it decides. It may take months, and survives each crash and deployment on the way.
@orchestrator
async def process_order(ctx: OrchestrationContext, order: Order) -> str:
    progress = Progress()

    def tell(done: str, doing: str = "", decide_until: datetime | None = None) -> None:
        progress.steps.append(Step(ctx.now(), done))
        progress.doing, progress.decide_until = doing, decide_until
        ctx.set_custom_status(progress)

    stock = Stock.entity_id(order.product)
    if not await ctx.call_entity(stock, Stock.reserve, order.quantity):
        tell("Not enough in stock")
        return "sold out"
    tell("Goods reserved", doing="Charging the customer")
    payment = await ctx.call_activity(charge, order)

    deadline = ctx.now() + timedelta(seconds=order.approval_seconds)
    tell(f"{order.price} € charged", doing="Waiting for approval", decide_until=deadline)
    try:
        async with asyncio.timeout(order.approval_seconds):  # a durable timer
            approved = await ctx.wait_for_external_event("decision", bool)
    except TimeoutError:
        verdict = "timed out"
    else:
        verdict = "approved" if approved else "rejected"

    if verdict == "approved":
        tell("Approved", doing="Shipping")
        await ctx.call_activity(ship, order)
        tell("Shipped")
        return "shipped"

    tell(verdict.capitalize(), doing="Taking everything back")
    await asyncio.gather(
        ctx.call_activity(refund, payment),
        ctx.call_entity(stock, Stock.put_back, order.quantity),
    )
    tell("Money refunded, goods back in stock")
    return verdict
