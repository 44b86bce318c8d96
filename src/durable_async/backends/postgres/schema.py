"""The schema: which version is there, how it is brought up to date, and who may use it."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import asyncpg

from durable_async.backends._migrations import Migration, pending, render
from durable_async.errors import BackendUnavailableError, SchemaVersionError

from .statements import migrations_in, statements_in

_log = logging.getLogger("durable_async")

_VIEWS_TO_LOOK = (
    "v_entities",
    "v_hubs",
    "v_instances",
    "v_locks",
    "v_queue",
    "v_waits",
    "v_workers",
)
_FUNCTION = re.compile(r'^create function "\w+"\.(\w+)\(([^)]*)\)', re.MULTILINE)
_PARAMETER = re.compile(r"\$(\d)")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a schema stands.

    Attributes:
        version: Of the last step that was applied; 0 if there is no schema.
        serves: Releases that know this version or a later one may use it.
    """

    version: int = 0
    serves: int = 0


def script(schema: str, found: int = 0) -> str:
    """Return what brings a schema from a version to this release's, as one script to read or to run by hand."""
    statements = statements_in(schema)
    steps = [] if found else [f"{statements['create_schema']};\n"]
    for step in pending(migrations_in(schema), found):
        first = "first_step_in_script" if step.number == 1 else "next_step_in_script"
        steps += [
            "begin;",
            _literal(statements[first], _lock_key(schema), step.number - 1, step.serves),
            f"{statements['hurry']};\n",
            render([step]),
            _literal(statements["save_standing"], step.number, step.serves),
            "commit;\n",
        ]
    return "\n".join(steps)


def grants(schema: str, role: str, *, to_look: bool = False) -> str:
    """Return what lets a role run workers and clients, or only look; no table of the schema becomes its own."""
    name = "grants_to_look" if to_look else "grants"
    views = ", ".join(f'"{schema}".{view}' for view in _VIEWS_TO_LOOK)
    quoted = '"' + role.replace('"', '""') + '"'
    return statements_in(schema)[name].replace("{views}", views).replace("{role}", quoted) + ";\n"


async def standing_of(connection: Any, schema: str) -> Standing:
    """Return where a schema stands."""
    statements = statements_in(schema)
    if not await connection.fetchval(statements["has_meta"], schema):
        return Standing()
    row = await connection.fetchrow(statements["standing"])
    return Standing(row["version"], row["serves"])


def missing(schema: str, standing: Standing) -> tuple[Migration, ...]:
    """Return the steps that a schema still needs.

    Raises:
        SchemaVersionError: It is too new for this release.
    """
    return pending(migrations_in(schema), standing.version, standing.serves)


async def upgrade(connection: Any, schema: str) -> list[Migration]:
    """Apply what is missing, each step in a transaction of its own; returns what was applied. One process at a time.

    Raises:
        BackendUnavailableError: The schema is in use or another process upgrades it. What was applied stays; try again.
        SchemaVersionError: It is too new for this release, or of its number and another one; or the next step would break workers of an
            earlier one that still run.
    """
    applied: list[Migration] = []
    try:
        while (step := await _apply_next(connection, schema)) is not None:
            applied.append(step)
        found = await standing_of(connection, schema)
        await _check_functions(connection, schema, found.version, len(migrations_in(schema)))
    except asyncpg.LockNotAvailableError as error:
        raise BackendUnavailableError(
            f"the schema {schema!r} is in use or being upgraded by another process, and its locks were not to be had; try again"
        ) from error
    return applied


async def _apply_next(connection: Any, schema: str) -> Migration | None:
    statements = statements_in(schema)
    async with connection.transaction():
        await connection.execute(statements["lock_schema"], _lock_key(schema))
        standing = await standing_of(connection, schema)
        steps = missing(schema, standing)
        if not steps:
            return None
        step = steps[0]
        if step.number == 1:
            await connection.execute(statements["create_schema"])
        else:
            await _spare_old_workers(connection, schema, standing, step)
        await connection.execute(statements["hurry"])
        await connection.execute(step.sql)
        await connection.execute(statements["save_standing"], step.number, step.serves)
        return step


async def _spare_old_workers(
    connection: Any, schema: str, standing: Standing, step: Migration
) -> None:
    oldest = await connection.fetchval(statements_in(schema)["oldest_worker"])
    if oldest is not None and oldest < step.serves:
        raise SchemaVersionError(
            standing.version,
            len(migrations_in(schema)),
            f"workers run that know version {oldest}, and step {step.number:04} {step.name} would break them: stop them first",
        )


async def prepare(connection: Any, schema: str, *, may_upgrade: bool) -> None:
    """See to it that the schema is this release's, or a newer one that serves it.

    Raises:
        BackendUnavailableError: The schema is in use, and was not upgraded.
        SchemaVersionError: It is too new; or it is older, and was not or could not be upgraded.
    """
    found = await standing_of(connection, schema)
    wanted = len(migrations_in(schema))
    if found.version > wanted:
        missing(schema, found)
        _log.info(
            "the schema %s has version %d, which serves this release too", schema, found.version
        )
    if found.version >= wanted:
        await _check_functions(connection, schema, found.version, wanted)
        return
    if not may_upgrade:
        raise SchemaVersionError(found.version, wanted)
    try:
        applied = await upgrade(connection, schema)
    except asyncpg.InsufficientPrivilegeError as error:
        raise SchemaVersionError(found.version, wanted) from error
    if applied:
        _log.info("upgraded the schema %s to version %d", schema, applied[-1].number)


async def _check_functions(connection: Any, schema: str, found: int, wanted: int) -> None:
    """Find out now, and not in the midst of work, that a schema of the right number is another one than this release's."""
    lack = await lack_of(connection, schema)
    if lack is not None:
        raise SchemaVersionError(found, wanted, f"but {lack}")


async def lack_of(connection: Any, schema: str) -> str | None:
    """Return which functions a schema lacks whose number is this release's or a later one, in words; ``None`` if it has all of them."""
    functions = _functions_in(migrations_in(schema))
    rows = await connection.fetch(
        statements_in(schema)["missing_functions"],
        schema,
        [name for name, _ in functions],
        [arguments for _, arguments in functions],
    )
    if not rows:
        return None
    missed = ", ".join(row["name"] for row in rows)
    return (
        f"it lacks {missed} as this release calls them, so it was made by a state of durable_async between two releases: use a new"
        f" schema (?schema=...), or drop the schema {schema!r} if nothing in it is needed"
    )


@cache
def _functions_in(steps: tuple[Migration, ...]) -> Sequence[tuple[str, int]]:
    """Return the functions of this release's schema, with how many arguments each takes."""
    script = "\n".join(step.sql for step in steps)
    return [(found[1], _count(found[2])) for found in _FUNCTION.finditer(script)]


def _count(arguments: str) -> int:
    return sum(not one.lstrip().startswith("out ") for one in arguments.split(",") if one.strip())


async def find_hub(connection: Any, schema: str, name: str) -> int:
    """Return a hub's number; it is created if it is new."""
    statements = statements_in(schema)
    found = await connection.fetchval(statements["find_hub"], name)
    if found is None:
        await connection.execute(statements["create_hub"], name)
        found = await connection.fetchval(statements["find_hub"], name)
    return int(found)


def _literal(statement: str, *numbers: int) -> str:
    return _PARAMETER.sub(lambda found: str(numbers[int(found[1]) - 1]), statement) + ";"


def _lock_key(schema: str) -> int:
    digest = hashlib.blake2b(f"durable_async schema {schema}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
