"""The proxy fails as it is told to, and otherwise stands in nobody's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from durable_async.testing.postgres import ThrowawayPostgres
from durable_async.testing.proxy import FaultProxy

PATIENCE = 30.0
LOST = (asyncpg.PostgresConnectionError, OSError, asyncpg.InterfaceError)


@pytest.fixture
def proxy(postgres_server: ThrowawayPostgres) -> Iterator[FaultProxy]:
    with FaultProxy(postgres_server.server.port) as proxy:
        yield proxy


@asynccontextmanager
async def connected(dsn: str, name: str = "") -> AsyncIterator[Any]:
    settings = {"application_name": name} if name else {}
    connection = await asyncpg.connect(dsn, timeout=PATIENCE, server_settings=settings)
    try:
        yield connection
    finally:
        connection.terminate()


async def test_it_passes_everything_on(
    postgres_server: ThrowawayPostgres, proxy: FaultProxy
) -> None:
    async with connected(proxy.through(postgres_server.dsn)) as connection:
        text = "x" * 3_000_000
        assert await connection.fetchval("select $1::text", text) == text
        proxy.delay(0.001)
        assert await connection.fetchval("select $1::text", text) == text


async def test_a_reset_is_felt_on_both_sides(
    postgres_server: ThrowawayPostgres, proxy: FaultProxy
) -> None:
    dsn = proxy.through(postgres_server.dsn)
    async with (
        connected(dsn, "one") as one,
        connected(dsn, "other") as other,
        connected(postgres_server.dsn) as direct,
    ):
        assert proxy.names() == ["one", "other"]
        assert proxy.reset("one") == 1
        with pytest.raises(LOST):
            await one.fetchval("select 1")
        assert await other.fetchval("select 1") == 1
        gone = "select not exists (select from pg_stat_activity where application_name = 'one')"
        async with asyncio.timeout(PATIENCE):
            while not await direct.fetchval(gone):
                await asyncio.sleep(0.01)


async def test_what_is_held_arrives_when_it_is_released(
    postgres_server: ThrowawayPostgres, proxy: FaultProxy
) -> None:
    async with connected(proxy.through(postgres_server.dsn)) as connection:
        proxy.hold()
        answer = asyncio.ensure_future(connection.fetchval("select 7"))
        done, _ = await asyncio.wait({answer}, timeout=0.1)
        assert not done
        proxy.release()
        assert await answer == 7


async def test_what_is_released_is_what_was_held_in_the_same_words(
    postgres_server: ThrowawayPostgres, proxy: FaultProxy
) -> None:
    dsn = proxy.through(postgres_server.dsn)
    async with connected(dsn, "one") as one, connected(dsn, "other") as other:
        proxy.hold("one")
        proxy.hold("other")
        answer = asyncio.ensure_future(one.fetchval("select 7"))
        proxy.release("other")
        assert await other.fetchval("select 8") == 8
        assert not answer.done()
        proxy.release()
        assert await answer == 7


async def test_a_share_of_all_takes_longer(
    postgres_server: ThrowawayPostgres, proxy: FaultProxy
) -> None:
    async with connected(proxy.through(postgres_server.dsn), "some") as connection:
        proxy.delay(0.0, "some", share=1.0, share_seconds=0.001)
        assert await connection.fetchval("select 7") == 7
        late = proxy.late
        assert late > 0
        proxy.delay(0.0, "some")
        assert await connection.fetchval("select 8") == 8
    assert proxy.late == late


async def test_the_client_of_a_severed_connection_hears_nothing_of_its_end(
    postgres_server: ThrowawayPostgres, proxy: FaultProxy
) -> None:
    dsn = proxy.through(postgres_server.dsn)
    async with connected(dsn, "half") as half, connected(dsn, "whole") as whole:
        assert proxy.sever("half") == 1
        gone = "select not exists (select from pg_stat_activity where application_name = 'half')"
        async with asyncio.timeout(PATIENCE):
            while not await whole.fetchval(gone):
                await asyncio.sleep(0.01)
        answer = asyncio.ensure_future(half.fetchval("select 7"))
        done, _ = await asyncio.wait({answer}, timeout=0.05)
        assert not done
        assert not half.is_closed()
        half.terminate()
        with pytest.raises(LOST):
            await answer
        async with asyncio.timeout(PATIENCE):
            while proxy.names() != ["whole"]:
                await asyncio.sleep(0.01)


async def test_an_answer_is_lost_after_the_statement_has_taken_effect(
    postgres_server: ThrowawayPostgres, proxy: FaultProxy, fresh_name: str
) -> None:
    dsn = proxy.through(postgres_server.dsn)
    async with connected(postgres_server.dsn) as direct:
        await direct.execute(f"create table {fresh_name} (n int)")
        for attempt in range(5):
            proxy.lose_answers(1, "writer")
            async with connected(dsn, "writer") as connection:
                with pytest.raises(LOST):
                    await connection.fetch(f"insert into {fresh_name} values ($1)", attempt)
        assert await direct.fetchval(f"select count(*) from {fresh_name}") == 5
        await direct.execute(f"drop table {fresh_name}")
    assert proxy.lost == 5


async def test_a_cut_ends_the_connection_within_a_message(
    postgres_server: ThrowawayPostgres, proxy: FaultProxy, fresh_name: str
) -> None:
    dsn = proxy.through(postgres_server.dsn)
    async with connected(postgres_server.dsn) as direct, connected(dsn) as connection:
        await direct.execute(f"create table {fresh_name} (n int)")
        proxy.cut_after(20, way="up")
        with pytest.raises(LOST):
            await connection.execute(f"insert into {fresh_name} values (1)")
        async with connected(dsn) as again:
            proxy.cut_after(20, way="down")
            with pytest.raises(LOST):
                await again.fetch("select repeat('x', 1000)")
        assert await direct.fetchval(f"select count(*) from {fresh_name}") == 0
        await direct.execute(f"drop table {fresh_name}")


async def test_it_refuses_and_accepts_again_at_the_same_port(
    postgres_server: ThrowawayPostgres, proxy: FaultProxy
) -> None:
    dsn = proxy.through(postgres_server.dsn)
    port = proxy.port
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(dsn, timeout=PATIENCE)
    proxy.accept()
    assert proxy.port == port
    async with connected(dsn) as connection:
        assert await connection.fetchval("select 1") == 1


async def test_it_counts_requests_to_cancel(
    postgres_server: ThrowawayPostgres, proxy: FaultProxy
) -> None:
    async with connected(proxy.through(postgres_server.dsn)) as connection:
        assert proxy.cancels == 0
        with pytest.raises(TimeoutError):
            await connection.fetchval("select pg_sleep(60)", timeout=0.05)
        await asyncio.to_thread(proxy.wait_until, lambda proxy: proxy.cancels == 1)
