"""The commands, each in a file of its topic."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from durable_async import __version__

from . import (
    _dev,
    _doctor,
    _entities,
    _explain,
    _looking,
    _migrate,
    _purge,
    _retention,
    _schedules,
    _starting,
    _steering,
    _unpark,
    _worker,
    _workers,
)
from ._demo import command as _demo
from ._demo.options import DemoCommand


class _Commands(TyperGroup):
    """The commands; who writes an id that looks like an option is told how to."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            # The class is of whichever click typer brings; only that of an unknown option knows others that are possible.
            option = str(getattr(error, "option_name", ""))
            if hasattr(error, "possibilities") and not option.startswith("--"):
                advice = "an id that begins with - stands behind --, as in: show -- -7"
                error.message = f"{error}; {advice}"  # type: ignore[attr-defined]
            raise


app = typer.Typer(
    cls=_Commands,
    name="durable-async",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Durable execution for async Python: run it, look into it, and look after it.",
)


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


RUN, START, LOOK, STEER, KEEP = "Run", "Start", "Look", "Steer", "Look after"

app.command("worker", rich_help_panel=RUN)(_worker.worker)
app.command("dev", rich_help_panel=RUN)(_dev.dev)
app.command("demo", cls=DemoCommand, rich_help_panel=RUN)(_demo.demo)
app.command("demo-worker", hidden=True)(_demo.demo_worker)

app.command("start", rich_help_panel=START)(_starting.start)
app.command("wait", rich_help_panel=START)(_starting.wait)
app.command("restart", rich_help_panel=START)(_starting.restart)

app.command("list", rich_help_panel=LOOK)(_looking.list_instances)
app.command("show", rich_help_panel=LOOK)(_looking.show)
app.command("explain", rich_help_panel=LOOK)(_explain.explain)
app.command("entities", rich_help_panel=LOOK)(_entities.list_entities)
app.command("workers", rich_help_panel=LOOK)(_workers.workers)
app.command("stats", rich_help_panel=LOOK)(_looking.stats)

app.command("raise", rich_help_panel=STEER)(_steering.raise_event)
app.command("signal", rich_help_panel=STEER)(_entities.signal)
app.command("call", rich_help_panel=STEER)(_entities.call)
app.command("suspend", rich_help_panel=STEER)(_steering.suspend)
app.command("resume", rich_help_panel=STEER)(_steering.resume)
app.command("terminate", rich_help_panel=STEER)(_steering.terminate)
app.command("rewind", rich_help_panel=STEER)(_steering.rewind)

app.add_typer(_schedules.app, name="schedules", rich_help_panel=STEER)

app.command("doctor", rich_help_panel=KEEP)(_doctor.doctor)
app.command("unpark", rich_help_panel=KEEP)(_unpark.unpark)
app.command("retention", rich_help_panel=KEEP)(_retention.retention)
app.command("purge", rich_help_panel=KEEP)(_purge.purge)
app.add_typer(_migrate.app, name="migrate", rich_help_panel=KEEP)
