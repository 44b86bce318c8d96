"""A role without a right to change the schema runs whole hubs; one that may look sees the views and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from durable_async import OrchestrationContext, Registry, SchemaVersionError, TaskHub
from durable_async.backends.postgres import schema
from durable_async.errors import BackendUnavailableError, FencedError

from .schemas import (
    SCHEMA,
    VERSION,
    backend,
    connected,
    definitions,
    earlier_release,
    next_release,
    opened,
)

LEASE_SECONDS = 0.2

registry = Registry()


@registry.activity
async def double(number: int) -> int:
    return 2 * number


@registry.orchestrator
async def story(ctx: OrchestrationContext, number: int) -> int:
    first = await ctx.call_activity(double, number)
    more: int = await ctx.wait_for_external_event("more", int)
    return first + await ctx.call_sub_orchestrator(child, more)


@registry.orchestrator
async def child(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_activity(double, number)


@dataclass
class Roles:
    """A database, and where two roles find it that own nothing in it."""

    owner: str
    app: str
    viewer: str

    @property
    def app_name(self) -> str:
        return str(urlsplit(self.app).username)

    @property
    def viewer_name(self) -> str:
        return str(urlsplit(self.viewer).username)


@pytest.fixture
async def roles(postgres_database: str, fresh_name: str) -> AsyncIterator[Roles]:
    parts = urlsplit(postgres_database)
    host = parts.netloc.rpartition("@")[2]
    made = Roles(
        postgres_database,
        *(
            parts._replace(netloc=f"{fresh_name}_{kind}:secret@{host}").geturl()
            for kind in ("app", "viewer")
        ),
    )
    async with connected(postgres_database) as connection:
        for name in (made.app_name, made.viewer_name):
            await connection.execute(f"create role {name} login password 'secret'")
    yield made
    async with connected(postgres_database) as connection:
        for name in (made.app_name, made.viewer_name):
            await connection.execute(f"drop owned by {name}")
            await connection.execute(f"drop role {name}")


async def migrate(roles: Roles) -> None:
    async with connected(roles.owner) as connection:
        # As strict as an administrator can be: nobody may run anything but by a grant.
        await connection.execute("alter default privileges revoke execute on functions from public")
        await schema.upgrade(connection, SCHEMA)
        await connection.execute(schema.grants(SCHEMA, roles.app_name))
        await connection.execute(schema.grants(SCHEMA, roles.viewer_name, to_look=True))


async def tell(hub: TaskHub, instance_id: str) -> int:
    handle = await hub.client.start(story, 1, instance_id=instance_id)
    await hub.client.raise_event(instance_id, "more", 20)
    return await handle.wait(timeout=30)


async def test_it_runs_a_whole_hub(roles: Roles) -> None:
    await migrate(roles)
    async with TaskHub.open(roles.app, registry=registry) as hub, hub.worker():
        assert await tell(hub, "one") == 42
        assert [state.instance_id async for state in hub.client.query(names=["story"])] == ["one"]
        assert (await hub.statistics()).workers == 1
        assert await hub.client.purge("one") == 2
        assert await hub.client.get("one") is None


async def test_it_takes_over(roles: Roles) -> None:
    await migrate(roles)
    async with opened(roles.app) as dead, opened(roles.app) as heir:
        fallen = await dead.register_worker("fallen", LEASE_SECONDS)
        async with connected(roles.owner) as connection:
            await connection.execute("update durable_async.leases set until_us = 0")
        fence = await heir.register_worker("heir", 60)
        assert await heir.take_over(fence) == 0
        with pytest.raises(FencedError):
            await dead.read_fence(fallen.worker_id)
        with pytest.raises(FencedError):
            dead.renew_lease(fallen, LEASE_SECONDS)


@pytest.mark.parametrize(
    "statement",
    [
        "alter table durable_async.instances add column mine text",
        "drop table durable_async.letters",
        "truncate durable_async.history",
        "create table durable_async.mine (n integer)",
        "create index mine on durable_async.instances (name)",
        "create or replace function durable_async.clock_us() returns bigint language sql return 0",
        "drop view durable_async.v_instances",
        "update durable_async.meta set value = 0",
        "drop schema durable_async cascade",
    ],
)
async def test_it_cannot_change_the_schema(roles: Roles, statement: str) -> None:
    await migrate(roles)
    async with connected(roles.app) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_tables_of_a_later_step_are_its_too(
    roles: Roles, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(roles)
    sql = "create table {schema}.parcels (n integer);"
    with next_release(monkeypatch, serves=VERSION, sql=sql):
        async with opened(roles.owner), connected(roles.app) as connection:
            await connection.execute("insert into durable_async.parcels values (1)")


@pytest.mark.parametrize("version", [1, VERSION - 1])
async def test_an_older_schema_is_refused_with_what_to_do(
    roles: Roles, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    with earlier_release(monkeypatch, version):
        await migrate_what_there_is(roles)
    before = definitions(roles.owner)
    for options in ({}, {"migrate": False}):
        with pytest.raises(SchemaVersionError, match="durable-async migrate apply") as caught:
            await backend(roles.app, **options).open()
        assert (caught.value.found, caught.value.wanted) == (version, VERSION)
    assert definitions(roles.owner) == before


async def migrate_what_there_is(roles: Roles) -> None:
    async with connected(roles.owner) as connection:
        await schema.upgrade(connection, SCHEMA)
        await connection.execute(schema.grants(SCHEMA, roles.app_name))


async def test_a_database_without_the_schema_is_refused_with_what_to_do(roles: Roles) -> None:
    async with connected(roles.owner) as connection:
        await connection.execute("revoke create on schema public from public")
    with pytest.raises(SchemaVersionError, match=r"'durable_async'.*no schema yet.*migrate apply"):
        await backend(roles.app).open()


async def test_a_role_without_grants_is_told_so(roles: Roles) -> None:
    async with opened(roles.owner):
        pass
    with pytest.raises(BackendUnavailableError, match=r"denied.*durable-async migrate"):
        await backend(roles.app).open()


async def test_a_viewer_looks_and_touches_nothing(roles: Roles) -> None:
    await migrate(roles)
    async with TaskHub.open(roles.app, registry=registry) as hub, hub.worker():
        await hub.client.start(story, 1, instance_id="one")
        async with connected(roles.viewer) as connection:
            seen = await look(connection)
            assert set(seen) == {
                "v_entities",
                "v_hubs",
                "v_instances",
                "v_locks",
                "v_queue",
                "v_waits",
                "v_workers",
            }
            for name in ("instances", "history", "letters", "v_history", "v_letters", "meta"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetch(f"select * from durable_async.{name}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch("select durable_async.purge_instances(1, '{one}')")
        assert await tell_the_rest(hub) == 42


async def look(connection: Any) -> dict[str, int]:
    return {
        view: await connection.fetchval(f"select count(*) from durable_async.{view}")
        for view in schema._VIEWS_TO_LOOK
    }


async def tell_the_rest(hub: TaskHub) -> int:
    await hub.client.raise_event("one", "more", 20)
    return int(await hub.client.wait("one", int, timeout=30))
