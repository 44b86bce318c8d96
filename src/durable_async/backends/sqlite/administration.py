"""The schema of a file, for whoever looks after it. There is nothing to apply: a file is upgraded when it is opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from durable_async.backends._migrations import Migration, load_migrations
from durable_async.errors import ConfigurationError

from .connection import DATA_ERRORS, translate
from .core import PACKAGE, schema_version
from .transaction import STATEMENTS


def migrations() -> tuple[Migration, ...]:
    """Return the steps of the schema."""
    return load_migrations(PACKAGE)


def version_of(path: str | os.PathLike[str]) -> int:
    """Return the schema version of a file, which is only read; 0 if there is no schema in it.

    Raises:
        BackendError: The file is damaged, or belongs to another program.
        ConfigurationError: There is no such file.
    """
    with _reading(path) as connection:
        return schema_version(connection)


def hubs_of(path: str | os.PathLike[str]) -> list[str]:
    """Return the names of the hubs in a file, in order; it is only read.

    Raises:
        BackendError: The file is damaged, or belongs to another program.
        ConfigurationError: There is no such file.
    """
    with _reading(path) as connection:
        if not schema_version(connection):
            return []
        return [name for (name,) in connection.execute(STATEMENTS["hub_names"])]


@contextmanager
def _reading(path: str | os.PathLike[str]) -> Generator[sqlite3.Connection]:
    if not os.path.isfile(path):
        raise ConfigurationError(f"there is no file {os.fspath(path)!r}")
    file = Path(path).resolve()
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            yield connection
    except DATA_ERRORS as error:
        raise translate(error, f"sqlite {file}") from error
