"""The schema comes to be in three ways, once, under a name that is harmless; and hubs in it do not see each other."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from durable_async import ConfigurationError, OrchestrationContext, Registry, TaskHub
from durable_async.backends.postgres import parse_url, schema, statements
from durable_async.errors import BackendUnavailableError, SchemaVersionError

from .schemas import (
    SCHEMA,
    VERSION,
    backend,
    connected,
    definitions,
    earlier_release,
    next_release,
    opened,
    psql,
    standing,
)

WAITING = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
STOP = ("-v", "ON_ERROR_STOP=1")

registry = Registry()


@registry.orchestrator
async def greet(ctx: OrchestrationContext, name: str) -> str:
    return f"hello {name}"


async def test_a_script_makes_what_an_upgrade_makes(
    postgres_database: str, postgres_server: Any, fresh_name: str
) -> None:
    done = psql(postgres_database, *STOP, stdin=schema.script(SCHEMA))
    assert (done.returncode, done.stderr) == (0, "")
    by_hand = definitions(postgres_database)

    async with connected(postgres_server.dsn) as connection:
        await connection.execute(f"create database {fresh_name}b")
    other = postgres_server.server.dsn_of(f"{fresh_name}b")
    async with connected(other) as connection:
        applied = await schema.upgrade(connection, SCHEMA)
    assert [step.number for step in applied] == list(range(1, VERSION + 1))
    assert definitions(other) == by_hand


@pytest.mark.parametrize("found", [1, VERSION - 1])
async def test_a_script_of_what_is_missing_leads_to_the_same(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch, found: int
) -> None:
    with earlier_release(monkeypatch, found):
        async with connected(postgres_database) as connection:
            await schema.upgrade(connection, SCHEMA)
    assert (await standing(postgres_database)).version == found
    done = psql(postgres_database, *STOP, stdin=schema.script(SCHEMA, found))
    assert (done.returncode, done.stderr) == (0, "")
    assert await standing(postgres_database) == schema.Standing(VERSION, VERSION)
    async with opened(postgres_database, migrate=False):
        pass


async def test_a_script_that_does_not_fit_changes_nothing(postgres_database: str) -> None:
    async with opened(postgres_database):
        before = definitions(postgres_database)
    for found in (0, 1, VERSION - 1):
        done = psql(postgres_database, stdin=schema.script(SCHEMA, found))
        assert "already exists" in done.stderr or "leads on from schema version" in done.stderr
    assert definitions(postgres_database) == before


async def test_nothing_is_missing_where_everything_is_there(postgres_database: str) -> None:
    async with opened(postgres_database), connected(postgres_database) as connection:
        assert await schema.upgrade(connection, SCHEMA) == []
    assert schema.script(SCHEMA, VERSION) == ""


async def test_many_may_open_an_empty_database_at_once(postgres_database: str) -> None:
    crowd = [backend(postgres_database) for _ in range(6)]
    await asyncio.gather(*(one.open() for one in crowd))
    async with connected(postgres_database) as connection:
        assert await connection.fetchval("select count(*) from durable_async.hubs") == 1
    assert await standing(postgres_database) == schema.Standing(VERSION, VERSION)
    for one in crowd:
        await one.close()


async def test_a_migrator_waits_for_the_one_before(postgres_database: str) -> None:
    lock = statements.statements_in(SCHEMA)["lock_schema"]
    async with connected(postgres_database) as first, connected(postgres_database) as second:
        transaction = first.transaction()
        await transaction.start()
        await first.execute(lock, schema._lock_key(SCHEMA))
        upgrade = asyncio.create_task(schema.upgrade(second, SCHEMA))
        async with connected(postgres_database) as watcher, asyncio.timeout(20):
            while not await watcher.fetchval(WAITING):
                await asyncio.sleep(0.005)
        assert not upgrade.done()
        await transaction.rollback()
        assert len(await upgrade) == VERSION


async def test_a_migrator_that_waits_too_long_gives_up(postgres_database: str) -> None:
    lock = statements.statements_in(SCHEMA)["lock_schema"]
    async with connected(postgres_database) as first, connected(postgres_database) as second:
        await second.execute("set lock_timeout = '50ms'")
        async with first.transaction():
            await first.execute(lock, schema._lock_key(SCHEMA))
            with pytest.raises(BackendUnavailableError, match="try again"):
                await schema.upgrade(second, SCHEMA)


async def test_a_step_does_not_make_everybody_wait_behind_it(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(postgres_database):
        pass
    with next_release(monkeypatch, serves=VERSION):
        async with connected(postgres_database) as user:
            async with user.transaction():
                await user.execute("lock table durable_async.workers in access share mode")
                with pytest.raises(BackendUnavailableError, match="in use") as caught:
                    await backend(postgres_database).open()
                assert isinstance(caught.value.__cause__, asyncpg.LockNotAvailableError)
                assert (await standing(postgres_database)).version == VERSION
        async with opened(postgres_database):
            assert (await standing(postgres_database)).version == VERSION + 1


HOSTILE = [
    "",
    "Upper",
    "1st",
    "with space",
    'quo"te',
    "semi;colon",
    "drop table x; --",
    "dotted.name",
    "ünïcode",
    "a" * 49,
    "new\nline",
    "nul\0",
    "{schema}",
    "$1",
    "%s",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_could_do_harm_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="name of a schema"):
        backend("postgresql://localhost/db", schema=name)


def test_a_role_is_quoted() -> None:
    said = schema.grants(SCHEMA, 'app"; drop table x; --')
    assert 'to "app""; drop table x; --";' in said
    assert "{" not in said + schema.grants(SCHEMA, "app", to_look=True)


async def run(dsn: str, hub: str, name: str) -> str:
    async with TaskHub.open(dsn, hub=hub, registry=registry) as opened_hub, opened_hub.worker():
        handle = await opened_hub.client.start(greet, name, instance_id="same")
        return await handle.wait(timeout=30)


async def test_schemas_and_hubs_do_not_see_each_other(postgres_database: str) -> None:
    places = [
        (f"{postgres_database}?schema={name}", hub)
        for name in ("a_schema_of_mine", "_2")
        for hub in ("one", "two")
    ]
    answers = await asyncio.gather(*(run(*place, "-".join(place)) for place in places))
    assert answers == [f"hello {'-'.join(place)}" for place in places]
    for dsn, hub in places:
        address, options = parse_url(dsn)
        async with opened(address, hub=hub, **options) as one:
            assert (await one.statistics()).by_status
            [record] = await one.read(["same"], payloads=True)
            assert record is not None
            assert record.output == f'"hello {dsn}-{hub}"'.encode()
            assert await one.purge(["same"]) == ["same"]
    async with connected(postgres_database) as connection:
        assert await connection.fetchval("select to_regnamespace('durable_async')") is None


async def test_definitions_do_not_depend_on_a_search_path(postgres_database: str) -> None:
    """What a caller can call by itself resolves names in the catalogue and in the schema only; definers' rights are nobody's."""
    async with opened(postgres_database), connected(postgres_database) as connection:
        functions = await connection.fetch(
            "select p.proname, p.prosecdef, p.prosqlbody is not null as is_parsed,"
            " array_to_string(p.proconfig, ' ') as settings from pg_proc p"
            " where p.pronamespace = 'durable_async'::regnamespace"
        )
    assert [row["proname"] for row in functions if row["prosecdef"]] == []
    loose = {
        row["proname"]
        for row in functions
        if not row["is_parsed"] and "search_path=pg_catalog, pg_temp" not in (row["settings"] or "")
    }
    # Called by the others only, whose settings hold for them.
    assert loose == {
        "bury_lives",
        "close_entities",
        "free_work",
        "heirs_of",
        "hold_receiver",
        "mark_mailboxes",
        "open_entities",
        "put_instances",
        "put_letter",
        "put_letters",
        "remove_lives",
        "unpack",
    }


RESTLESS = {
    "attempts",
    "custom_status",
    "fetched_in",
    "marked",
    "state",
    "status",
    "updated_at_us",
    "will_letter",
    "will_to",
}


async def test_what_changes_all_the_time_is_in_no_index(postgres_database: str) -> None:
    """Else each letter or turn would leave a new version of its row under all the others, too. ``ending`` changes only where something is ended from outside."""
    async with opened(postgres_database), connected(postgres_database) as connection:
        indexes = await connection.fetch(
            "select indexdef from pg_indexes where schemaname = 'durable_async' and tablename = 'instances'"
        )
    assert len(indexes) == 10
    words = {word.strip("(),") for (text,) in indexes for word in text.split()}
    assert words & RESTLESS == set()


async def test_a_schema_of_the_right_number_that_is_another_one_is_refused_at_the_door(
    postgres_database: str,
) -> None:
    """As one from between two releases may be; not by an error of the driver in the midst of work."""
    async with opened(postgres_database), connected(postgres_database) as connection:
        await connection.execute(f"drop function {SCHEMA}.sweep cascade")
        await connection.execute(f"create function {SCHEMA}.sweep() returns int return 1")
    with pytest.raises(SchemaVersionError, match=r"lacks sweep as this release calls") as caught:
        async with opened(postgres_database):
            pass
    assert (caught.value.found, caught.value.wanted) == (VERSION, VERSION)
