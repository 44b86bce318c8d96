"""Errors of the library in routes of the user's own: answered as the hub's routes do, where the application says so."""

from __future__ import annotations

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fastapi import FastAPI

from durable_async import ConfigurationError, DurableError, TaskHub
from durable_async.integrations.aiohttp import client_of, durable_context, durable_problems
from durable_async.integrations.fastapi import durable_problem

from .stage import TestClient, registry


@pytest.fixture
def hub() -> TaskHub:
    return TaskHub.at("memory://", registry=registry)


def said(answer: httpx.Response) -> tuple[int, str, str, str]:
    problem = answer.json()
    return (
        answer.status_code,
        answer.headers["content-type"],
        problem["type"],
        problem["instanceId"],
    )


NOT_FOUND = (404, "application/problem+json", "urn:durable-async:problem:instance-not-found", "a")


def test_fastapi_answers_what_is_the_callers_and_raises_the_rest(hub: TaskHub) -> None:
    app = FastAPI(lifespan=hub.lifespan, exception_handlers={DurableError: durable_problem})

    @app.post("/approve/{order}")
    async def approve(order: str) -> None:
        await hub.client.raise_event(order, "approved")

    @app.post("/now/{schedule}")
    async def now(schedule: str) -> None:
        await hub.schedules.trigger(schedule)

    @app.post("/nightly/{schedule}")
    async def nightly(schedule: str) -> None:
        await hub.schedules.create(schedule, "report", every=86_400.0)

    @app.post("/broken")
    async def broken() -> None:
        raise ConfigurationError("of the server's own")

    with TestClient(app) as client:
        assert said(client.post("/approve/a")) == NOT_FOUND
        answers = [client.post("/now/s"), client.post("/nightly/s"), client.post("/nightly/s")]
        assert [answer.status_code for answer in answers] == [404, 200, 409]
        assert answers[0].json()["scheduleId"] == "s"
        with pytest.raises(ConfigurationError, match="server's own"):
            client.post("/broken")


async def test_aiohttp_answers_what_is_the_callers_and_raises_the_rest(hub: TaskHub) -> None:
    async def approve(request: web.Request) -> web.Response:
        await client_of(request).raise_event(request.match_info["order"], "approved")
        return web.Response()

    async def broken(request: web.Request) -> web.Response:
        raise ConfigurationError("of the server's own")

    app = web.Application(middlewares=[durable_problems])
    app.cleanup_ctx.append(durable_context(hub))
    app.router.add_post("/approve/{order}", approve)
    app.router.add_post("/broken", broken)
    async with (
        TestServer(app) as server,
        httpx.AsyncClient(base_url=str(server.make_url("/"))) as client,
    ):
        assert said(await client.post("/approve/a")) == NOT_FOUND
        assert (await client.post("/broken")).status_code == 500
