"""Whether a server can keep promises: what is refused when a hub is opened, and what an administrator is told."""

from __future__ import annotations

import logging
from typing import Any

from durable_async.errors import ConfigurationError

from .address import PostgresTarget

_log = logging.getLogger("durable_async")

_SERVER_VERSION_MIN = 140_000

_SETTINGS = (
    "select current_setting('server_version_num')::int as version, pg_is_in_recovery() as is_standby,"
    " current_setting('server_encoding') as encoding, current_setting('fsync') as fsync,"
    " current_setting('full_page_writes') as full_page_writes, current_setting('autovacuum') as autovacuum,"
    " current_setting('synchronous_commit') as synchronous_commit,"
    " current_setting('transaction_isolation') as isolation,"
    " current_setting('transaction_read_only') as read_only"
)

_said: set[tuple[str, str]] = set()
"""The warnings of this process, so that each is given once for each place."""


async def inspect(connection: Any, target: PostgresTarget) -> list[str]:
    """Look whether the server can keep promises, and return what an administrator should know.

    Raises:
        ConfigurationError: It cannot be used.
    """
    row = await connection.fetchrow(_SETTINGS)
    refusal = _refusal(row)
    if refusal is not None:
        raise ConfigurationError(f"{target.place}: {refusal}")
    return [warning for warning, applies in _warnings(row) if applies]


def warn(target: PostgresTarget, warnings: list[str]) -> None:
    """Log warnings, each once in this process for each place."""
    for warning in warnings:
        if (target.place, warning) not in _said:
            _said.add((target.place, warning))
            _log.warning("%s: %s", target.place, warning)


def _refusal(row: Any) -> str | None:
    if row["version"] < _SERVER_VERSION_MIN:
        return f"Postgres {row['version'] // 10_000} is too old: durable_async needs 14 or newer"
    if row["is_standby"]:
        return (
            "this server is a standby, and can only be read: connect to the primary, or give all hosts in the DSN"
            " (postgresql://one,two/database), of which the one that can be written is chosen"
        )
    if row["encoding"] != "UTF8":
        return f"the database's encoding is {row['encoding']}, it must be UTF8"
    if row["isolation"] != "read committed":
        # A fetch that waited for a lock would not see the letter that came meanwhile, and take the mark off that tells of it.
        return (
            f"transactions are {row['isolation']} here, by the DSN or by default, and must be read committed, or letters are lost:"
            " set default_transaction_isolation for the role or the database"
        )
    return None


def _warnings(row: Any) -> list[tuple[str, bool]]:
    return [
        (
            "fsync is off: a crash of the machine may lose or corrupt everything",
            row["fsync"] != "on",
        ),
        (
            "full_page_writes is off: a crash of the machine may corrupt everything",
            row["full_page_writes"] != "on",
        ),
        ("autovacuum is off: tables will grow and slow down", row["autovacuum"] != "on"),
        (
            "synchronous_commit is off: the last moments before a crash are lost although they were acknowledged",
            row["synchronous_commit"] == "off",
        ),
        ("transactions are read-only by default", row["read_only"] == "on"),
    ]
