"""worker: the user's program, run until it is told to stop."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import anyio
import typer

from durable_async import ConfigurationError, Registry, TaskHub

from ._existing import NOWHERE, program_of
from ._logs import Level, LogLevel, set_up
from ._options import Hub, Url, Where
from ._reload import keep_fresh
from ._serving import serve
from ._terminal import say

NAMES_SHOWN = 12

Spec = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:HUB",
        envvar="DURABLE_ASYNC_APP",
        help="A TaskHub of TaskHub.at(...) in a module, such as shop.main:hub; or a Registry, or a module with orchestrators, and --url.",
    ),
]


def worker(
    spec: Spec,
    reload: Annotated[
        bool,
        typer.Option("--reload", help="Begin anew when a Python file below this folder changes."),
    ] = False,
    log_level: Level = LogLevel.INFO,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Run a worker until Ctrl-C or SIGTERM, which drains it: running activities may end. A second one stops it at once.

    Exit status: 0 drained, 2 refused, 3 the store does not answer, 130 and 143 stopped at once.
    """
    if reload:
        arguments = ["worker", spec, "--log-level", log_level.value]
        status = anyio.run(keep_fresh, arguments, Path.cwd(), environment_of(url, hub))
        raise typer.Exit(status)
    described, registry = hub_to_run(Where(spec, url, hub))
    set_up(log_level)
    anyio.run(
        lambda: serve(described, registry=registry, on_started=lambda: announce(spec, described))
    )
    say("Drained.")


def environment_of(url: str | None, hub: str | None) -> dict[str, str]:
    """Return options that a child process gets, as variables: a URL may hold a password, and other users see arguments."""
    options = {"DURABLE_ASYNC_URL": url, "DURABLE_ASYNC_HUB": hub}
    return {name: value for name, value in options.items() if value is not None}


def hub_to_run(where: Where, default_url: str | None = None) -> tuple[TaskHub, Registry]:
    """Return the hub that a program is to work on, not open yet, and what its worker runs.

    Args:
        where: What the options say.
        default_url: Where the hub is if nothing says it.

    Raises:
        ConfigurationError: The program is not there, nothing is registered, or nothing says where the hub is.
    """
    program = program_of(where)
    assert program is not None, "worker and dev take it as an argument"
    registry = program.registry
    if registry.names is not None and not registry.names and not registry.activities:
        raise ConfigurationError(
            f"{program.spec!r} registers nothing: no orchestrator, activity or entity; does the module import those that have them?"
        )
    if program.hub is not None:
        return program.hub, registry
    url = where.url or default_url
    if url is None:
        raise ConfigurationError(f"{program.spec!r} is no TaskHub; {NOWHERE.partition(',')[0]}")
    return TaskHub.at(url, hub=where.hub, registry=registry), registry


def announce(spec: str, hub: TaskHub) -> None:
    """Say what runs, and where."""
    say(f"{spec} works on {hub.backend.description}", "bold")
    registry = hub.registry
    for what, names in (
        ("orchestrators", registry.orchestrators),
        ("activities", registry.activities),
        ("entities", registry.entities),
    ):
        if names:
            say(f"  {what}: {_listed(names)}")
    say(f"Process {os.getpid()}. Ctrl-C drains and stops it.", "dim")
    sys.stdout.flush()


def _listed(names: Collection[str]) -> str:
    shown = sorted(names)[:NAMES_SHOWN]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
