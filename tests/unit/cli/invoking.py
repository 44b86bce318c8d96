"""Runs commands as a shell would, in this process: what goes to which stream, and with which status it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from typer.testing import CliRunner

from durable_async.cli._app import app
from durable_async.cli._exits import status_of
from durable_async.errors import DurableError


class Said(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return [" ".join(line.split()) for line in self.out.splitlines()]

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def run(
    *arguments: str, input: str | None = None, env: Mapping[str, str | None] | None = None
) -> Said:
    """Run a command; what durable_async raises on purpose is a line and a status, as at a shell."""
    runner = CliRunner(env={"COLUMNS": "160", **(env or {})})
    result = runner.invoke(app, list(arguments), input=input)
    error = result.exception
    if isinstance(error, DurableError):
        return Said(status_of([error]), result.stdout, f"{result.stderr}{error}\n")
    if error is not None and not isinstance(error, SystemExit):
        raise error
    return Said(result.exit_code, result.stdout, result.stderr)
