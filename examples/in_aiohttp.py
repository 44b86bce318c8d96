"""In an aiohttp application: start in a handler of your own, and use the routes for the rest. Serve it with `python in_aiohttp.py --serve`.

Run without that it talks to itself, on a port of its own.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from durable_async import OrchestrationContext, TaskHub, orchestrator
from durable_async.integrations.aiohttp import client_of, durable_context, durable_routes


@orchestrator
async def purchase(ctx: OrchestrationContext, product: str) -> str:
    ctx.set_custom_status("waits for an approval")
    name = await ctx.wait_for_external_event("approved", str)
    return f"{product}, approved by {name}"


async def order(request: web.Request) -> web.Response:
    handle = await client_of(request).start(purchase, await request.json())
    return web.json_response({"id": handle.instance_id}, status=202)


def application() -> web.Application:
    hub = TaskHub.at("memory://")
    app = web.Application()
    app.cleanup_ctx.append(durable_context(hub))
    app.add_routes([web.post("/orders", order)])
    app.add_routes(durable_routes(hub, prefix="/durable"))
    return app


async def main() -> None:
    async with TestClient(TestServer(application())) as shop:
        placed = await shop.post("/orders", json="desk")
        instance = f"/durable/instances/{(await placed.json())['id']}"
        waiting = await shop.get(instance)
        print(placed.status, waiting.status)
        await shop.post(f"{instance}/events/approved", json="Mia")
        ended = await shop.get(instance, params={"wait": "10"})
        print(ended.status, (await ended.json())["output"])


if __name__ == "__main__":
    if "--serve" in sys.argv:
        web.run_app(application())
    else:
        asyncio.run(main())
