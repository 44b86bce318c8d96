"""FastAPI: a router to a hub's orchestrations and entities, and its client in your own routes.

    hub = TaskHub.at("sqlite:///orders.db")
    app = FastAPI(lifespan=hub.lifespan)
    app.include_router(DurableRouter(hub), prefix="/durable", dependencies=[Depends(signed_in)])

    @app.post("/orders")
    async def order(order: Order, client: Annotated[Client, Depends(durable_client)]) -> str:
        handle = await client.start(purchase, order)
        return handle.instance_id

With ``FastAPI(exception_handlers={DurableError: durable_problem})`` routes of your own answer errors as those of the hub do.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Collection
from typing import Any

from durable_async.client import Client
from durable_async.errors import MissingExtraError
from durable_async.hub import TaskHub
from durable_async.registry import Orchestrator
from durable_async.serialization.converter import PAYLOAD_BYTES_MAX

from ._http.hosts import allowed_names
from ._http.messages import Api
from ._http.openapi import Schema, extra_of, responses_of
from ._http.routes import Operation, Route, routes_for
from ._http.segments import segment_of

try:
    from fastapi import APIRouter
    from fastapi.requests import HTTPConnection
    from fastapi.responses import Response
except ImportError as error:  # pragma: no cover - the tests have it
    raise MissingExtraError("fastapi", "fastapi", "durable_async.integrations.fastapi") from error

from ._asgi import client_of, durable_problem, endpoint_of, hub_of
from ._schemas import schema_of

__all__ = ("DurableRouter", "Operation", "durable_client", "durable_problem", "hub_of")


async def durable_client(request: HTTPConnection) -> Client:
    """Return the client of the application's hub: ``client: Annotated[Client, Depends(durable_client)]``."""
    return client_of(request)


class DurableRouter(APIRouter):
    """Routes to a hub's orchestrations and entities, with OpenAPI.

    Each orchestrator that is registered when the router is made has a route of its own in OpenAPI, with the types of its input and its
    result; those that only other processes know are started by the route for any name. The routes ask nobody who they are: give them
    ``dependencies`` that do. Two routers, each with operations of its own (``only``), have dependencies of their own.

    Args:
        hub: The hub, which is open while the application lives: ``FastAPI(lifespan=hub.lifespan)``.
        only: The operations that are offered here; all by default.
        body_bytes_max: The longest body that is read.
        wait_seconds_max: The longest that a request may wait.
        keep_alive_seconds: After so long without news a stream of events says that it is still there.
        allowed_hosts: The names of this server, each exact or ``*.suffix``, whatever the port; what was sent to another one is answered
            with 400. By default any name is answered to: give them where nothing else tells who asks.
        **options: Those of ``APIRouter``, such as ``prefix``, ``tags`` and ``dependencies``.
    """

    def __init__(
        self,
        hub: TaskHub,
        *,
        only: Collection[Operation] | None = None,
        body_bytes_max: int = PAYLOAD_BYTES_MAX,
        wait_seconds_max: float = 60.0,
        keep_alive_seconds: float = 15.0,
        allowed_hosts: Collection[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._api = Api(
            hub=hub,
            body_bytes_max=body_bytes_max,
            wait_seconds_max=wait_seconds_max,
            keep_alive_seconds=keep_alive_seconds,
            allowed_hosts=allowed_names(allowed_hosts),
        )
        for route in routes_for(only):
            if route.operation == "start":
                self._add_registered(route)
            self._add(route)

    def _add_registered(self, route: Route) -> None:
        registry = self._api.hub.registry
        for name in sorted(registry.orchestrators):
            orchestrator = registry.find_orchestrator(name)
            if orchestrator is not None:
                self._add_orchestrator(route, orchestrator)

    def _add_orchestrator(self, route: Route, orchestrator: Orchestrator[Any, Any]) -> None:
        segment = segment_of(orchestrator.name)
        parameters = orchestrator.signature.parameters
        self._add(
            dataclasses.replace(
                route,
                path=route.path.replace("{name}", segment),
                body=route.body if parameters else None,
            ),
            names={"name": segment},
            summary=f"Start {orchestrator.name}",
            description=inspect.getdoc(orchestrator.function),
            input_schema=schema_of(orchestrator.signature.input_type),
            output_schema=schema_of(orchestrator.result_type),
            needs_input=any(parameter.required for parameter in parameters),
        )

    def _add(
        self,
        route: Route,
        *,
        names: dict[str, str] | None = None,
        summary: str | None = None,
        description: str | None = None,
        input_schema: Schema | None = None,
        output_schema: Schema | None = None,
        needs_input: bool = False,
    ) -> None:
        self.add_api_route(
            route.path,
            endpoint_of(route, self._api, names),
            methods=[route.method],
            name=route.name,
            summary=summary or route.summary,
            description=description or route.description,
            status_code=next(iter(route.answers)),
            response_class=Response,
            response_model=None,
            responses=responses_of(route, input_schema, output_schema),
            openapi_extra=extra_of(route, input_schema, needs_input=needs_input),
        )
        if route.operation in ("live", "ready"):  # probes may ask for no more than the status
            self.add_api_route(
                route.path,
                endpoint_of(route, self._api, names),
                methods=["HEAD"],
                response_class=Response,
                response_model=None,
                include_in_schema=False,
            )
