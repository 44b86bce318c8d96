"""What every test shares: how hypothesis behaves on a busy machine, and a Postgres server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

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
def fresh_name() -> str:
    """A name that no other test has, for a hub or a database."""
    return f"t{uuid.uuid4().hex[:12]}"
