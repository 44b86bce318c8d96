"""TLS settings of the DSN reach the driver: what is to be verified is verified."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_async import Registry, TaskHub
from durable_async.backends.postgres.address import PostgresTarget
from durable_async.backends.postgres.connecting import connect
from durable_async.errors import BackendUnavailableError, ConfigurationError
from durable_async.testing.postgres import ThrowawayPostgres

from .servers import OPENSSL, Authority, with_tls

pytestmark = pytest.mark.skipif(
    with_tls() is None or OPENSSL is None,
    reason="there is no Postgres server with TLS, or no openssl program (apt-get install postgresql openssl)",
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("theirs"), "theirs")


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[ThrowawayPostgres]:
    certificate, key = authority.sign("IP:127.0.0.1")
    settings = {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
    with ThrowawayPostgres(binaries=with_tls(), **settings) as server:
        yield server


async def is_encrypted(dsn: str) -> Any:
    connection = await connect(PostgresTarget(dsn), "work")
    try:
        return await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("mode", "encrypted"), [("disable", False), ("prefer", True), ("require", True)]
)
async def test_a_mode_is_obeyed(server: ThrowawayPostgres, mode: str, encrypted: bool) -> None:
    assert await is_encrypted(f"{server.dsn}?sslmode={mode}") is encrypted


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_a_known_authority_is_trusted(
    server: ThrowawayPostgres, authority: Authority, mode: str, fresh_name: str
) -> None:
    dsn = f"{server.dsn}?sslmode={mode}&sslrootcert={authority.certificate}"
    assert await is_encrypted(dsn)
    async with TaskHub.open(f"{dsn}&schema=mine", hub=fresh_name, registry=Registry()) as hub:
        assert await hub.client.get("nobody") is None


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_a_stranger_is_not(server: ThrowawayPostgres, stranger: Authority, mode: str) -> None:
    dsn = f"{server.dsn}?sslmode={mode}&sslrootcert={stranger.certificate}"
    with pytest.raises(BackendUnavailableError, match="certificate"):
        async with TaskHub.open(dsn, registry=Registry()):
            pass


async def test_the_name_must_be_the_certificates(
    server: ThrowawayPostgres, authority: Authority
) -> None:
    dsn = server.dsn.replace("127.0.0.1", "localhost")
    root = f"sslrootcert={authority.certificate}"
    assert await is_encrypted(f"{dsn}?sslmode=verify-ca&{root}")
    with pytest.raises(BackendUnavailableError, match="certificate"):
        await is_encrypted(f"{dsn}?sslmode=verify-full&{root}")


async def test_a_server_without_tls_is_not_taken_for_one_with(
    postgres_server: ThrowawayPostgres, server: ThrowawayPostgres, tmp_path: Path
) -> None:
    with pytest.raises(BackendUnavailableError):
        await is_encrypted(f"{postgres_server.dsn}?sslmode=require")


async def test_a_file_that_is_not_there_is_the_settings_fault(
    server: ThrowawayPostgres, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"no-such-file"):
        await is_encrypted(
            f"{server.dsn}?sslmode=verify-full&sslrootcert={tmp_path / 'no-such-file.pem'}"
        )
