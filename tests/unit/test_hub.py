"""A hub has one name, whoever says it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from durable_async import ConfigurationError, TaskHub, ValidationError
from durable_async.backend import Backend
from durable_async.backends.offload import MemoryPayloads
from durable_async.backends.postgres import PostgresBackend
from durable_async.backends.sqlite import SqliteBackend
from durable_async.environment import SystemEnvironment

Make = Callable[[str], Backend]


@pytest.fixture(params=["sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "sqlite":
        path, environment = tmp_path / "hub.db", SystemEnvironment()
        return lambda hub: SqliteBackend(path, hub=hub, environment=environment)
    server = request.getfixturevalue("postgres_server")
    schema = request.getfixturevalue("fresh_name")
    return lambda hub: PostgresBackend(server.dsn, hub=hub, schema=schema)


async def test_a_backend_has_said_the_name(make: Make) -> None:
    async with TaskHub.open(make("billing")) as hub:
        assert hub.name == "billing"
    async with TaskHub.open(make("billing"), hub="billing") as hub:
        assert hub.name == "billing"


async def test_another_name_is_refused(make: Make) -> None:
    with pytest.raises(ConfigurationError, match=r"for the hub 'billing'.*'default'"):
        async with TaskHub.open(make("billing"), hub="default"):
            pass


async def test_a_url_says_no_name() -> None:
    async with TaskHub.open("memory://") as hub:
        assert hub.name == "default"
    with pytest.raises(ValidationError, match="hub"):
        async with TaskHub.open("memory://", hub=""):
            pass


async def test_large_payloads_go_to_the_store_that_is_given(tmp_path: Path) -> None:
    payloads = MemoryPayloads(threshold_bytes=100)
    async with TaskHub.open(
        f"sqlite:///{tmp_path / 'hub.db'}", hub="billing", payload_store=payloads
    ) as hub:
        await hub.client.start("nobody", "x" * 200, instance_id="i")
        state = await hub.client.get("i")
        assert state is not None
        assert state.input() == "x" * 200
    assert list(payloads.kept.values()) == [b'"' + b"x" * 200 + b'"']
