"""Starlette: the routes of a hub, and its client in your own routes.

    hub = TaskHub.at("sqlite:///orders.db")
    app = Starlette(routes=[Mount("/durable", routes=durable_routes(hub))], lifespan=hub.lifespan)

With ``Starlette(exception_handlers={DurableError: durable_problem})`` routes of your own answer errors as those of the hub do.
"""

from __future__ import annotations

from collections.abc import Collection

from durable_async.errors import MissingExtraError
from durable_async.hub import TaskHub
from durable_async.serialization.converter import PAYLOAD_BYTES_MAX

from ._http.hosts import allowed_names
from ._http.messages import Api
from ._http.routes import Operation, routes_for

try:
    from starlette.routing import Route
except ImportError as error:  # pragma: no cover - the tests have it
    raise MissingExtraError(
        "starlette", "starlette", "durable_async.integrations.starlette"
    ) from error

from ._asgi import client_of, durable_problem, endpoint_of, hub_of

__all__ = ("Operation", "client_of", "durable_problem", "durable_routes", "hub_of")


def durable_routes(
    hub: TaskHub,
    *,
    only: Collection[Operation] | None = None,
    body_bytes_max: int = PAYLOAD_BYTES_MAX,
    wait_seconds_max: float = 60.0,
    keep_alive_seconds: float = 15.0,
    allowed_hosts: Collection[str] | None = None,
) -> list[Route]:
    """Return the routes to a hub's orchestrations and entities, for a `Mount` with the middleware that says who may.

    Args:
        hub: The hub, which is open while the application lives: ``lifespan=hub.lifespan``.
        only: The operations that are offered here; all by default.
        body_bytes_max: The longest body that is read.
        wait_seconds_max: The longest that a request may wait.
        keep_alive_seconds: After so long without news a stream of events says that it is still there.
        allowed_hosts: The names of this server, each exact or ``*.suffix``, whatever the port; what was sent to another one is answered
            with 400. By default any name is answered to: give them where nothing else tells who asks.
    """
    api = Api(
        hub=hub,
        body_bytes_max=body_bytes_max,
        wait_seconds_max=wait_seconds_max,
        keep_alive_seconds=keep_alive_seconds,
        allowed_hosts=allowed_names(allowed_hosts),
    )
    return [
        Route(route.path, endpoint_of(route, api), methods=[route.method], name=route.name)
        for route in routes_for(only)
    ]
