"""Databases as administrators meet them: looked into, taken apart into their definitions, upgraded by releases that are yet to come."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
import pytest

from durable_async.backends._migrations import Migration
from durable_async.backends.postgres import PostgresBackend, core, schema, statements
from durable_async.backends.postgres.embedded import find_binaries
from durable_async.environment import SystemEnvironment

SCHEMA = "durable_async"
VERSION = len(statements.migrations_in(SCHEMA))

ADDS_A_COLUMN = "alter table {schema}.workers add column colour text;"


def backend(dsn: str, **options: Any) -> PostgresBackend:
    return PostgresBackend(dsn, environment=SystemEnvironment(), **options)


@asynccontextmanager
async def opened(dsn: str, **options: Any) -> AsyncIterator[PostgresBackend]:
    one = backend(dsn, **options)
    await one.open()
    try:
        yield one
    finally:
        await one.close()


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Any]:
    connection: Any = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


async def standing(dsn: str, name: str = SCHEMA) -> schema.Standing:
    async with connected(dsn) as connection:
        return await schema.standing_of(connection, name)


@contextmanager
def release(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[str], tuple[Migration, ...]]
) -> Iterator[None]:
    """Be another release, which has other migrations, as long as the block."""
    with monkeypatch.context() as patch:
        for module in (schema, core):
            patch.setattr(module, "migrations_in", change)
        yield


def next_release(monkeypatch: pytest.MonkeyPatch, *, serves: int, sql: str = ADDS_A_COLUMN) -> Any:
    """Be the next release, which brings one more step."""
    step = Migration(number=VERSION + 1, name="next", sql=sql, serves=serves)

    def migrations(name: str) -> tuple[Migration, ...]:
        placed = step.sql.replace("{schema}", f'"{name}"')
        return (
            *statements.migrations_in(name),
            Migration(number=step.number, name=step.name, sql=placed, serves=step.serves),
        )

    return release(monkeypatch, migrations)


def earlier_release(monkeypatch: pytest.MonkeyPatch, version: int) -> Any:
    """Be a release that knows the first steps only."""
    return release(monkeypatch, lambda name: statements.migrations_in(name)[:version])


def psql(dsn: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return _run("psql", "-X", "-q", *arguments, dsn, stdin=stdin)


def definitions(dsn: str) -> list[str]:
    """Return everything that makes a schema, as ``pg_dump`` writes it, and what the migrations left in ``meta``."""
    dumped = _run("pg_dump", "--schema-only", dsn)
    assert dumped.returncode == 0, dumped.stderr
    lines = [line for line in dumped.stdout.splitlines() if not line.startswith("\\")]
    rows = psql(dsn, "-A", "-c", "select * from durable_async.meta order by name")
    assert rows.returncode == 0, rows.stderr
    return [*lines, *rows.stdout.splitlines()]


def _run(program: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    path = find_binaries() / program
    if not path.exists():
        pytest.skip(f"the server's programs come without {program}")
    return subprocess.run(
        [str(path), *arguments], input=stdin, capture_output=True, text=True, check=False
    )
