"""A hub in which something of everything happened, and a way to ask its dashboard."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.requests import Request

from durable_async import (
    Entity,
    NonRetryableError,
    OrchestrationContext,
    Registry,
    RetryPolicy,
    TaskHub,
)
from durable_async.dashboard import AuditRecord, Dashboard, Operator

registry = Registry()


@registry.activity
async def greet(name: str) -> str:
    return f"hello {name}"


@registry.activity(retry=RetryPolicy(max_attempts=2, first_delay=0.01))
async def refuse(why: str) -> None:
    raise LookupError(why)


@registry.orchestrator
async def welcome(ctx: OrchestrationContext, name: str) -> str:
    return await ctx.call_activity(greet, name)


@registry.orchestrator
async def approval(ctx: OrchestrationContext, order: Any) -> Any:
    ctx.set_custom_status({"waits for": "approved"})
    async with asyncio.timeout(86_400):
        return await ctx.wait_for_external_event("approved")


@registry.orchestrator
async def many(ctx: OrchestrationContext, count: int) -> list[str]:
    return await asyncio.gather(*(ctx.call_activity(greet, str(n)) for n in range(count)))


@registry.orchestrator
async def doomed(ctx: OrchestrationContext, why: str) -> None:
    await ctx.call_activity(refuse, why)


@registry.orchestrator
async def raising(ctx: OrchestrationContext, why: str) -> None:
    raise NonRetryableError(why)


@registry.orchestrator
async def parent(ctx: OrchestrationContext, child_id: str) -> str:
    return await ctx.call_sub_orchestrator(welcome, "child", instance_id=child_id)


@registry.orchestrator
async def shopper(ctx: OrchestrationContext, key: str) -> None:
    basket = Basket.entity_id(key)
    async with ctx.lock_entities([basket]):
        await ctx.call_entity(basket, Basket.put, "pear")
        await ctx.wait_for_external_event("enough")


@registry.entity
class Basket(Entity[list[Any]]):
    def initial_state(self) -> list[Any]:
        return []

    def put(self, what: Any) -> int:
        self.state = [*self.state, what]
        return len(self.state)


ADA = Operator("Ada", "operate")
VIC = Operator("Vic", "view")


async def by_header(request: Request) -> Operator | None:
    """Who asks says so; good enough for a test."""
    return {"ada": ADA, "vic": VIC}.get(request.headers.get("x-user", ""))


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[TaskHub]:
    """A hub with a worker, in memory."""
    hub = TaskHub.at("memory://", registry=registry)
    async with hub, hub.worker(**settings):
        yield hub


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so that nobody tells of."""
    for _ in range(400):
        if await is_so():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never was")


class Book:
    """A table of the application's own, into which the audit log goes."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []

    async def __call__(self, record: AuditRecord) -> None:
        self.records.append(record)

    @property
    def lines(self) -> list[tuple[str, str, str, str | None, str]]:
        return [(r.operator, r.action, r.target, r.reason, r.outcome) for r in self.records]


class Browser:
    """Asks a dashboard as a browser would: keeps cookies, sends forms with their origin."""

    def __init__(
        self, app: Any, user: str = "ada", base: str = "http://testserver", **transport: Any
    ) -> None:
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, **transport),
            base_url=base,
            headers={"x-user": user},
        )
        self.base = base

    async def get(self, path: str, expected: int = 200, /, **params: Any) -> str:
        """Return a page."""
        answer = await self.client.get(path, params=params or None)
        assert answer.status_code == expected, answer.text
        return answer.text

    async def post(self, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
        """Send a form."""
        sent = {"origin": self.base, "sec-fetch-site": "same-origin", **headers}
        return await self.client.post(path, data=form, headers=sent)

    async def do(self, action: str, target: str, **fields: str) -> httpx.Response:
        """Look at an action's form, fill it in, and send it."""
        page = await self.get(f"/do/{action}", id=target)
        return await self.post(f"/do/{action}", {**hidden(page), **fields})


def place(answer: httpx.Response) -> str:
    """Return where an answer leads, without the seal that no test can know."""
    return re.sub(r"&seal=[0-9a-f]{32}$", "", answer.headers["location"])


def hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of a page's form."""
    from html import unescape

    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in found}


def dashboard(hub: TaskHub, **how: Any) -> Dashboard:
    """Return a dashboard whose users say who they are."""
    return Dashboard(hub, auth=by_header, **how)
