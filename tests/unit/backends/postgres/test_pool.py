"""A caller's own pool serves all verbs of clients, whatever the caller has set up in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from durable_async import OrchestrationContext, Registry, TaskHub
from durable_async.backends.postgres import PostgresBackend
from durable_async.errors import BackendError, BackendUnavailableError, ConfigurationError
from durable_async.model.status import Status
from durable_async.testing.postgres import ThrowawayPostgres

PATIENCE = 30.0
registry = Registry()


@registry.activity
async def fail(text: str) -> str:
    raise ValueError(text)


@registry.orchestrator
async def echo(ctx: OrchestrationContext, text: str) -> str:
    return text + await ctx.wait_for_external_event("said", str)


@registry.orchestrator
async def fails(ctx: OrchestrationContext) -> str:
    return await ctx.call_activity(fail, "no")


class Record(asyncpg.Record):
    """As some applications have them."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


async def set_up(connection: Any) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )
    await connection.execute("set search_path to nowhere")


POOLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "of one": {"min_size": 1, "max_size": 1},
    "with codecs and a search path": {"init": set_up},
    "with records": {"record_class": Record},
    "without prepared statements": {"statement_cache_size": 0},
    "serializable": {"server_settings": {"default_transaction_isolation": "serializable"}},
}


@asynccontextmanager
async def pooled_hub(
    server: ThrowawayPostgres, name: str, **options: Any
) -> AsyncIterator[tuple[TaskHub, Any]]:
    backend = PostgresBackend(server.dsn, hub=name)
    await backend.open()  # makes the schema
    await backend.close()
    async with asyncpg.create_pool(server.dsn, **{"min_size": 0, **options}) as pool:
        chosen = PostgresBackend(server.dsn, hub=name, pool=pool)
        async with TaskHub.open(chosen, hub=name, registry=registry) as hub:
            yield hub, pool


@pytest.mark.parametrize("kind", POOLS)
async def test_all_verbs_of_clients_work(
    kind: str, postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        pooled_hub(postgres_server, fresh_name, **POOLS[kind]) as (hub, _),
        hub.worker(),
    ):
        client = hub.client
        handles = [
            await client.start(echo, "a", instance_id=f"i{number}", tags={"n": str(number)})
            for number in range(5)
        ]
        await asyncio.gather(*(handle.raise_event("said", "b") for handle in handles))
        assert await asyncio.gather(*(handle.wait() for handle in handles)) == ["ab"] * 5
        failed = await client.start(fails, instance_id="failed")
        assert (await client.wait_for_end(failed)).status is Status.FAILED
        await client.rewind(failed)
        assert (await client.wait_for_end(failed)).status is Status.FAILED
        assert [one.instance_id async for one in client.query(tags={"n": "3"})] == ["i3"]
        assert len(await client.history(handles[0])) > 3
        assert (await hub.statistics()).by_status[Status.COMPLETED] == 5
        assert await hub.backend.unpark(["i0"]) == []
        assert await hub.backend.purge(["i0", "failed"]) == ["i0", "failed"]


async def test_clients_hold_no_connections_of_their_own(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    async with pooled_hub(postgres_server, fresh_name) as (hub, pool):
        await asyncio.gather(*(hub.client.start(echo, "a") for _ in range(20)))
        names = await pool.fetch(
            "select application_name as name from pg_stat_activity where application_name like $1",
            f"durable_async/{fresh_name}/%",
        )
    assert {row["name"] for row in names} <= {
        f"durable_async/{fresh_name}/ears",
        f"durable_async/{fresh_name}/call",
    }


async def test_a_pool_that_leads_elsewhere_is_refused(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    elsewhere = postgres_server.dsn.rpartition("/")[0] + f"/{fresh_name}"
    connection = await asyncpg.connect(postgres_server.dsn)
    await connection.execute(f"create database {fresh_name}")

    async def is_refused(kind: type[Exception]) -> None:
        async with asyncpg.create_pool(elsewhere, min_size=0) as pool:
            backend = PostgresBackend(postgres_server.dsn, hub=fresh_name, pool=pool)
            with pytest.raises(kind):
                await backend.open()
            await backend.close()

    await is_refused(BackendError)  # there is no schema
    other = PostgresBackend(elsewhere, hub="another")
    await other.open()
    await other.close()
    await is_refused(ConfigurationError)
    await connection.execute(f"drop database {fresh_name} with (force)")
    await connection.close()


async def test_a_pool_that_is_not_open_is_told_of(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    pool = asyncpg.create_pool(postgres_server.dsn, min_size=0)
    backend = PostgresBackend(postgres_server.dsn, hub=fresh_name, pool=pool)
    with pytest.raises((BackendUnavailableError, ConfigurationError), match="pool"):
        await backend.open()
    await backend.close()
