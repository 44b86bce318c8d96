"""The schema: which version is there, how it is brought up to date, and who may use it."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import asyncpg

from durable_async.backends._migrations import Migration, pending, render
from durable_async.errors import BackendUnavailableError, SchemaVersionError

from .statements import migrations_in, statements_in

_log = logging.getLogger("durable_async")


def script(schema: str, found: int = 0) -> str:
    """Return what brings a schema from a version to this release's, as one script to read or to run by hand."""
    statements = statements_in(schema)
    steps = [f"{statements['create_schema']};\n"] if found == 0 else []
    for step in pending(migrations_in(schema), found):
        steps += [
            "begin;\nset local lock_timeout = '2s';\n",
            render([step]),
            statements["save_schema_version_literally"].replace("$1", str(step.number)) + ";",
            "commit;\n",
        ]
    return "\n".join(steps)


def grants(schema: str, role: str) -> str:
    """Return what lets a role run workers and clients, and nothing more: no table of the schema is its own."""
    quoted = '"' + role.replace('"', '""') + '"'
    return statements_in(schema)["grants"].replace("{role}", quoted) + "\n"


async def version_of(connection: Any, schema: str) -> int:
    """Return the version of a schema; 0 if it is not there."""
    statements = statements_in(schema)
    if not await connection.fetchval(statements["has_meta"], f'"{schema}".meta'):
        return 0
    return int(await connection.fetchval(statements["schema_version"]) or 0)


async def upgrade(connection: Any, schema: str) -> list[Migration]:
    """Apply what is missing, each step in a transaction of its own; returns what was applied. One process at a time.

    Raises:
        SchemaVersionError: The schema is newer than this release.
    """
    statements = statements_in(schema)
    applied: list[Migration] = []
    while True:
        async with connection.transaction():
            await connection.execute(statements["lock_schema"], _lock_key(schema))
            steps = pending(migrations_in(schema), await version_of(connection, schema))
            if not steps:
                return applied
            await connection.execute(statements["hurry"])
            if steps[0].number == 1:
                await connection.execute(statements["create_schema"])
            await connection.execute(steps[0].sql)
            await connection.execute(statements["save_schema_version"], steps[0].number)
            applied.append(steps[0])


async def prepare(connection: Any, schema: str, *, may_upgrade: bool) -> None:
    """See to it that the schema is this release's.

    Raises:
        SchemaVersionError: It is newer; or it is older, and was not or could not be upgraded.
    """
    found = await version_of(connection, schema)
    wanted = len(migrations_in(schema))
    if not pending(migrations_in(schema), found):
        return
    if not may_upgrade:
        raise SchemaVersionError(found, wanted)
    try:
        applied = await upgrade(connection, schema)
    except asyncpg.InsufficientPrivilegeError as error:
        raise SchemaVersionError(found, wanted) from error
    except asyncpg.LockNotAvailableError as error:
        raise BackendUnavailableError(
            f"the schema {schema!r} is in use, and its upgrade did not get its locks within 2 s; try again"
        ) from error
    if applied:
        _log.info("upgraded the schema %s to version %d", schema, applied[-1].number)


async def find_hub(connection: Any, schema: str, name: str) -> int:
    """Return a hub's number; it is created if it is new."""
    statements = statements_in(schema)
    found = await connection.fetchval(statements["find_hub"], name)
    if found is None:
        await connection.execute(statements["create_hub"], name)
        found = await connection.fetchval(statements["find_hub"], name)
    return int(found)


def _lock_key(schema: str) -> int:
    digest = hashlib.blake2b(f"durable_async schema {schema}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
