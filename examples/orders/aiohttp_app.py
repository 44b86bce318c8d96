"""The shop as an aiohttp application: ``python aiohttp_app.py``."""

from __future__ import annotations

import shop
from aiohttp import web
from orders import hub

from durable_async.integrations.aiohttp import client_of, durable_context, durable_routes

routes = web.RouteTableDef()


@routes.get("/")
async def home(request: web.Request) -> web.Response:
    return _html(await shop.home_page(client_of(request)))


@routes.post("/orders")
async def place(request: web.Request) -> web.Response:
    _check_page(request)
    try:
        order_id = await shop.place(client_of(request), await request.post())
    except ValueError as error:
        return _html(await shop.home_page(client_of(request), str(error)), status=400)
    raise web.HTTPSeeOther(f"/orders/{order_id}")


@routes.get("/orders/{order_id}")
async def order(request: web.Request) -> web.Response:
    page = await shop.order_page(client_of(request), request.match_info["order_id"])
    if page is None:
        raise web.HTTPNotFound(text="There is no such order.")
    return _html(page)


@routes.post("/orders/{order_id}/decision")
async def decide(request: web.Request) -> web.Response:
    _check_page(request)
    order_id = request.match_info["order_id"]
    await shop.decide(client_of(request), order_id, await request.post())
    raise web.HTTPSeeOther(f"/orders/{order_id}")


def _check_page(request: web.Request) -> None:
    if not shop.is_own_page(request.url.host, request.headers):
        raise web.HTTPForbidden(text="A page of another site sent this.")


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html")


def application() -> web.Application:
    app = web.Application()
    app.cleanup_ctx.append(durable_context(hub))  # opens the hub, and runs a worker
    app.add_routes(routes)
    app.add_routes(durable_routes(hub, prefix="/api", allowed_hosts=shop.HOSTS))
    app.router.add_static("/static", shop.STATIC)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=8000)
