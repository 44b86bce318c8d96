"""In a FastAPI application: start over HTTP, wait by a long poll, approve by an event. Serve it with `uvicorn in_fastapi:app`.

Run as a program it talks to itself, without a server.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from durable_async import Client, OrchestrationContext, TaskHub, orchestrator
from durable_async.integrations.fastapi import DurableRouter, durable_client


class Order(BaseModel):
    product: str
    amount: int = 1


@orchestrator
async def purchase(ctx: OrchestrationContext, order: Order) -> str:
    ctx.set_custom_status("waits for an approval")
    name = await ctx.wait_for_external_event("approved", str)
    return f"{order.amount} x {order.product}, approved by {name}"


hub = TaskHub.at("memory://")
app = FastAPI(lifespan=hub.lifespan)
app.include_router(DurableRouter(hub), prefix="/durable")


@app.post("/orders", status_code=202)
async def order(order: Order, client: Annotated[Client, Depends(durable_client)]) -> str:
    handle = await client.start(purchase, order, instance_id=f"order-{order.product}")
    return handle.instance_id


async def main() -> None:
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as shop,
    ):
        placed = await shop.post("/orders", json={"product": "desk"})
        print(placed.status_code, placed.json())
        uris = (await shop.post("/durable/orchestrators/purchase", json={"product": "lamp"})).json()
        await shop.post(uris["sendEventPostUri"].replace("{eventName}", "approved"), json="Mia")
        ended = await shop.get(uris["statusQueryGetUri"], params={"wait": 10})
        print(ended.status_code, ended.json()["output"])
        refused = await shop.post("/durable/orchestrators/purchase", json={"amount": 3})
        print(refused.status_code, refused.json()["title"], "at", refused.json()["path"])


if __name__ == "__main__":
    asyncio.run(main())
