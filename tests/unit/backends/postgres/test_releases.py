"""Two releases side by side: the schema belongs to the newer one, and says which earlier ones it still serves."""

from __future__ import annotations

import asyncio

import pytest

from durable_async import OrchestrationContext, Registry, SchemaVersionError, TaskHub
from durable_async.backends.postgres import schema
from durable_async.backends.postgres.administration import Administration
from durable_async.environment import SystemEnvironment

from .schemas import (
    SCHEMA,
    VERSION,
    backend,
    connected,
    next_release,
    opened,
    psql,
    standing,
)

REPLACES_A_FUNCTION = "alter function {schema}.clock_us rename to clock_of_before; alter function {schema}.clock_of_before rename to clock_us;"

registry = Registry()


@registry.orchestrator
async def patient(ctx: OrchestrationContext) -> str:
    await ctx.wait_for_external_event("go")
    return "gone"


async def finish(hub: TaskHub, instance_id: str) -> None:
    await hub.client.raise_event(instance_id, "go")
    assert await hub.client.wait(instance_id, str, timeout=30) == "gone"


async def test_the_old_release_runs_on_and_starts_again_beside_the_new_one(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with TaskHub.open(postgres_database, registry=registry) as old, old.worker():
        for name in ("before", "across", "handed over"):
            await old.client.start(patient, instance_id=name)
        await finish(old, "before")
        with next_release(monkeypatch, serves=VERSION):
            async with TaskHub.open(postgres_database, registry=registry) as new, new.worker():
                assert await standing(postgres_database) == schema.Standing(VERSION + 1, VERSION)
                await new.client.start(patient, instance_id="new")
                await finish(old, "new")
                await finish(new, "across")
    async with TaskHub.open(postgres_database, registry=registry) as again, again.worker():
        await finish(again, "handed over")


async def test_a_step_that_would_break_workers_waits_for_their_end(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(postgres_database) as old:
        fence = await old.register_worker("old", 60)
        with next_release(monkeypatch, serves=VERSION + 1, sql=REPLACES_A_FUNCTION):
            with pytest.raises(
                SchemaVersionError, match=r"workers run that know version \d+"
            ) as no:
                await backend(postgres_database).open()
            assert (no.value.found, no.value.wanted) == (VERSION, VERSION + 1)
            said = psql(postgres_database, stdin=schema.script(SCHEMA, VERSION)).stderr
            assert "workers of an earlier release still run" in said
        assert await standing(postgres_database) == schema.Standing(VERSION, VERSION)
        await old.retire_worker(fence)
    with next_release(monkeypatch, serves=VERSION + 1, sql=REPLACES_A_FUNCTION):
        async with opened(postgres_database):
            pass
    with pytest.raises(SchemaVersionError, match="upgrade durable-async") as caught:
        await backend(postgres_database).open()
    assert (caught.value.found, caught.value.wanted) == (VERSION + 1, VERSION)


async def test_dead_workers_of_an_old_release_are_not_waited_for(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(postgres_database) as old:
        await old.register_worker("old", 60)
    async with connected(postgres_database) as connection:
        await connection.execute("update durable_async.leases set until_us = 0")
    with next_release(monkeypatch, serves=VERSION + 1):
        async with opened(postgres_database):
            assert await standing(postgres_database) == schema.Standing(VERSION + 1, VERSION + 1)


async def test_what_is_broken_for_a_release_stays_broken(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(postgres_database), connected(postgres_database) as connection:
        await connection.execute("update durable_async.meta set value = 50 where name = 'serves'")
    with next_release(monkeypatch, serves=VERSION):
        async with opened(postgres_database):
            assert (await standing(postgres_database)).serves == 50


async def test_a_running_worker_says_which_schema_it_knows(postgres_database: str) -> None:
    async with opened(postgres_database) as one:
        await one.register_worker("w", 60)
        async with connected(postgres_database) as connection:
            sql = "select id, schema_version from durable_async.v_workers"
            assert [tuple(row) for row in await connection.fetch(sql)] == [("w", VERSION)]


async def test_an_administrator_does_what_opening_does(postgres_database: str) -> None:
    administration = Administration(f"{postgres_database}?schema=mine")
    assert (administration.schema, administration.known) == ("mine", VERSION)
    assert await administration.standing() == schema.Standing()
    both = await asyncio.gather(administration.upgrade(), administration.upgrade())
    assert sorted(step.number for steps in both for step in steps) == list(range(1, VERSION + 1))
    assert await administration.standing() == schema.Standing(VERSION, VERSION)
    async with TaskHub.open(f"{postgres_database}?schema=mine", environment=SystemEnvironment()):
        assert (await standing(postgres_database)).version == 0
