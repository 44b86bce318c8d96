"""The command ``durable-async``; needs the extra ``cli``."""

from __future__ import annotations

import importlib
import io
import sys

from durable_async.errors import DurableError, MissingExtraError


def main() -> None:
    """Run the command line; errors that durable_async raises on purpose become one line and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 gets question marks
    try:
        _check_extra()
        from ._app import app

        app()
    except DurableError as error:
        print(f"durable-async: {error}", file=sys.stderr)
        sys.exit(2)


def _check_extra() -> None:
    for package in ("typer", "rich"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingExtraError(package, "cli", "the command durable-async") from error
