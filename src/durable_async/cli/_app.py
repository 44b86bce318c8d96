"""The commands and their options; what they do is elsewhere."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console

from durable_async import __version__

from . import _inspect, _migrate, _unpark
from ._demo import DemoOptions, run_demo
from ._demo_files import URL_VARIABLE
from ._demo_options import DemoCommand, demo_place
from ._demo_worker import run_worker

app = typer.Typer(
    name="durable-async",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Durable execution for async Python: watch it survive, and look into a task hub.",
)

app.add_typer(_migrate.app, name="migrate")

EXIT_INTERRUPTED = 130

Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="DURABLE_ASYNC_URL",
        help="The store: sqlite:///file.db, sqlite:////absolute/file.db, postgresql://user@host/database.",
    ),
]
Hub = Annotated[str, typer.Option("--hub", help="The task hub in the store.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="For programs: one JSON document a line, in place of tables.")
]


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"durable-async {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """Stand above the commands."""


@app.command(cls=DemoCommand)
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
    options = DemoOptions(target=target, crash=crash, resume=resume)
    console = Console()
    try:
        with demo_place(db, postgres, console) as place:
            status = anyio.run(run_demo, place, options, console)
    except KeyboardInterrupt:
        console.print("Interrupted. The same command goes on from here.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    raise typer.Exit(status)


@app.command("demo-worker", hidden=True)
def demo_worker(
    url: Annotated[str, typer.Option(envvar=URL_VARIABLE)],
    ledger: Annotated[Path, typer.Option()],
    instance: Annotated[str, typer.Option()],
    hang_at: Annotated[int | None, typer.Option()] = None,
) -> None:
    """Be one of the demo's worker processes."""
    anyio.run(run_worker, url, ledger, instance, hang_at)


@app.command("list")
def list_instances(
    url: Url,
    hub: Hub = "default",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    parked: Annotated[bool, typer.Option("--parked", help="Only those that are parked.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the orchestrations of a hub, oldest first."""
    look = partial(_inspect.list_instances, parked=parked, as_json=as_json)
    anyio.run(look, url, hub, limit, Console())


@app.command("entities")
def list_entities(
    url: Url,
    hub: Hub = "default",
    name: Annotated[str | None, typer.Option(help="Only those of this name.")] = None,
    key_prefix: Annotated[str, typer.Option(help="Only those whose keys begin so.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the entities of a hub, in order of their ids, with their states."""
    look = partial(_inspect.list_entities, as_json=as_json)
    anyio.run(look, url, hub, name, key_prefix, limit, Console())


@app.command()
def show(
    instance: Annotated[
        str, typer.Argument(help="The id of an orchestration, or of an entity: @name@key.")
    ],
    url: Url,
    hub: Hub = "default",
    limit: Annotated[int, typer.Option(min=1, help="How many events at most.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Show an orchestration and its history; or an entity, who has it locked, and who waits for that."""
    look = partial(_inspect.show_instance, as_json=as_json)
    anyio.run(look, url, hub, instance, limit, Console())


@app.command()
def stats(url: Url, hub: Hub = "default", as_json: AsJson = False) -> None:
    """Count what a hub holds."""
    anyio.run(partial(_inspect.show_statistics, as_json=as_json), url, hub, Console())


@app.command()
def unpark(
    url: Url,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...", help="Ids of orchestrations, and of entities: @name@key."
        ),
    ] = None,
    hub: Hub = "default",
    everything: Annotated[
        bool, typer.Option("--all", help="All that are parked, in place of ids.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say which they are, and why they are parked.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put back what was parked, once the cause is gone: it is ready at once, with no attempts counted.

    Exit status: 0 all are put back, 1 some are not parked (any more), or not there, 2 refused.
    """
    put_back = partial(_unpark.unpark, everything=everything, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(anyio.run(put_back, url, hub, ids or [], Console()))
