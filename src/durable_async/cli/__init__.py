"""The command ``durable-async``; needs the extra ``cli``."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

from durable_async.errors import DurableError, MissingExtraError

from ._exits import INTERRUPTED, status_of


def main() -> None:
    """Run the command line; errors that durable_async raises on purpose become a line each, and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 gets question marks
    try:
        _check_extra()
        from ._app import app

        app()
    except KeyboardInterrupt:  # while what a command is made of is imported
        sys.exit(INTERRUPTED)
    except DurableError as error:
        _refuse([error])
    except BaseExceptionGroup as group:
        errors = list(_leaves(group))
        ours = [error for error in errors if isinstance(error, DurableError)]
        if len(ours) < len(errors):
            raise
        _refuse(ours)


def _refuse(errors: Sequence[DurableError]) -> NoReturn:
    for text in dict.fromkeys(map(str, errors)):
        print(f"durable-async: {_plain(text)}", file=sys.stderr)
    sys.exit(status_of(errors))


def _plain(text: str) -> str:
    """Return what a terminal does not act on; without the package that shows everything else, too."""
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text
    )


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Go through the errors that a group is made of, and the groups in it."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


def _check_extra() -> None:
    for package in ("typer", "rich"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingExtraError(package, "cli", "the command durable-async") from error
