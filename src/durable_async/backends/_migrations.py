"""Numbered steps of a schema: found in files, applied in order, printable for whoever applies them by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from durable_async.errors import ConfigurationError, SchemaVersionError

from ._sqlfile import sql_files

_FILE = re.compile(r"(\d{4})_(\w+)\.sql$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step from schema version ``number - 1`` to ``number``."""

    number: int
    name: str
    sql: str


def load_migrations(package: str, folder: str = "sql/schema") -> tuple[Migration, ...]:
    """Return a package's migrations in order.

    Raises:
        ConfigurationError: A file is misnamed, or the numbers do not run from 1 without gaps.
    """
    migrations: list[Migration] = []
    for file in sql_files(package, folder):
        match = _FILE.match(file.name)
        if match is None or int(match[1]) != len(migrations) + 1:
            raise ConfigurationError(
                f"{file.name}: expected a migration {len(migrations) + 1:04}_name.sql"
            )
        text = file.read_text(encoding="utf-8")
        migrations.append(Migration(number=int(match[1]), name=match[2], sql=text))
    return tuple(migrations)


def pending(migrations: Sequence[Migration], found: int) -> tuple[Migration, ...]:
    """Return what a store at schema version ``found`` still needs.

    Raises:
        SchemaVersionError: The store is newer than this release.
    """
    if found > len(migrations):
        raise SchemaVersionError(found, len(migrations))
    return tuple(migrations[found:])


def render(migrations: Sequence[Migration]) -> str:
    """Return migrations as one printable script, each under its number and name."""
    return "\n".join(
        f"-- migration {step.number:04} {step.name}\n\n{step.sql.strip()}\n" for step in migrations
    )
