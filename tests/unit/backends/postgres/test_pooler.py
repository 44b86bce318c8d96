"""Behind a transaction pooler nothing that belongs to a session is relied upon; past it, notifications arrive."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import pytest

from durable_async import OrchestrationContext, Registry, TaskHub
from durable_async.backend import Hearing
from durable_async.backends.postgres import PostgresBackend
from durable_async.backends.postgres.address import PostgresTarget
from durable_async.backends.postgres.connecting import connect
from durable_async.backends.postgres.lifelines import Lifelines
from durable_async.testing.postgres import ThrowawayPostgres
from durable_async.testing.proxy import FaultProxy

from .pooler import Pooler, needs_pgbouncer

pytestmark = needs_pgbouncer

PATIENCE = 60.0
registry = Registry()


@registry.activity
async def double(number: int) -> int:
    return 2 * number


@registry.orchestrator
async def sums(ctx: OrchestrationContext, numbers: list[int]) -> int:
    return sum(await asyncio.gather(*(ctx.call_activity(double, one) for one in numbers)))


@registry.orchestrator
async def waits(ctx: OrchestrationContext) -> str:
    said = await ctx.wait_for_external_event("said", str)
    return f"{said} {await ctx.call_activity(double, 21)}"


@pytest.fixture
def pooler(postgres_server: ThrowawayPostgres, tmp_path: Path) -> Iterator[Pooler]:
    with Pooler(tmp_path, postgres_server.server) as pooler:
        yield pooler


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def work_through(dsn: str, hub: str, caplog: pytest.LogCaptureFixture) -> None:
    """Run some of everything, by two workers of their own hubs and a client."""
    async with (
        TaskHub.open(dsn, hub=hub, registry=registry) as first,
        TaskHub.open(dsn, hub=hub, registry=registry) as second,
        first.worker(),
        second.worker(),
    ):
        async with asyncio.timeout(PATIENCE):
            started = [await first.client.start(sums, list(range(n))) for n in range(20)]
            waiting = [await second.client.start(waits) for _ in range(10)]
            for one in waiting:
                await first.client.raise_event(one.instance_id, "said", "hello")
            assert [await one.wait() for one in started] == [n * (n - 1) for n in range(20)]
            for one in waiting:
                assert await first.client.wait(one.instance_id, str) == "hello 42"
            ids = [one.instance_id for one in started]
            assert len([state async for state in first.client.query()]) == 30
            assert set(await first.backend.purge(ids)) == set(ids)
    assert "prepared statement" not in caplog.text


@pytest.mark.parametrize("ignored", ["", "statement_timeout, lock_timeout"])
async def test_a_whole_hub_works_behind_a_pooler(
    ignored: str,
    postgres_server: ThrowawayPostgres,
    tmp_path: Path,
    fresh_name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "durable_async")
    with Pooler(tmp_path, postgres_server.server, ignored=ignored) as pooler:
        await work_through(pooler.through(postgres_server.dsn), fresh_name, caplog)


async def test_a_pooler_is_noticed_and_told_of_once(
    pooler: Pooler,
    postgres_server: ThrowawayPostgres,
    fresh_name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = PostgresBackend(pooler.through(postgres_server.dsn), hub=fresh_name)
    await backend.open()
    await until(lambda: "notifications do not arrive" in caplog.text)
    assert backend.hearing is Hearing.NEVER
    assert caplog.text.count("notifications do not arrive") == 1
    assert "direct_dsn" in caplog.text
    await backend.close()


async def test_nothing_stays_prepared_and_no_sign_of_life_is_left_in_a_shared_session(
    pooler: Pooler, postgres_server: ThrowawayPostgres
) -> None:
    target = PostgresTarget(pooler.through(postgres_server.dsn))
    lifelines = Lifelines(target)
    assert await lifelines.hold("somebody") is None
    await lifelines.close()
    assert target.facts(direct=False).is_pooled
    connections = [await connect(target, "work") for _ in range(10)]
    for number in range(50):
        answers = await asyncio.gather(
            *(one.fetchval("select $1::int + 1", number) for one in connections)
        )
        assert set(answers) == {number + 1}
    for one in connections:
        await one.close()


async def test_a_direct_way_past_the_pooler_hears(
    pooler: Pooler, postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    dsn = pooler.through(postgres_server.dsn)
    direct = postgres_server.dsn
    one = PostgresBackend(dsn, hub=fresh_name, direct_dsn=direct)
    other = PostgresBackend(dsn, hub=fresh_name, direct_dsn=direct)
    await one.open()
    await other.open()
    await until(lambda: one.hearing is other.hearing is Hearing.MOSTLY)
    heard = anyio.Event()
    other.listen(heard.set, lambda changed: None)
    async with TaskHub.open(one, hub=fresh_name, registry=registry) as hub:
        await hub.client.start(waits)
        async with asyncio.timeout(PATIENCE):
            await heard.wait()
    assert await one._lifelines.hold("somebody") is not None
    await other.close()
    await one._lifelines.close()


async def test_a_session_pooler_hears(
    postgres_server: ThrowawayPostgres, tmp_path: Path, fresh_name: str
) -> None:
    with Pooler(tmp_path, postgres_server.server, mode="session", size=20) as pooler:
        backend = PostgresBackend(pooler.through(postgres_server.dsn), hub=fresh_name)
        await backend.open()
        await until(lambda: backend.hearing is Hearing.MOSTLY)
        await backend.close()


async def test_a_pooler_that_comes_and_goes_is_noticed(
    pooler: Pooler,
    postgres_server: ThrowawayPostgres,
    fresh_name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "durable_async")
    with FaultProxy(postgres_server.server.port) as proxy:
        dsn = proxy.through(postgres_server.dsn)
        async with (
            TaskHub.open(dsn, hub=fresh_name, registry=registry) as hub,
            TaskHub.open(dsn, hub=fresh_name, registry=registry) as other,
            other.worker(poll_seconds=0.2),
        ):

            async def runs() -> None:
                async with asyncio.timeout(PATIENCE):
                    handle = await hub.client.start(sums, [1, 2, 3])
                    assert await handle.wait() == 12

            await until(lambda: hub.backend.hearing is Hearing.MOSTLY)
            await runs()
            proxy.redirect(pooler.port)
            proxy.reset()
            await until(lambda: "notifications do not arrive" in caplog.text)
            await until(lambda: hub.backend.hearing is Hearing.NEVER)
            for _ in range(10):
                await runs()
            proxy.redirect(postgres_server.server.port)
            proxy.reset()
            await until(lambda: hub.backend.hearing is Hearing.MOSTLY)
            await runs()
    assert "prepared statement" not in caplog.text


async def test_full_settings_come_back_with_the_direct_way(
    pooler: Pooler, postgres_server: ThrowawayPostgres
) -> None:
    with FaultProxy(postgres_server.server.port) as proxy:
        target = PostgresTarget(proxy.through(postgres_server.dsn))

        async def shown() -> tuple[bool, Any]:
            connection = await connect(target, "work")
            timeout = await connection.fetchval("show lock_timeout")
            await connection.close()
            return target.facts(direct=False).is_pooled, timeout

        assert await shown() == (False, "15s")
        proxy.redirect(pooler.port)
        assert await shown() == (True, "0")
        assert await shown() == (True, "0")
        proxy.redirect(postgres_server.server.port)
        assert await shown() == (False, "15s")


async def test_the_server_holds_no_more_sessions_than_the_pool(
    pooler: Pooler, postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    dsn = pooler.through(postgres_server.dsn)
    connection = await asyncpg.connect(postgres_server.dsn)
    async with TaskHub.open(dsn, hub=fresh_name, registry=registry) as hub, hub.worker():
        async with asyncio.timeout(PATIENCE):
            handles = [await hub.client.start(sums, [1]) for _ in range(50)]
            await asyncio.gather(*(handle.wait() for handle in handles))
        sessions = await connection.fetchval(
            "select count(*) from pg_stat_activity where application_name like '%' || $1 || '%'",
            fresh_name,
        )
    await connection.close()
    assert 0 < sessions <= 3
