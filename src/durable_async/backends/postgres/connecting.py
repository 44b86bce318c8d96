"""How a connection is made.

Connections carry their settings from the start, in the start-up message. A pooler that refuses them gets none, and one that hands the
server's sessions around is noticed, so that nothing that belongs to a session is relied upon.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import asyncpg

from durable_async.errors import ConfigurationError

from .address import Facts, PostgresTarget, for_driver, has_several_hosts
from .failures import DRIVER_ERRORS, sqlstate, translate

_NAME_BYTES_MAX = 63
_CHANGES_OF_MIND = 3

_SERVER_NOTICES_LOSS = MappingProxyType(
    {
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "10000",
        "client_connection_check_interval": "2000",
    }
)
"""Lets the server notice a client that vanished, and drop its locks. Not on every platform."""

_SOCKET_OPTIONS = (
    ("TCP_KEEPIDLE", 5),
    ("TCP_KEEPINTVL", 2),
    ("TCP_KEEPCNT", 3),
    ("TCP_USER_TIMEOUT", 10_000),
)
"""Lets this side notice a server that vanished, without a limit on statements of one that lives. Not on every platform."""

_READ_BYTES = 32 * 1024
"""What asyncio asks a socket for at a time. By itself it makes room for 256 KiB at each read, of which an answer needs a few hundred bytes, and leaves
the rest behind a value that may live on. glibc keeps such rests, none of which has room for the next read: workers grew by megabytes an hour."""

_REFUSED_SETTINGS = frozenset({"08P01", "22023", "42501", "42704"})
_NO_SETTINGS = 3

_UNREADABLE = "the driver cannot read the DSN; characters such as @ : / ? # in names and passwords are written %40 and so on"


async def connect(
    target: PostgresTarget, role: str, *, direct: bool = False, statement_cache: bool = True
) -> asyncpg.Connection:
    """Connect for one purpose.

    Args:
        target: Where to.
        role: What for; the server shows it.
        direct: Past the pooler, if there is a way. Whether one was met is in ``target.facts(direct=direct)`` afterwards.
        statement_cache: Whether statements may stay prepared in the session; they never do behind a pooler.

    Raises:
        BackendUnavailableError: Nobody answers there, or we are not let in.
        ConfigurationError: The DSN makes no sense.
    """
    facts = target.facts(direct=direct)
    try:
        for _ in range(_CHANGES_OF_MIND):
            believed = facts.is_pooled
            connection = await _connect_somehow(target, facts, role, direct, statement_cache)
            facts.is_pooled = await _find_out(target, connection)
            if facts.is_pooled == believed or (facts.is_pooled and not statement_cache):
                break
            # It was made for what is not there (any more): a pooler, or none.
            connection.terminate()
            if not facts.is_pooled:
                facts.settings_level = 0
        else:
            facts.is_pooled = True  # now so, now so: the careful way suits both
            connection = await _connect_somehow(target, facts, role, direct, statement_cache)
    except DRIVER_ERRORS as error:
        raise translate(error, target.description) from error
    return connection


def settings_for(target: PostgresTarget, role: str) -> dict[str, str]:
    """Return what a session is told when it begins."""
    name = f"durable_async/{target.hub}".encode()[: _NAME_BYTES_MAX - len(role) - 1]
    return {
        "application_name": f"{name.decode(errors='ignore')}/{role}",
        # A hint that a crash takes back harms nobody.
        "synchronous_commit": "off" if role == "ears" else "on",
        "default_transaction_isolation": "read committed",
        "statement_timeout": str(round(target.statement_seconds * 1000)),
        "lock_timeout": str(round(target.statement_seconds * 500)),
        "idle_in_transaction_session_timeout": "5000",
        "idle_session_timeout": "0",
        "client_min_messages": "warning",
        "jit": "off",
        **_SERVER_NOTICES_LOSS,
    }


async def _connect_somehow(
    target: PostgresTarget, facts: Facts, role: str, direct: bool, statement_cache: bool
) -> asyncpg.Connection:
    level = facts.settings_level
    while True:
        try:
            connection = await _connect_once(target, facts, role, direct, statement_cache, level)
        except asyncpg.PostgresError as error:
            if sqlstate(error) not in _REFUSED_SETTINGS or level == _NO_SETTINGS:
                raise
            level += 1
        else:
            facts.settings_level = level
            return connection


def _settings_at(level: int, settings: Mapping[str, str]) -> dict[str, str]:
    """Fewer settings the higher the level: all, what every server knows, what every pooler knows, none."""
    if level == 0:
        return dict(settings)
    if level == 1:
        return {name: value for name, value in settings.items() if name not in _SERVER_NOTICES_LOSS}
    return {"application_name": settings["application_name"]} if level == 2 else {}


async def _connect_once(
    target: PostgresTarget,
    facts: Facts,
    role: str,
    direct: bool,
    statement_cache: bool,
    level: int,
) -> asyncpg.Connection:
    address = target.address(direct=direct)
    dsn, given = for_driver(address)
    settings = _settings_at(level, settings_for(target, role))
    connection: asyncpg.Connection | None = None
    try:
        connect_anywhere: Any = asyncpg.connect  # its annotations are narrower than it is
        connection = await connect_anywhere(
            dsn,
            timeout=target.connect_seconds,
            statement_cache_size=100 if statement_cache and not facts.is_pooled else 0,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
            # What the DSN says itself wins.
            server_settings={name: value for name, value in settings.items() if name not in given},
            target_session_attrs=_session_attributes(address, given),
        )
    except OSError:
        raise  # a certificate that is not trusted is a ValueError, too
    except ValueError:
        pass  # whose words may quote parts of a password
    if connection is None:
        raise ConfigurationError(f"{target.description}: {_UNREADABLE}")
    _tune(connection)
    return connection


def _session_attributes(address: str, given: Mapping[str, str]) -> str | None:
    """Of several hosts the one that can write, unless the DSN says otherwise."""
    chosen = "target_session_attrs" in given or not has_several_hosts(address)
    return None if chosen else "read-write"


async def _find_out(target: PostgresTarget, connection: asyncpg.Connection) -> bool:
    """Tell whether somebody in between hands the server's sessions around."""
    own = int(connection.get_server_pid())
    limit = asyncio.get_running_loop().call_later(target.connect_seconds, connection.terminate)
    try:
        # By the simple protocol, which prepares nothing in a session that may be shared.
        tag = await connection.execute(f"select where pg_backend_pid() = {own}", timeout=None)
    except BaseException:
        connection.terminate()
        raise
    finally:
        limit.cancel()
    return not str(tag).endswith(" 1")


def _tune(connection: asyncpg.Connection) -> None:
    transport: Any = getattr(connection, "_transport", None)
    if hasattr(transport, "max_size"):  # that of asyncio's own loop, without TLS
        transport.max_size = _READ_BYTES
    found = transport.get_extra_info("socket") if transport is not None else None
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _SOCKET_OPTIONS:
        option: int | None = getattr(socket, name, None)
        if option is not None:
            found.setsockopt(socket.IPPROTO_TCP, option, value)
