"""Whether a server can keep promises: what is refused when a hub is opened, and what an administrator is told."""

from __future__ import annotations

import logging
from typing import Any

from durable_async.errors import ConfigurationError

from .address import PostgresTarget, unprotected_hosts
from .statements import statements_in

_log = logging.getLogger("durable_async")

_SERVER_VERSION_MIN = 140_000

_AGE_MAX = 1_000_000_000
"""So many transactions since all rows were frozen are half of what there may be: the server is years behind with it, or prevented."""

_TOO_OLD = (
    "of 2,147 million at most, since all rows of this database were frozen: vacuum it, and look what keeps autovacuum from that, such as"
    " a transaction or a replication slot that was forgotten"
)
_OFF_BY_DEFAULT = (
    "synchronous_commit is off by default for this role or database: where nobody asks for it, as behind some poolers and in a pool of"
    " yours, the last moments before a crash are lost although they were acknowledged"
)

_said: set[tuple[str, str]] = set()
"""The warnings of this process, so that each is given once for each place."""


async def inspect(connection: Any, target: PostgresTarget) -> list[str]:
    """Look whether the server can keep promises, and return what an administrator should know.

    Raises:
        ConfigurationError: It cannot be used.
    """
    row = await connection.fetchrow(statements_in(target.schema)["settings"], target.schema)
    refusal = _refusal(row)
    if refusal is not None:
        raise ConfigurationError(f"{target.place}: {refusal}")
    return [
        warning
        for warning, applies in [*_of_the_server(row), *_of_the_database(row), *_of_the_way(target)]
        if applies
    ]


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


def _of_the_server(row: Any) -> list[tuple[str, bool]]:
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
        (
            "synchronous_commit is local although there are synchronous standbys: a failover to one may lose what was acknowledged",
            row["synchronous_commit"] == "local" and row["has_synchronous_standbys"],
        ),
        ("transactions are read-only by default", row["read_only"] == "on"),
    ]


def _of_the_database(row: Any) -> list[tuple[str, bool]]:
    return [
        (_OFF_BY_DEFAULT, row["default_synchronous_commit"] == "off"),
        (
            f"unlogged tables, which a crash of the server empties: {row['unlogged']}",
            row["unlogged"] is not None,
        ),
        (
            f"autovacuum is off for {row['unvacuumed']}: they will grow and slow down",
            row["unvacuumed"] is not None,
        ),
        (f"{row['age']:,} transactions, {_TOO_OLD}", row["age"] > _AGE_MAX),
    ]


def _of_the_way(target: PostgresTarget) -> list[tuple[str, bool]]:
    hosts = [host for dsn in target.addresses for host in unprotected_hosts(dsn)]
    return [
        (
            f"sslmode is not verify-full: whoever is between here and {', '.join(dict.fromkeys(hosts))} can read and change everything",
            bool(hosts),
        )
    ]
