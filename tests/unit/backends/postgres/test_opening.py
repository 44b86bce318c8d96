"""A hub opens on a server that can keep its promises, and says what an administrator should know."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import asyncpg
import pytest

from durable_async import Registry, TaskHub
from durable_async.backends.postgres import PostgresBackend, inspection
from durable_async.backends.postgres.address import PostgresTarget
from durable_async.errors import (
    BackendUnavailableError,
    ConfigurationError,
    SchemaVersionError,
)
from durable_async.testing.postgres import ThrowawayPostgres

SOUND = {
    "version": 180_000,
    "is_standby": False,
    "encoding": "UTF8",
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "synchronous_commit": "on",
    "has_synchronous_standbys": False,
    "default_synchronous_commit": None,
    "unlogged": None,
    "unvacuumed": None,
    "age": 200_000_000,
    "isolation": "read committed",
    "read_only": "off",
}


class Answer:
    """A server that has settings, and nothing else."""

    def __init__(self, **settings: Any) -> None:
        self.row = {**SOUND, **settings}

    async def fetchrow(self, sql: str, schema: str) -> dict[str, Any]:
        return self.row


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "_said", set())


@pytest.fixture
def target(postgres_server: ThrowawayPostgres) -> PostgresTarget:
    return PostgresTarget(postgres_server.dsn)


@asynccontextmanager
async def database(dsn: str, name: str, options: str = "") -> AsyncIterator[str]:
    """A database for a test."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"create database {name} {options}")
        try:
            yield dsn.rpartition("/")[0] + f"/{name}"
        finally:
            await connection.execute(f"drop database {name} with (force)")
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"version": 130_014}, "Postgres 13 is too old"),
        ({"version": 90_624}, "Postgres 9 is too old"),
        ({"is_standby": True}, "is a standby"),
        ({"encoding": "SQL_ASCII"}, "it must be UTF8"),
        ({"isolation": "repeatable read"}, "must be read committed"),
    ],
)
async def test_what_cannot_serve_is_refused(
    settings: dict[str, Any], words: str, target: PostgresTarget
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        await inspection.inspect(Answer(**settings), target)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"fsync": "off"}, "fsync is off"),
        ({"full_page_writes": "off"}, "full_page_writes is off"),
        ({"autovacuum": "off"}, "autovacuum is off"),
        ({"synchronous_commit": "off"}, "synchronous_commit is off"),
        (
            {"synchronous_commit": "local", "has_synchronous_standbys": True},
            "synchronous_commit is local although",
        ),
        ({"default_synchronous_commit": "off"}, "off by default for this role or database"),
        ({"unlogged": "history"}, "unlogged tables, which a crash of the server empties: history"),
        ({"unvacuumed": "letters"}, "autovacuum is off for letters"),
        ({"age": 1_500_000_000}, "1,500,000,000 transactions, of 2,147 million"),
        ({"read_only": "on"}, "read-only by default"),
    ],
)
async def test_what_serves_badly_is_said(
    settings: dict[str, Any], words: str, target: PostgresTarget
) -> None:
    [warning] = await inspection.inspect(Answer(**settings), target)
    assert words in warning


async def test_there_is_nothing_to_say_of_a_sound_server(target: PostgresTarget) -> None:
    assert await inspection.inspect(Answer(), target) == []
    assert await inspection.inspect(Answer(version=140_000), target) == []


async def test_a_warning_is_given_once_for_each_place(
    postgres_server: ThrowawayPostgres, caplog: pytest.LogCaptureFixture, fresh_name: str
) -> None:
    async def opened(dsn: str) -> list[str]:
        caplog.clear()
        backend = PostgresBackend(dsn, hub=fresh_name)
        await backend.open()
        await backend.close()
        return [record.message for record in caplog.records if record.levelno >= logging.WARNING]

    dsn = postgres_server.dsn
    [warning] = await opened(dsn)
    assert "fsync is off" in warning  # as is fit for a throwaway
    assert await opened(dsn) == []
    async with database(dsn, fresh_name) as other:
        assert len(await opened(other)) == 1
        assert await opened(other) == []


async def test_another_encoding_is_refused(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    options = "encoding 'SQL_ASCII' template template0"
    async with database(postgres_server.dsn, fresh_name, options) as dsn:
        with pytest.raises(ConfigurationError, match="SQL_ASCII"):
            async with TaskHub.open(dsn, registry=Registry()):
                pass


async def test_a_schema_is_not_made_against_ones_will(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    async with database(postgres_server.dsn, fresh_name) as dsn:
        with pytest.raises(SchemaVersionError):
            async with TaskHub.open(f"{dsn}?migrate=false", registry=Registry()):
                pass
        async with TaskHub.open(f"{dsn}?schema=mine&clients_max=1", registry=Registry()) as hub:
            assert await hub.client.get("nobody") is None
        async with TaskHub.open(f"{dsn}?schema=mine&migrate=false", registry=Registry()) as hub:
            assert "schema 'mine'" in repr(hub)


async def test_a_hub_opens_again_after_it_was_closed_or_could_not_open(
    postgres_server: ThrowawayPostgres, fresh_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = PostgresBackend(postgres_server.dsn, hub=fresh_name)

    async def cut(connection: Any, *_: Any, **__: Any) -> None:
        connection.terminate()
        await connection.fetchval("select 1")

    with monkeypatch.context() as broken:
        broken.setattr("durable_async.backends.postgres.core.prepare", cut)
        with pytest.raises(BackendUnavailableError):
            await backend.open()
    for _ in range(2):
        await backend.open()
        await backend.open()
        assert await backend.read(["nobody"], payloads=True) == [None]
        await backend.close()
        await backend.close()


def _threads_of_ours() -> list[str]:
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name.startswith("durable-async")]


async def test_whoever_is_cancelled_lets_go_of_everything(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    """A cancelled scope cancels each await inside it, those of closing, too."""
    async with database(postgres_server.dsn, fresh_name) as dsn:
        tasks = asyncio.all_tasks()
        with anyio.CancelScope() as scope:
            async with TaskHub.open(dsn, registry=Registry()) as hub, hub.worker():
                await hub.client.get("nobody")
                scope.cancel()
                await anyio.sleep_forever()
        assert (asyncio.all_tasks(), _threads_of_ours()) == (tasks, [])

        with anyio.CancelScope() as scope:
            backend = PostgresBackend(dsn)
            asyncio.get_running_loop().call_soon(scope.cancel)
            await backend.open()
        assert (asyncio.all_tasks(), _threads_of_ours()) == (tasks, [])

        backend = PostgresBackend(dsn)
        await backend.open()
        await backend.register_worker("w", 30)
        closing = asyncio.ensure_future(backend.close())
        await asyncio.sleep(0)
        closing.cancel()  # by asyncio's own means, which no shield holds
        await asyncio.wait([closing])
        with anyio.fail_after(10):
            while (asyncio.all_tasks(), _threads_of_ours()) != (tasks, []):
                await anyio.sleep(0.01)
        connection: Any = await asyncpg.connect(postgres_server.dsn)
        count = "select count(*) from pg_stat_activity where datname = $1"
        assert await connection.fetchval(count, fresh_name) == 0
        await connection.close()


async def test_a_url_that_cannot_be_read_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        async with TaskHub.open("postgresql://me:s\u2100cret@host/db"):
            pass
    assert "cret" not in str(refusal.value)
    assert refusal.value.__context__ is None


@pytest.mark.parametrize("wrong", ["password", "user", "database"])
async def test_who_is_turned_away_is_told_so_when_a_hub_opens(
    postgres_server: ThrowawayPostgres, wrong: str
) -> None:
    """It is a mistake of whoever wrote the URL, and no store that is away for a while."""
    server = postgres_server.server
    user = "nobody" if wrong == "user" else "durable_async"
    password = "s3cret-typo" if wrong == "password" else server.password
    database = "nowhere" if wrong == "database" else "postgres"
    with pytest.raises(ConfigurationError) as refusal:
        async with TaskHub.open(
            f"postgresql://{user}:{password}@127.0.0.1:{server.port}/{database}"
        ):
            pass
    assert password not in str(refusal.value)
