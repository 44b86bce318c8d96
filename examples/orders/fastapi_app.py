"""The shop as a FastAPI application: ``uvicorn fastapi_app:app``."""

from __future__ import annotations

from typing import Annotated

import shop
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from orders import hub

from durable_async import Client
from durable_async.dashboard import Dashboard
from durable_async.integrations.fastapi import DurableRouter, durable_client

app = FastAPI(title="Orders", lifespan=hub.lifespan)  # opens the hub, and runs a worker
app.include_router(DurableRouter(hub, allowed_hosts=shop.HOSTS), prefix="/api")
app.mount("/durable", Dashboard(hub, insecure_local=True))  # on this machine only
app.mount("/static", StaticFiles(directory=shop.STATIC))


async def own_page(request: Request) -> None:
    if not shop.is_own_page(request.url.hostname, request.headers):
        raise HTTPException(403, "A page of another site sent this.")


Durable = Annotated[Client, Depends(durable_client)]


@app.get("/", response_class=HTMLResponse)
async def home(client: Durable) -> str:
    return await shop.home_page(client)


@app.post("/orders", dependencies=[Depends(own_page)])
async def place(request: Request, client: Durable) -> Response:
    try:
        order_id = await shop.place(client, await request.form())
    except ValueError as error:
        return HTMLResponse(await shop.home_page(client, str(error)), status_code=400)
    return RedirectResponse(f"/orders/{order_id}", status_code=303)


@app.get("/orders/{order_id}", response_class=HTMLResponse)
async def order(order_id: str, client: Durable) -> str:
    page = await shop.order_page(client, order_id, dashboard="/durable")
    if page is None:
        raise HTTPException(404, "There is no such order.")
    return page


@app.post("/orders/{order_id}/decision", dependencies=[Depends(own_page)])
async def decide(order_id: str, request: Request, client: Durable) -> Response:
    await shop.decide(client, order_id, await request.form())
    return RedirectResponse(f"/orders/{order_id}", status_code=303)
