"""aiohttp: a hub that lives as long as an application, its client in your handlers, and the routes.

    hub = TaskHub.at("sqlite:///orders.db")
    app = web.Application()
    app.cleanup_ctx.append(durable_context(hub))
    app.add_routes(durable_routes(hub, prefix="/durable"))

With ``web.Application(middlewares=[durable_problems])`` handlers of your own answer errors as those of the hub do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio

from durable_async.client import Client
from durable_async.errors import ConfigurationError, DurableError, MissingExtraError, shown
from durable_async.hub import TaskHub
from durable_async.serialization.converter import PAYLOAD_BYTES_MAX

from ._http.hosts import allowed_names
from ._http.leaving import Leaving
from ._http.messages import HEADERS, Answer, Api, Call, Stream
from ._http.problems import ProblemError, answer_to
from ._http.routes import Operation, Route, prefix_of, respond, routes_for

try:
    from aiohttp import web
except ImportError as error:  # pragma: no cover - the tests have it
    raise MissingExtraError("aiohttp", "aiohttp", "durable_async.integrations.aiohttp") from error

__all__ = (
    "Operation",
    "client_of",
    "durable_context",
    "durable_problems",
    "durable_routes",
    "hub_of",
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HUB = web.AppKey("task_hub", TaskHub)
_LEAVING = web.AppKey("leaving", Leaving)


def durable_context(
    hub: TaskHub, *, works: bool = True
) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return what opens the hub and runs a worker as long as an application lives: ``app.cleanup_ctx.append(durable_context(hub))``.

    Append it to the outermost application. No signal handlers are taken.

    Args:
        hub: The hub.
        works: Whether a worker runs here; without one, this process only starts and watches what others carry out.
    """

    async def context(app: web.Application) -> AsyncGenerator[None, None]:
        leaving = app[_LEAVING] = Leaving()
        if not app.on_shutdown.frozen:

            async def leave(_: web.Application) -> None:
                leaving.tell()

            app.on_shutdown.append(leave)
        async with _in_one_task(hub.lifespan(app, works=works)):
            app[_HUB] = hub
            yield

    return context


@asynccontextmanager
async def _in_one_task(life: AbstractAsyncContextManager[Any]) -> AsyncGenerator[None, None]:
    """Enter and leave something in a task of its own: a runner may be set up in one task and cleaned up in another, which cancel scopes do not bear.

    What breaks down in between cancels the task that entered, if that is still there.
    """
    host = asyncio.current_task()
    begun, over = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        try:
            async with life:
                begun.set()
                await over.wait()
        finally:
            if begun.is_set() and not over.is_set() and host is not None:
                host.cancel()
            begun.set()

    task = asyncio.create_task(live())
    try:
        await begun.wait()
        if task.done():
            await task
        yield
    finally:
        over.set()
        if not begun.is_set():
            task.cancel()
        await task


def hub_of(request: web.Request) -> TaskHub:
    """Return the hub of the application, also in an application inside it.

    Raises:
        ConfigurationError: No `durable_context` was appended.
    """
    hub = request.config_dict.get(_HUB)
    if hub is None:
        raise ConfigurationError(
            "the application has no hub: app.cleanup_ctx.append(durable_context(hub))"
        )
    return hub


def client_of(request: web.Request) -> Client:
    """Return the client of the application's hub; see `hub_of`."""
    return hub_of(request).client


@web.middleware
async def durable_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors of the library in your own handlers as the hub's routes do: ``web.Application(middlewares=[durable_problems])``.

    What is not there is a 404, what is taken or has ended a 409 or 410, a store that is away a 503. An error that is none of the caller's is raised
    again, and remains a 500.
    """
    try:
        return await handler(request)
    except DurableError as error:
        return _response(answer_to(error, f"{request.method} {request.path}"))


def durable_routes(
    hub: TaskHub,
    *,
    prefix: str = "",
    only: Collection[Operation] | None = None,
    body_bytes_max: int = PAYLOAD_BYTES_MAX,
    wait_seconds_max: float = 60.0,
    keep_alive_seconds: float = 15.0,
    allowed_hosts: Collection[str] | None = None,
    base_url: str | None = None,
) -> web.RouteTableDef:
    """Return the routes to a hub's orchestrations and entities: ``app.add_routes(durable_routes(hub, prefix="/durable"))``.

    They ask nobody who they are: add them to an application inside yours, whose middlewares do.

    Args:
        hub: The hub, which is open while the application lives: see `durable_context`.
        prefix: What their paths begin with.
        only: The operations that are offered here; all by default.
        body_bytes_max: The longest body that is read.
        wait_seconds_max: The longest that a request may wait.
        keep_alive_seconds: After so long without news a stream of events says that it is still there.
        allowed_hosts: The names of this server, each exact or ``*.suffix``, whatever the port; what was sent to another one is answered
            with 400. By default any name is answered to: give them where nothing else tells who asks.
        base_url: Where the application is for its callers, such as ``https://shop.example``, if a proxy stands before it: the addresses in
            answers begin with it. By default they begin with what the request itself says, and no header that a proxy adds is believed.
    """
    api = Api(
        hub=hub,
        body_bytes_max=body_bytes_max,
        wait_seconds_max=wait_seconds_max,
        keep_alive_seconds=keep_alive_seconds,
        allowed_hosts=allowed_names(allowed_hosts),
    )
    outside = None if base_url is None else _checked_url(base_url)
    table = web.RouteTableDef()
    for route in routes_for(only):
        table.route(route.method, prefix + route.path)(_handler(route, api, outside))
    return table


def _checked_url(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(
            f"base_url must be an address such as https://shop.example, not {shown(base_url)}"
        )
    return base_url.rstrip("/")


def _handler(route: Route, api: Api, outside: str | None) -> Handler:
    alone = Leaving()  # for an application that is not told

    async def handler(request: web.Request) -> web.StreamResponse:
        path = prefix_of(request.rel_url.raw_path, route)
        call = Call(
            base=(outside or f"{request.scheme}://{request.host}") + path,
            names=request.match_info,
            query=list(request.query.items()),
            headers=request.headers,
            body=_body(request),
            leaving=request.config_dict.get(_LEAVING, alone),
            is_gone=lambda: request.transport is None or request.transport.is_closing(),
        )
        answer = await respond(route, api, call)
        if isinstance(answer, Stream):
            return await _streamed(request, answer)
        return _response(answer)

    handler.__name__ = route.name
    handler.__doc__ = route.operate.__doc__
    return handler


async def _body(request: web.Request) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in request.content.iter_any():
            yield piece
    except web.RequestPayloadError:
        raise ProblemError(
            400, "not-readable", "the body is not what its headers say that it is"
        ) from None


def _response(answer: Answer) -> web.Response:
    headers = {**HEADERS, **answer.headers}
    if not answer.body:
        return web.Response(status=answer.status, headers=headers)
    headers["Content-Type"] = answer.media_type
    return web.Response(body=answer.body, status=answer.status, headers=headers)


async def _streamed(request: web.Request, stream: Stream) -> web.StreamResponse:
    headers = {**HEADERS, **stream.headers, "Content-Type": stream.media_type}
    response = web.StreamResponse(headers=headers)
    try:
        await response.prepare(request)
        if request.method != "HEAD":  # what it wrote would be taken for the next answer
            async for piece in stream.pieces:
                await response.write(piece)
        await response.write_eof()
    except ConnectionError:
        pass  # nobody listens any more
    finally:
        with anyio.CancelScope(shield=True):
            await stream.pieces.aclose()
    return response
