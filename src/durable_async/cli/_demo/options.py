"""Where the demo takes place, by its options."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from typer.core import TyperCommand

from durable_async import ConfigurationError

from .files import DemoPlace, default_folder, in_file, in_postgres

POSTGRES = "--postgres"
ITS_OWN = "its own"
"""Stands for the URL where none is given."""


class DemoCommand(TyperCommand):
    """A command whose option ``--postgres`` takes a URL, or nothing."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give the option a value where it has none."""
        filled: list[str] = []
        for word, after in pairwise([*args, "--"]):
            filled.append(word)
            if word == POSTGRES and after.startswith("-"):
                filled.append(ITS_OWN)
        return super().parse_args(ctx, filled)


@contextmanager
def demo_place(
    database: Path | None, postgres: str | None, console: Console
) -> Generator[DemoPlace, None, None]:
    """Return where the demo takes place, for the length of a block.

    Args:
        database: A SQLite file, if one was named.
        postgres: The URL of a database, or `ITS_OWN`.
        console: Shows that a server is being started.

    Raises:
        ConfigurationError: Both were given, or there is no server here.
    """
    if database is not None and postgres is not None:
        raise ConfigurationError("pass --db FILE or --postgres, not both")
    if postgres is None:
        yield in_file(database or default_folder() / "demo.db")
    elif postgres != ITS_OWN:
        yield in_postgres(postgres, default_folder())
    else:
        from .server import own_server

        with own_server(default_folder() / "postgres", console) as place:
            yield place
