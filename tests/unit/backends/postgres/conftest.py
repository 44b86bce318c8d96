"""A hub behind a proxy that can fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from durable_async.backends.postgres.address import PostgresTarget
from durable_async.testing.postgres import ThrowawayPostgres
from durable_async.testing.proxy import FaultProxy


@pytest.fixture
def proxy(postgres_server: ThrowawayPostgres) -> Iterator[FaultProxy]:
    with FaultProxy(postgres_server.server.port) as proxy:
        yield proxy


@pytest.fixture
def target(
    postgres_server: ThrowawayPostgres, proxy: FaultProxy, fresh_name: str
) -> PostgresTarget:
    return PostgresTarget(proxy.through(postgres_server.dsn), hub=fresh_name)
