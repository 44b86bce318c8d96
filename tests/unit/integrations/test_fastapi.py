"""What only FastAPI has: OpenAPI, dependencies, lifespans of the user's own, its test client."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, WebSocket
from pydantic import BaseModel

from durable_async import Client, ConfigurationError, OrchestrationContext, Registry, TaskHub
from durable_async.integrations.fastapi import DurableRouter, durable_client, hub_of

from .stage import TestClient, doubling, registry

Durable = Annotated[Client, Depends(durable_client)]


@pytest.fixture
def hub() -> TaskHub:
    return TaskHub.at("memory://", registry=registry)


def shop(hub: TaskHub, **options: Any) -> FastAPI:
    app = FastAPI(lifespan=hub.lifespan)
    app.include_router(DurableRouter(hub, **options), prefix="/durable")

    @app.post("/double/{number}")
    async def double(number: int, client: Durable) -> int:
        handle = await client.start(doubling, number)
        return await handle.wait(timeout=10)

    return app


def test_a_test_client_may_be_entered_again_and_again(hub: TaskHub) -> None:
    app = shop(hub)
    for _ in range(3):
        with TestClient(app) as client:
            assert client.post("/double/4").json() == 8
            answer = client.post("/durable/orchestrators/doubling?wait=10", json=5)
            assert answer.json()["output"] == 10


def test_no_signal_handlers_are_taken(hub: TaskHub) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with TestClient(shop(hub)) as client:
        assert [signal.getsignal(number) for number in numbers] == before
        client.post("/double/4")
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_lifespan_of_ones_own_passes_on_what_the_hubs_yields(hub: TaskHub) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any], None]:
        async with hub.lifespan(app) as state:
            yield {**state, "database": "open"}

    app = shop(hub)
    app.router.lifespan_context = lifespan
    with TestClient(app) as client:
        assert client.post("/double/4").json() == 8


def test_a_lifespan_of_ones_own_may_pass_on_nothing(hub: TaskHub) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with hub.lifespan(app):
            yield

    app = shop(hub)
    app.router.lifespan_context = lifespan
    with TestClient(app) as client:
        assert client.post("/double/4").json() == 8
    assert app.state.task_hub is None


def test_an_application_may_have_several_hubs(hub: TaskHub) -> None:
    other = TaskHub.at("memory://", hub="other", registry=registry)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with hub.lifespan(app), other.lifespan(app):
            yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(DurableRouter(hub), prefix="/one")
    app.include_router(DurableRouter(other), prefix="/other")

    @app.get("/")
    async def which(client: Durable) -> bool:
        return client is other.client

    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/").json() is True
            uris = client.post("/one/orchestrators/doubling", json=1).json()
            assert client.get(uris["statusQueryGetUri"]).status_code in (200, 202)
            elsewhere = uris["statusQueryGetUri"].replace("/one/", "/other/")
            assert client.get(elsewhere).status_code == 404


async def test_who_tests_without_a_server_finds_the_hub(hub: TaskHub) -> None:
    app = shop(hub)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client,
    ):
        assert (await client.post("/double/4")).json() == 8


def test_an_application_without_a_hub_is_told_so(hub: TaskHub) -> None:
    app = FastAPI()

    @app.get("/")
    async def index(client: Durable) -> str:
        return "never"

    with TestClient(app) as client, pytest.raises(ConfigurationError, match=r"hub\.lifespan"):
        client.get("/")


def test_a_websocket_has_the_hub_too(hub: TaskHub) -> None:
    app = FastAPI(lifespan=hub.lifespan)

    @app.websocket("/ws")
    async def talk(websocket: WebSocket, client: Durable) -> None:
        await websocket.accept()
        assert hub_of(websocket).client is client
        await websocket.send_text(client.handle("a").instance_id)
        await websocket.close()

    with TestClient(app) as client, client.websocket_connect("/ws") as websocket:
        assert websocket.receive_text() == "a"


def test_each_router_has_dependencies_of_its_own(hub: TaskHub) -> None:
    async def operators_only(x_operator: Annotated[str | None, Header()] = None) -> None:
        if x_operator is None:
            raise HTTPException(401)

    app = FastAPI(lifespan=hub.lifespan)
    app.include_router(DurableRouter(hub, only=["start", "status"]), prefix="/durable")
    app.include_router(
        DurableRouter(hub, only=["terminate"], dependencies=[Depends(operators_only)]),
        prefix="/durable",
    )
    with TestClient(app) as client:
        uris = client.post("/durable/orchestrators/approval", json={"product": "x"}).json()
        uri = uris["terminatePostUri"].replace("{text}", "x")
        assert client.post(uri).status_code == 401
        assert client.post(uri, headers={"x-operator": "Ada"}).status_code == 202
        assert client.delete(uris["purgeHistoryDeleteUri"]).status_code == 405


def test_an_operation_that_there_is_not_is_not_offered(hub: TaskHub) -> None:
    for only in (["sratt"], "start"):
        with pytest.raises(ConfigurationError, match="no operation"):
            DurableRouter(hub, only=only)


@pytest.mark.parametrize("root", ["", "/proxied"])
@pytest.mark.parametrize("prefix", ["/v1", "/in side/durable"])
def test_uris_are_those_that_the_caller_sees(hub: TaskHub, root: str, prefix: str) -> None:
    inner = FastAPI()
    inner.include_router(DurableRouter(hub), prefix="/durable")
    app = FastAPI(lifespan=hub.lifespan)
    app.mount("/in side", inner)
    app.include_router(DurableRouter(hub), prefix="/v1")
    base = "https://shop.example:8443"
    with TestClient(app, root_path=root, base_url=base) as client:
        uris = client.post(f"{root}{prefix}/orchestrators/doubling", json=1).json()
        written = prefix.replace(" ", "%20")
        assert uris["statusQueryGetUri"] == f"{base}{root}{written}/instances/{uris['id']}"


def test_a_proxy_may_have_taken_its_part_of_the_path_away(hub: TaskHub) -> None:
    with TestClient(shop(hub), root_path="/proxied", base_url="http://shop.example") as client:
        uris = client.post("/durable/orchestrators/doubling", json=1).json()
        assert uris["eventsUri"].startswith("http://shop.example/proxied/durable/instances/")


class Address(BaseModel):
    city: str


class Customer(BaseModel):
    address: Address
    friends: list[Customer] = []


class Parcel(msgspec.Struct):
    to: str
    grams: int = 1


@dataclass
class Result:
    number: int


def test_openapi_has_the_types_of_the_orchestrators() -> None:
    own = Registry()

    @own.orchestrator
    async def with_model(ctx: OrchestrationContext, customer: Customer) -> Result:
        """Look after a customer."""
        return Result(1)

    @own.orchestrator(name="with struct/1")
    async def with_struct(ctx: OrchestrationContext, parcel: Parcel) -> list[int]:
        return []

    @own.orchestrator
    async def without(ctx: OrchestrationContext) -> None: ...

    @own.orchestrator
    async def untold(ctx: OrchestrationContext, value: type) -> Any: ...  # type: ignore[valid-type]

    hub = TaskHub.at("memory://", registry=own)
    app = FastAPI()
    app.include_router(DurableRouter(hub), prefix="/durable")
    page = app.openapi()
    paths = page["paths"]
    model = paths["/durable/orchestrators/with_model"]["post"]
    body = model["requestBody"]
    assert body["required"] is True
    schema = body["content"]["application/json"]["schema"]
    assert schema["properties"]["address"]["properties"]["city"]["type"] == "string"
    assert (model["summary"], model["description"]) == (
        "Start with_model",
        "Look after a customer.",
    )
    ended = model["responses"]["200"]["content"]["application/json"]["schema"]
    output = ended["properties"]["output"]["anyOf"][0]
    assert output["properties"]["number"] == {"type": "integer"}
    struct = paths["/durable/orchestrators/~d2l0aCBzdHJ1Y3QvMQ"]["post"]
    grams = struct["requestBody"]["content"]["application/json"]["schema"]["properties"]["grams"]
    assert grams["type"] == "integer"
    assert "requestBody" not in paths["/durable/orchestrators/without"]["post"]
    assert "/durable/orchestrators/untold" in paths
    names = {one["name"] for one in paths["/durable/instances/{instance}"]["get"]["parameters"]}
    assert names == {"instance", "wait", "showInput", "showHistory", "historyFrom"}
    assert "$defs" not in str(page)


def test_a_registered_name_of_any_kind_is_started() -> None:
    own = Registry()

    @own.orchestrator(name="with struct/1")
    async def with_struct(ctx: OrchestrationContext, parcel: Parcel) -> int:
        return parcel.grams

    hub = TaskHub.at("memory://", registry=own)
    with TestClient(shop(hub)) as client:
        path = "/durable/orchestrators/~d2l0aCBzdHJ1Y3QvMQ?wait=10"
        assert client.post(path, json={"to": "Ada", "grams": 7}).json()["output"] == 7
        assert client.post(path, json={"grams": 7}).json()["path"] == "$"
