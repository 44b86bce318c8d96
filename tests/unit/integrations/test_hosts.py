"""Names of the server: what was sent to another name is not answered, wherever that name resolves to."""

from __future__ import annotations

import httpx
import pytest

from durable_async import ConfigurationError, TaskHub

from .stage import WAYS, Serve

ALLOWED = ["localhost", "127.0.0.1", "[::1]", "*.shop.example"]

OWN = ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]", "eu.shop.example."]
OTHER = [
    "rebound.example",
    "rebound.example:8000",
    "shop.example",
    "notshop.example",
    "localhost.evil.example",
]
NONE = ["", "[::1", "me@localhost", "localhost/x"]


@pytest.mark.parametrize("way", WAYS)
async def test_only_its_own_names_are_answered_to(way: str) -> None:
    serve: Serve = WAYS[way]
    hub = TaskHub.at("memory://")
    async with serve(hub, allowed_hosts=ALLOWED) as client:
        for host in OWN:
            assert await _status(client, host) == 200, host
        for host in OTHER:
            answer = await client.get("/durable/instances", headers={"Host": host})
            assert answer.status_code == 400, host
            assert answer.json()["type"].endswith(":host-not-allowed")


async def test_a_host_that_is_none_is_not_answered_to() -> None:
    hub = TaskHub.at("memory://")
    async with WAYS["starlette"](hub, allowed_hosts=ALLOWED) as client:
        for host in NONE:
            assert await _status(client, host) == 400, host


async def test_any_name_is_answered_to_if_none_is_given() -> None:
    async with WAYS["starlette"](TaskHub.at("memory://")) as client:
        assert await _status(client, "rebound.example") == 200


@pytest.mark.parametrize(
    "given",
    ["localhost", ["localhost:8000"], ["*"], ["http://localhost"], [""], ["[::1]:80"], ["a.*.b"]],
    ids=str,
)
def test_what_is_no_name_is_refused(given: list[str] | str) -> None:
    with pytest.raises(ConfigurationError, match="allowed_hosts"):
        WAYS["starlette"](TaskHub.at("memory://"), allowed_hosts=given)


async def _status(client: httpx.AsyncClient, host: str) -> int:
    return (await client.get("/durable/instances", headers={"Host": host})).status_code
