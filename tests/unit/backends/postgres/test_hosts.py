"""Of several hosts the one that can write is found, before and after a failover; a standby alone is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from durable_async import OrchestrationContext, Registry, TaskHub
from durable_async.backend import Hearing
from durable_async.backends.postgres import PostgresBackend
from durable_async.backends.postgres.embedded import EmbeddedPostgres
from durable_async.errors import BackendUnavailableError, ConfigurationError
from durable_async.testing.postgres import ThrowawayPostgres

from .servers import both, standby_of

PATIENCE = 60.0
registry = Registry()


@registry.orchestrator
async def echo(ctx: OrchestrationContext) -> str:
    return await ctx.wait_for_external_event("said", str)


@pytest.fixture
def primary() -> Iterator[EmbeddedPostgres]:
    with ThrowawayPostgres() as server:
        yield server.server


@pytest.fixture
def standby(primary: EmbeddedPostgres, tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = standby_of(primary, tmp_path / "standby")
    yield server
    server.stop(immediately=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def opens(dsn: str) -> None:
    async with TaskHub.open(dsn, registry=registry) as hub:
        assert await hub.client.get("nobody") is None


@pytest.mark.slow
async def test_a_hub_finds_the_primary_and_follows_it(
    primary: EmbeddedPostgres, standby: EmbeddedPostgres
) -> None:
    await opens(both(primary, standby))
    await opens(both(standby, primary))
    with pytest.raises(ConfigurationError, match="is a standby"):
        await opens(standby.dsn)
    with pytest.raises(ConfigurationError, match="is a standby"):
        await opens(both(standby, standby) + "?target_session_attrs=any")
    with pytest.raises(BackendUnavailableError):
        await opens(both(standby, standby))

    backend = PostgresBackend(both(primary, standby))
    async with TaskHub.open(backend, registry=registry) as hub, hub.worker():
        async with asyncio.timeout(PATIENCE):
            begun = await hub.client.start(echo)
            await hub.client.wait_for_start(begun)
            waiting = asyncio.ensure_future(begun.wait())
            primary.stop()  # in good order: what was written has reached the standby
            connection = await asyncpg.connect(standby.dsn)
            assert await connection.fetchval("select pg_promote(true, 30)")
            await connection.close()
            await begun.raise_event("said", "over there")
            assert await waiting == "over there"
            later = await hub.client.start(echo)
            await later.raise_event("said", "too")
            assert await later.wait() == "too"
            await until(lambda: backend.hearing is Hearing.MOSTLY)


@pytest.mark.slow
async def test_a_standby_takes_no_writes_of_a_hub_that_was_open(
    primary: EmbeddedPostgres, standby: EmbeddedPostgres
) -> None:
    """As when an address is moved from one server to another before that was promoted."""
    backend = PostgresBackend(primary.dsn)
    await backend.open()
    port, standby.port = primary.port, primary.port
    primary.stop()
    standby.stop()
    standby.start()
    assert standby.port == port
    for _ in range(3):
        with pytest.raises(BackendUnavailableError):
            await backend.unpark(["nobody"])
    await backend.close()
