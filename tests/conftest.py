"""What every test shares: how hypothesis behaves on a busy machine, and a Postgres server."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from durable_async.testing.postgres import PostgresLab, ThrowawayPostgres

# No deadlines: they measure the machine, not the code. CI repeats the same examples each time.
settings.register_profile(
    "default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[ThrowawayPostgres]:
    """A server of this process's own: `DURABLE_ASYNC_PG_BIN` chooses which, by default the one of the extra."""
    with ThrowawayPostgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_lab(postgres_server: ThrowawayPostgres) -> Iterator[PostgresLab]:
    """A schema in which each test has a hub and a clock of its own."""
    lab = PostgresLab(postgres_server.dsn)
    yield lab
    lab.close()


@pytest.fixture
def postgres_database(postgres_server: ThrowawayPostgres, fresh_name: str) -> Iterator[str]:
    """The DSN of an empty database, for its owner."""
    asyncio.run(_on(postgres_server, f"create database {fresh_name}"))
    yield postgres_server.server.dsn_of(fresh_name)
    asyncio.run(_on(postgres_server, f"drop database {fresh_name} with (force)"))


async def _on(server: ThrowawayPostgres, sql: str) -> None:
    connection: Any = await asyncpg.connect(server.dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture
def fresh_name() -> str:
    """A name that no other test has, for a hub or a database."""
    return f"t{uuid.uuid4().hex[:12]}"
