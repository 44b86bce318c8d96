"""A connection carries its settings, and fails in a way that says what it means and shows no password."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from durable_async.backends.postgres import PostgresBackend, connecting
from durable_async.backends.postgres.address import PostgresTarget
from durable_async.backends.postgres.connecting import connect
from durable_async.backends.postgres.embedded import USER
from durable_async.errors import BackendUnavailableError, ConfigurationError, DurableError
from durable_async.testing.postgres import ThrowawayPostgres
from durable_async.testing.proxy import FaultProxy

PATIENCE = 30.0


@asynccontextmanager
async def connected(target: PostgresTarget, role: str, **options: Any) -> AsyncIterator[Any]:
    connection = await connect(target, role, **options)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
def target(postgres_server: ThrowawayPostgres) -> PostgresTarget:
    return PostgresTarget(postgres_server.dsn, hub="a hub")


async def test_a_session_begins_with_its_settings(target: PostgresTarget) -> None:
    target = replace(target, statement_seconds=7.0)
    async with connected(target, "work") as connection:
        assert not target.facts(direct=False).is_pooled
        shown = {
            name: await connection.fetchval("select current_setting($1)", name)
            for name in (
                "application_name",
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "synchronous_commit",
                "transaction_isolation",
            )
        }
    assert shown == {
        "application_name": "durable_async/a hub/work",
        "statement_timeout": "7s",
        "lock_timeout": "3500ms",
        "idle_in_transaction_session_timeout": "5s",
        "synchronous_commit": "on",
        "transaction_isolation": "read committed",
    }


async def test_a_read_makes_room_for_little(target: PostgresTarget) -> None:
    """Or the heap falls into pieces."""
    async with connected(target, "work") as connection:
        assert connection._transport.max_size == connecting._READ_BYTES < 256 * 1024
        assert len(await connection.fetchval("select repeat('x', 1000000)")) == 1_000_000


async def test_only_hints_may_be_lost_in_a_crash(target: PostgresTarget) -> None:
    async with connected(target, "ears") as connection:
        assert await connection.fetchval("show synchronous_commit") == "off"


async def test_what_the_dsn_says_wins(target: PostgresTarget) -> None:
    dsn = f"{target.dsn}?statement_timeout=1234&application_name=mine&keepalives=1"
    async with connected(replace(target, dsn=dsn), "work") as connection:
        assert await connection.fetchval("show statement_timeout") == "1234ms"
        assert await connection.fetchval("show application_name") == "mine"


async def test_a_long_name_is_cut_and_the_role_stays(target: PostgresTarget) -> None:
    async with connected(replace(target, hub="ü" * 100), "lifeline") as connection:
        name = await connection.fetchval("show application_name")
    assert name.startswith("durable_async/")
    assert name.endswith("/lifeline")


async def test_settings_that_a_role_may_not_change_are_left_out(
    postgres_server: ThrowawayPostgres, target: PostgresTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = {**connecting._SERVER_NOTICES_LOSS, "no_such_setting": "1"}
    monkeypatch.setattr(connecting, "_SERVER_NOTICES_LOSS", unknown)
    async with connected(target, "work") as connection:
        assert target.facts(direct=False).settings_level == 1
        assert await connection.fetchval("show lock_timeout") == "15s"


async def test_a_server_that_hangs_is_not_waited_for(
    postgres_server: ThrowawayPostgres, target: PostgresTarget
) -> None:
    with FaultProxy(postgres_server.server.port) as proxy:
        hung = replace(target, dsn=proxy.through(target.dsn), connect_seconds=0.2)
        proxy.hold()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(BackendUnavailableError, match="in time"):
                await connect(hung, "work")


async def test_a_server_that_hangs_after_the_greeting_is_not_waited_for_either(
    postgres_server: ThrowawayPostgres, target: PostgresTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultProxy(postgres_server.server.port) as proxy:
        greeted = asyncpg.connect

        async def greet_and_hang(*args: Any, **options: Any) -> Any:
            connection = await greeted(*args, **{**options, "timeout": PATIENCE})
            proxy.hold()
            return connection

        monkeypatch.setattr(asyncpg, "connect", greet_and_hang)
        hung = replace(target, dsn=proxy.through(target.dsn), connect_seconds=0.2)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(BackendUnavailableError):
                await connect(hung, "work")


PLANTED = "Pl4nted-Secr3t"


def with_password(dsn: str, password: str) -> str:
    place = dsn.rpartition("@")[2]
    return f"postgresql://{USER}:{password}@{place}"


async def failing(kind: str, dsn: str, proxy: FaultProxy) -> None:
    """Open a hub that cannot be opened, in one of many ways."""
    match kind:
        case "password":
            pass
        case "database":
            dsn = dsn.rpartition("/")[0] + "/no_such_database"
        case "refused":
            proxy.refuse()
        case "reset":
            proxy.cut_after(100, way="down")
        case "unreadable":
            dsn += "?target_session_attrs=nonsense"
        case "port":
            dsn = dsn.replace(f":{proxy.port}", ":99999999")
        case "tls":
            dsn += "?sslmode=verify-full&sslrootcert=/no/such/file"
        case "not quoted":
            dsn = dsn.replace(PLANTED, f"{PLANTED}@x")
        case "not quoted either":
            dsn = dsn.replace(PLANTED, f"1/{PLANTED}")
        case _:
            dsn = dsn.replace("127.0.0.1", "no-such-host.invalid")
    backend = PostgresBackend(dsn)
    try:
        await backend.open()
    finally:
        await backend.close()


@pytest.mark.parametrize(
    "kind",
    [
        "password",
        "database",
        "refused",
        "reset",
        "unreadable",
        "port",
        "tls",
        "not quoted",
        "not quoted either",
        "name",
    ],
)
async def test_no_failure_shows_the_password(
    postgres_server: ThrowawayPostgres, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.DEBUG)
    with FaultProxy(postgres_server.server.port) as proxy:
        dsn = with_password(proxy.through(postgres_server.dsn), PLANTED)
        with pytest.raises(DurableError) as failure:
            await failing(kind, dsn, proxy)
    assert isinstance(failure.value, BackendUnavailableError | ConfigurationError)
    shown = "".join(traceback.format_exception(failure.value, chain=True))
    error: BaseException | None = failure.value
    while error is not None:  # also what a traceback would leave out
        shown += f"{error!r} {error} {vars(error)}"
        error = error.__cause__ or error.__context__
    assert PLANTED not in shown
    assert PLANTED not in caplog.text
