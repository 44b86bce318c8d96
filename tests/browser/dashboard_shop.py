"""A shop whose hub has a bit of everything, and its dashboard: ``python dashboard_shop.py FD``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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


@shop.activity
async def check_stock(product: str) -> int:
    await asyncio.sleep(0.12)
    return 3


@shop.activity(retry=RetryPolicy(max_attempts=4, first_delay=0.3))
async def charge(order: dict[str, Any]) -> str:
    await asyncio.sleep(0.2)
    if order.setdefault("tries", 0) < 0:
        raise ConnectionError
    tries[order["id"]] = tries.get(order["id"], 0) + 1
    if tries[order["id"]] < order.get("unlucky", 1):
        raise ConnectionError("the payment provider did not answer")
    if order.get("card") == "stolen":
        raise NonRetryableError("the card was reported stolen")
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
    await start(waits, {HOSTILE: HOSTILE}, instance_id=HOSTILE, tags={HOSTILE: HOSTILE})
    await start(broken, HOSTILE, instance_id=f"broken {HOSTILE}")
    await hub.client.signal_entity(EntityId("stock", HOSTILE[:100]), "take", HOSTILE)
    await hub.schedules.create(
        "nightly-report", nightly, cron="30 2 * * *", time_zone="Europe/Berlin"
    )
    await hub.schedules.create("heartbeat", nightly, every=3600)
    await hub.schedules.trigger("nightly-report")


hub = TaskHub.at("sqlite:///shop.db", registry=shop)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with hub.lifespan(app):
        await fill(hub)
        yield


def make() -> Starlette:
    app = Starlette(lifespan=lifespan)
    app.mount("/durable", Dashboard(hub, insecure_local=True, title="Shop"))
    return app


if __name__ == "__main__":
    uvicorn.run(make(), fd=int(sys.argv[1]), log_level="warning")
