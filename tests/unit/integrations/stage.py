"""A shop of orchestrations and entities, and the three ways to serve it, each seen through the same client."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from aiohttp import web
from aiohttp.test_utils import TestServer
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from durable_async import Entity, OrchestrationContext, Registry, TaskHub, entity_context
from durable_async.integrations import aiohttp as on_aiohttp, starlette as on_starlette
from durable_async.integrations._http.leaving import Leaving
from durable_async.integrations._http.messages import Call
from durable_async.integrations.fastapi import DurableRouter

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer Starlettes would rather have another HTTP client
    from starlette.testclient import TestClient  # noqa: F401 - for tests

registry = Registry()
PREFIX = "/durable"


@dataclass
class Order:
    product: str
    amount: int = 1


@dataclass
class Receipt:
    product: str
    approved_by: str


@registry.activity
async def doubled(number: int) -> int:
    return 2 * number


@registry.orchestrator
async def doubling(ctx: OrchestrationContext, number: int) -> int:
    """Double a number."""
    return await ctx.call_activity(doubled, number)


@registry.orchestrator
async def approval(ctx: OrchestrationContext, order: Order) -> Receipt:
    ctx.set_custom_status("waits for an approval")
    by = await ctx.wait_for_external_event("approved", str)
    return Receipt(order.product, by)


@registry.orchestrator
async def progress(ctx: OrchestrationContext) -> None:
    for part in ("none", "half", "whole"):
        ctx.set_custom_status(part)
        await ctx.create_timer(10)


@registry.orchestrator
async def echo(ctx: OrchestrationContext, value: Any) -> Any:
    return value


@registry.orchestrator
async def failing(ctx: OrchestrationContext) -> None:
    raise ValueError("it was to be expected")


@registry.entity
class Counter(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def add(self, amount: int = 1) -> int:
        self.state += amount
        return self.state

    def fail(self) -> None:
        raise ValueError(f"no, says {entity_context().entity_id.key}")


@asynccontextmanager
async def _through_asgi(app: Any) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with (
        app.router.lifespan_context(app) as state,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(_with_state(app, state)), base_url="http://shop.example"
        ) as client,
    ):
        yield client


def _with_state(app: Any, state: Any) -> Any:
    """Do what a server does with what a lifespan yields."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    return served


def by_fastapi(hub: TaskHub, **options: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    app = FastAPI(lifespan=hub.lifespan)
    app.include_router(DurableRouter(hub, **options), prefix=PREFIX)
    return _through_asgi(app)


def by_starlette(hub: TaskHub, **options: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    routes = on_starlette.durable_routes(hub, **options)
    return _through_asgi(Starlette(routes=[Mount(PREFIX, routes=routes)], lifespan=hub.lifespan))


@asynccontextmanager
async def by_aiohttp(hub: TaskHub, **options: Any) -> AsyncGenerator[httpx.AsyncClient, None]:
    app = web.Application()
    app.cleanup_ctx.append(on_aiohttp.durable_context(hub))
    app.add_routes(on_aiohttp.durable_routes(hub, prefix=PREFIX, **options))
    async with (
        TestServer(app) as server,
        httpx.AsyncClient(base_url=str(server.make_url(""))) as client,
    ):
        yield client


Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]

WAYS: dict[str, Serve] = {"fastapi": by_fastapi, "starlette": by_starlette, "aiohttp": by_aiohttp}


def call_for(
    names: dict[str, str],
    *,
    query: list[tuple[str, str]] | None = None,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    leaving: Leaving | None = None,
) -> Call:
    """A request without a framework."""

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    return Call(
        base="http://shop.example/durable",
        names=names,
        query=query or [],
        headers=headers or {},
        body=pieces(),
        leaving=leaving or Leaving(),
    )
