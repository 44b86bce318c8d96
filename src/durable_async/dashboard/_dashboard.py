"""Dashboard: the ASGI application; which pages there are, and what becomes of errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from durable_async.errors import (
    BackendUnavailableError,
    ConfigurationError,
    DurableError,
    InstanceNotFoundError,
    InvalidTransitionError,
    OverloadedError,
    ScheduleNotFoundError,
    ValidationError,
)
from durable_async.hub import TaskHub

from ._access import Auth, door
from ._audit import Audit
from ._headers import Headers
from ._overviews import Overviews
from ._paths import mounted
from ._templating import STATIC
from ._visit import Site, Visit
from .actions import FORMS, done_text
from .pages import PAGES

STATUSES: tuple[tuple[type[DurableError], int], ...] = (
    (InstanceNotFoundError, 404),
    (ScheduleNotFoundError, 404),
    (ValidationError, 400),
    (InvalidTransitionError, 409),
    (OverloadedError, 503),
    (BackendUnavailableError, 503),
    (ConfigurationError, 503),
)
"""What the browser is told of an error; others are 500."""

TITLES = {
    400: "That cannot be",
    401: "Who are you?",
    403: "Not allowed",
    404: "Not there",
    405: "Not that way",
    409: "Not now",
    413: "Too much",
    503: "Not reachable at the moment",
}


class Dashboard:
    """Looks into a hub, and lets those who may put things right.

    It is an ASGI application, to be mounted anywhere in another one: ``app.mount("/durable", Dashboard(hub, auth=operator_of))``. The hub is opened
    and closed by whoever made it, for example with ``lifespan=hub.lifespan``.

    Args:
        hub: What is looked at.
        auth: Tells who asks: an async function of Starlette's request that returns an `Operator`, or ``None`` for anybody who may not look. It may
            raise ``HTTPException``, to ask for a password or to redirect.
        insecure_local: Ask nobody, and answer only to browsers on this machine that asked for it by a loopback name.
        title: What stands at the top of each page.
        audit: An async function that is given an `AuditRecord` of each action, for a table of the application's own; the logger
            ``durable_async.audit`` gets them all the same.

    Raises:
        ConfigurationError: Neither ``auth`` nor ``insecure_local`` is given, or both.
    """

    def __init__(
        self,
        hub: TaskHub,
        *,
        auth: Auth | None = None,
        insecure_local: bool = False,
        title: str = "durable_async",
        audit: Audit | None = None,
    ) -> None:
        self._auth = door(auth, insecure_local=insecure_local)
        self._site = Site(hub, title, audit, Overviews(hub), done_text)
        self._app = Headers(
            Starlette(
                routes=[
                    *(Route(path, self._endpoint(page)) for path, page in PAGES.items()),
                    *(
                        Route(path, self._endpoint(page), methods=["GET", "POST"])
                        for path, page in FORMS.items()
                    ),
                    Mount("/static", StaticFiles(directory=STATIC)),
                ],
                exception_handlers={HTTPException: self._refused, DurableError: self._failed},
            )
        )

    def __repr__(self) -> str:
        return f"<Dashboard of {self._site.hub!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(mounted(scope) if scope["type"] == "http" else scope, receive, send)

    def _endpoint(
        self, page: Callable[[Visit], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            operator = await self._auth(request)
            if operator is None:
                raise HTTPException(
                    403, "Whoever looks at this has to be known to the application."
                )
            request.state.operator = operator
            return await page(Visit(request, self._site, operator))

        return endpoint

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        page = self._error(request, error.status_code, error.detail)
        page.headers.update(error.headers or {})
        return page

    async def _failed(self, request: Request, error: Exception) -> Response:
        status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
        return self._error(request, status, str(error))

    def _error(self, request: Request, status: int, text: str) -> Response:
        visit = Visit(request, self._site, getattr(request.state, "operator", None))
        title = TITLES.get(status, "That went wrong")
        return visit.page("error.html", status=status, title=title, text=text)
