"""What an administrator is told of a real server, and of the way to it."""

from __future__ import annotations

import pytest

from durable_async.backends.postgres import inspection
from durable_async.backends.postgres.address import PostgresTarget, unprotected_hosts
from durable_async.backends.postgres.connecting import connect
from durable_async.errors import ConfigurationError
from durable_async.testing.postgres import ThrowawayPostgres

from .schemas import SCHEMA, connected, opened

ON_PURPOSE = "fsync is off"
"""What is said of every server in these tests."""


async def said_of(dsn: str) -> list[str]:
    """Return what is said of a database, but for what every test's server is told of."""
    target = PostgresTarget(dsn)
    connection = await connect(target, "setup")
    try:
        found = await inspection.inspect(connection, target)
    finally:
        await connection.close()
    return [warning for warning in found if not warning.startswith(ON_PURPOSE)]


async def test_each_unsafe_setting_is_warned_of() -> None:
    with ThrowawayPostgres(full_page_writes="off", autovacuum="off") as server:
        found = await said_of(server.dsn)
        async with opened(server.dsn), connected(server.dsn) as connection:
            await connection.execute(f"alter table {SCHEMA}.history set unlogged")
            await connection.execute(
                f"alter table {SCHEMA}.letters set (autovacuum_enabled = false)"
            )
            await connection.execute(
                f"alter database {database_of(server)} set synchronous_commit = off"
            )
        later = await said_of(server.dsn)
    assert [warning.split(":")[0] for warning in found] == [
        "full_page_writes is off",
        "autovacuum is off",
    ]
    assert [warning for warning in later if warning not in found] == [
        inspection_text("synchronous_commit is off by default", later),
        "unlogged tables, which a crash of the server empties: history",
        "autovacuum is off for letters: they will grow and slow down",
    ]


def database_of(server: ThrowawayPostgres) -> str:
    return server.dsn.rpartition("/")[2].partition("?")[0]


def inspection_text(begin: str, texts: list[str]) -> str:
    (found,) = (text for text in texts if text.startswith(begin))
    return found


async def test_what_this_session_asks_for_is_no_cause_for_alarm(postgres_database: str) -> None:
    assert await said_of(postgres_database) == []
    assert await said_of(f"{postgres_database}?synchronous_commit=off") == [
        "synchronous_commit is off: the last moments before a crash are lost although they were acknowledged"
    ]


async def test_the_role_counts_more_than_the_database(postgres_database: str) -> None:
    name = postgres_database.rpartition("/")[2].partition("?")[0]
    async with connected(postgres_database) as connection:
        await connection.execute(f"alter database {name} set synchronous_commit = off")
        assert len(await said_of(postgres_database)) == 1
        await connection.execute(
            f"alter role current_user in database {name} set synchronous_commit = on"
        )
        assert await said_of(postgres_database) == []


async def test_another_isolation_is_refused(postgres_database: str) -> None:
    with pytest.raises(ConfigurationError, match="must be read committed"):
        await said_of(f"{postgres_database}?default_transaction_isolation=serializable")


@pytest.mark.parametrize(
    ("dsn", "hosts"),
    [
        ("postgresql:///db", []),
        ("postgresql://u@localhost/db", []),
        ("postgresql://u:p@127.0.0.1:5432/db", []),
        ("postgresql://[::1]:5432/db", []),
        ("postgresql:///db?host=/run/postgresql", []),
        ("postgresql://u@db.example/d", ["db.example"]),
        ("postgresql://u@db.example:5432/d?sslmode=require", ["db.example"]),
        ("postgresql://u@db.example/d?sslmode=verify-ca", ["db.example"]),
        ("postgresql://u@db.example/d?sslmode=verify-full", []),
        ("postgresql://one.example:1,localhost,10.0.0.2:3/d", ["one.example", "10.0.0.2"]),
        ("postgresql:///d?host=db.example", ["db.example"]),
    ],
)
def test_hosts_that_anybody_could_stand_in_for(
    dsn: str, hosts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGHOST", "PGSSLMODE"):
        monkeypatch.delenv(name, raising=False)
    assert unprotected_hosts(dsn) == hosts


async def test_the_environment_counts_where_the_dsn_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    assert unprotected_hosts("postgresql:///d") == ["db.example"]
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert unprotected_hosts("postgresql:///d") == []


def test_an_unprotected_way_is_said() -> None:
    target = PostgresTarget("postgresql://u:secret@db.example/d", direct_dsn="postgresql://u@two/d")
    found = [text for text, applies in inspection._of_the_way(target) if applies]
    assert found == [
        "sslmode is not verify-full: whoever is between here and db.example, two can read and change everything"
    ]
