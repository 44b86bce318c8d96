"""A shop whose hub has a bit of everything, and its dashboard: ``python dashboard_shop.py FD``, for pictures ``python dashboard_shop.py FD past``."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import uvicorn
from starlette.applications import Starlette

from durable_async import (
    Entity,
    EntityId,
    NonRetryableError,
    OrchestrationContext,
    Registry,
    RetryPolicy,
    TaskHub,
)
from durable_async.dashboard import Dashboard

shop = Registry()
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'\u202e../%00"


class CardDeclinedError(NonRetryableError):
    """No other attempt will help."""


@shop.activity
async def check_stock(product: str) -> int:
    await asyncio.sleep(0.12)
    return 3


@shop.activity(retry=RetryPolicy(max_attempts=4, first_delay=0.3))
async def charge(order: dict[str, Any]) -> str:
    await asyncio.sleep(0.2)
    tries[order["id"]] = tries.get(order["id"], 0) + 1
    if tries[order["id"]] < order.get("unlucky", 1):
        raise ConnectionError("the payment provider did not answer")
    if order.get("card") == "stolen":
        raise CardDeclinedError("the card was reported stolen")
    return f"receipt-{order['id']}"


tries: dict[str, int] = {}


@shop.activity
async def print_label(order: str) -> str:
    await asyncio.sleep(0.25)
    return f"label of {order}"


@shop.orchestrator
async def ship(ctx: OrchestrationContext, order: str) -> str:
    return await ctx.call_activity(print_label, order)


@shop.entity
class Stock(Entity[dict[str, int]]):
    def initial_state(self) -> dict[str, int]:
        return {"desk": 12, "lamp": 40}

    def take(self, product: str) -> int:
        self.state = {**self.state, product: self.state.get(product, 0) - 1}
        return self.state[product]


@shop.orchestrator
async def checkout(ctx: OrchestrationContext, order: dict[str, Any]) -> dict[str, str]:
    ctx.set_custom_status({"step": "checking the stock"})
    await asyncio.gather(
        ctx.call_activity(check_stock, order["product"]),
        ctx.call_activity(check_stock, "packaging"),
    )
    async with ctx.lock_entities([Stock.entity_id("berlin")]):
        await ctx.call_entity(Stock.entity_id("berlin"), Stock.take, order["product"])
    if order.get("cost", 0) > 1000:
        ctx.set_custom_status({"step": "waiting for an approval", "limit": 1000})
        async with asyncio.timeout(86_400):
            await ctx.wait_for_external_event("approved")
    receipt = await ctx.call_activity(charge, order)
    label = await ctx.call_sub_orchestrator(ship, order["id"])
    return {"receipt": receipt, "label": label}


@shop.orchestrator
async def nightly(ctx: OrchestrationContext) -> str:
    await asyncio.sleep(0.01)
    return "reported"


@shop.orchestrator
async def refund(ctx: OrchestrationContext, number: int) -> int:
    if number % 31 == 5:
        raise LookupError(f"there is no payment for order-{6000 + number}")
    return await ctx.call_activity(check_stock, "nothing")


@shop.orchestrator
async def many(ctx: OrchestrationContext, count: int) -> int:
    return sum(await asyncio.gather(*(ctx.call_activity(check_stock, "x") for _ in range(count))))


@shop.orchestrator
async def waits(ctx: OrchestrationContext, value: Any) -> Any:
    ctx.set_custom_status(value)
    return await ctx.wait_for_external_event("go")


@shop.orchestrator
async def broken(ctx: OrchestrationContext, value: str) -> None:
    raise ValueError(value)


async def fill(hub: TaskHub) -> None:
    """Let things happen."""
    start = hub.client.start
    for number, product in enumerate(["desk", "lamp", "chair", "shelf"] * 4):
        order: dict[str, Any] = {"id": f"order-{7100 + number}", "product": product, "cost": 80}
        if number % 7 == 3:
            order["card"] = "stolen"
        await start(checkout, order, instance_id=order["id"], tags={"team": "shop"})
    order = {"id": "order-7311", "product": "desk", "cost": 2400, "unlucky": 3}
    await start(checkout, order, instance_id="order-7311", tags={"team": "shop", "vip": "yes"})
    order = {"id": "order-7312", "product": "lamp", "cost": 1800}
    await start(checkout, order, instance_id="order-7312", tags={"team": "shop"})
    await hub.client.suspend("order-7312", "the customer asked us to wait")
    await start(many, 60, instance_id="count-everything")
    await hub.schedules.create(
        "nightly-report", nightly, cron="30 2 * * *", time_zone="Europe/Berlin"
    )
    await hub.schedules.create("heartbeat", nightly, every=3600)
    await hub.schedules.trigger("nightly-report")


async def be_hostile(hub: TaskHub) -> None:
    """Put what nobody should write into each field."""
    start = hub.client.start
    await start(waits, {HOSTILE: HOSTILE}, instance_id=HOSTILE, tags={HOSTILE: HOSTILE})
    await start(broken, HOSTILE, instance_id=f"broken {HOSTILE}")
    await hub.client.signal_entity(EntityId("stock", HOSTILE[:100]), "take", HOSTILE)


async def have_a_past(hub: TaskHub) -> None:
    """Let an hour have gone by, of which a chart can be drawn: what has ended is moved back."""
    ids = [f"refund-{number}" for number in range(240)]
    for handle in await hub.client.start_many(refund, range(240), instance_ids=ids):
        await hub.client.wait_for_end(handle)
    with closing(sqlite3.connect("shop.db")) as file, file:
        for number, instance_id in enumerate(ids):
            minutes = 58 * (1 - (number / 240) ** 0.8) + 3 * math.sin(number / 9)
            back = round(max(minutes, 0.5) * 60e6)
            file.execute(
                "update instances set created_at_us = created_at_us - ?1,"
                " completed_at_us = completed_at_us - ?1 where id = ?2",
                (back, instance_id),
            )


hub = TaskHub.at("sqlite:///shop.db", registry=shop)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with hub.lifespan(app):
        if sys.argv[2:] == ["past"]:
            await have_a_past(hub)
        else:
            await be_hostile(hub)
        await fill(hub)
        yield


def make() -> Starlette:
    app = Starlette(lifespan=lifespan)
    app.mount("/durable", Dashboard(hub, insecure_local=True, title="Shop"))
    return app


if __name__ == "__main__":
    uvicorn.run(make(), fd=int(sys.argv[1]), log_level="warning")
