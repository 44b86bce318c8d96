"""Between Starlette's requests and responses and those of the operations; FastAPI has the same ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote

import anyio
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from durable_async.client import Client
from durable_async.errors import ConfigurationError, DurableError
from durable_async.hub import TaskHub

from ._http.leaving import Leaving
from ._http.messages import HEADERS, Answer, Api, Call, Stream
from ._http.problems import answer_to
from ._http.routes import Route, prefix_of, respond

Endpoint = Callable[[Request], Awaitable[Response]]

_PATH_SAFE = "/~!$&'()*+,;=:@-._"


def hub_of(request: HTTPConnection) -> TaskHub:
    """Return the hub that lives as long as the application, of a request or a WebSocket.

    Raises:
        ConfigurationError: The application's lifespan is not the hub's, or has not begun.
    """
    # An application inside another one has only what the server passes on, and a server that passes on nothing has only the application.
    for state in (request.state, getattr(request.scope.get("app"), "state", None)):
        hub = getattr(state, "task_hub", None)
        if isinstance(hub, TaskHub):
            return hub
    raise ConfigurationError(
        "the application has no hub: give it lifespan=hub.lifespan, or in a lifespan of your own"
        " `async with hub.lifespan(app) as state: yield state`; in tests, let the lifespan begin"
    )


def client_of(request: HTTPConnection) -> Client:
    """Return the client of the application's hub; see `hub_of`."""
    return hub_of(request).client


async def durable_problem(request: Request, error: Exception) -> Response:
    """Answer an error of the library in a route of your own as the hub's routes do: ``FastAPI(exception_handlers={DurableError: durable_problem})``.

    What is not there is a 404, what is taken or has ended a 409 or 410, a store that is away a 503. An error that is none of the caller's is raised
    again, and remains a 500.
    """
    if not isinstance(error, DurableError):
        raise error
    return _response(answer_to(error, f"{request.method} {request.url.path}"))


def endpoint_of(route: Route, api: Api, names: dict[str, str] | None = None) -> Endpoint:
    """Return what Starlette calls for a route.

    Args:
        route: The route.
        api: What all requests have in common.
        names: What stands in the path for good.
    """
    leaving = Leaving()

    async def endpoint(request: Request) -> Response:
        call = Call(
            base=_base(request, route),
            names={**request.path_params, **(names or {})},
            query=request.query_params.multi_items(),
            headers=request.headers,
            body=request.stream(),
            leaving=leaving,
        )
        try:
            return _response(await respond(route, api, call))
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it

    endpoint.__name__ = route.name
    endpoint.__doc__ = route.operate.__doc__
    return endpoint


def _base(request: Request, route: Route) -> str:
    """Return where the routes are, as the caller sees it: by the request's own host and root path, and where it was mounted."""
    scope = request.scope
    root: str = scope.get("app_root_path", scope.get("root_path", "")).rstrip("/")
    path: str = scope["path"]
    if root and path.startswith(f"{root}/"):
        path = path.removeprefix(root)
    return str(request.base_url).rstrip("/") + quote(prefix_of(path, route), safe=_PATH_SAFE)


def _response(answer: Answer | Stream) -> Response:
    headers = {**HEADERS, **answer.headers}
    if isinstance(answer, Stream):
        return _StreamResponse(answer, headers)
    # A body that is empty has no type.
    media_type = answer.media_type if answer.body else None
    return Response(answer.body, answer.status, headers, media_type)


class _StreamResponse(Response):
    """Sends pieces until they end, or until nobody listens any more, whichever server it is: then all that they needed is free at once."""

    def __init__(self, stream: Stream, headers: dict[str, str]) -> None:
        self.status_code = 200
        self.media_type = stream.media_type
        self.background = None
        self.body = b""
        self._pieces = stream.pieces
        self.init_headers(headers)
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_until_gone, receive, group.cancel_scope)
                await self._send(send, is_head=scope["method"] == "HEAD")
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._pieces.aclose()

    async def _send(self, send: Send, *, is_head: bool) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        try:
            if is_head:
                await send({"type": "http.response.body", "body": b""})
                return
            async for piece in self._pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError:
            return  # gone, as newer servers tell


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
