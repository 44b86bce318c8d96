"""Numbered steps of a schema: found in files, applied in order, printable for whoever applies them by hand.

A step after which earlier releases still work says so in a line of its own, ``-- serves: 7``: the oldest schema version that a release may
know. The store keeps that number, so that an old release can tell a newer schema that it can live with from one that it cannot.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from durable_async.errors import ConfigurationError, SchemaVersionError

from ._sqlfile import sql_files

_FILE = re.compile(r"(\d{4})_(\w+)\.sql$")
_SERVES = re.compile(r"^-- serves: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step from schema version ``number - 1`` to ``number``.

    Attributes:
        serves: Releases that know this version or a later one work on the schema after the step.
    """

    number: int
    name: str
    sql: str
    serves: int


def load_migrations(package: str, folder: str = "sql/schema") -> tuple[Migration, ...]:
    """Return a package's migrations in order.

    Raises:
        ConfigurationError: A file is misnamed, the numbers do not run from 1 without gaps, or a step serves releases that are yet to come.
    """
    migrations: list[Migration] = []
    for file in sql_files(package, folder):
        match = _FILE.match(file.name)
        if match is None or int(match[1]) != len(migrations) + 1:
            raise ConfigurationError(
                f"{file.name}: expected a migration {len(migrations) + 1:04}_name.sql"
            )
        text = file.read_text(encoding="utf-8")
        migrations.append(_migration(int(match[1]), match[2], text))
    return tuple(migrations)


def _migration(number: int, name: str, text: str) -> Migration:
    declared = _SERVES.search(text)
    serves = number if declared is None else int(declared[1])
    if not 1 <= serves <= number:
        raise ConfigurationError(f"migration {number:04}_{name} cannot serve releases of {serves}")
    return Migration(number=number, name=name, sql=text, serves=serves)


def pending(
    migrations: Sequence[Migration], found: int, serves: int | None = None
) -> tuple[Migration, ...]:
    """Return what a store at schema version ``found`` still needs; nothing if it is newer and serves this release all the same.

    Raises:
        SchemaVersionError: The store is too new for this release.
    """
    known = len(migrations)
    if found > known and (serves is None or serves > known):
        raise SchemaVersionError(found, known)
    return tuple(migrations[found:])


def render(migrations: Sequence[Migration]) -> str:
    """Return migrations as one printable script, each under its number and name."""
    return "\n".join(
        f"-- migration {step.number:04} {step.name}\n\n{step.sql.strip()}\n" for step in migrations
    )
