"""Bringing a store's schema up to date: print, apply, check, grants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import anyio
import typer

from durable_async import ConfigurationError
from durable_async.backends._migrations import pending, render

from ._exits import NO_STORE, NOT_DONE
from ._terminal import say

app = typer.Typer(
    no_args_is_help=True,
    help="Bring the schema of a store up to date, or say what is missing.",
)

Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="DURABLE_ASYNC_URL",
        help="The store: postgresql://user@host/database?schema=name.",
    ),
]
MaybeUrl = Annotated[
    str | None,
    typer.Option("--url", help="A store: print only what it lacks. By default everything."),
]
Schema = Annotated[
    str | None,
    typer.Option(
        "--schema", help="The schema's name, if no URL says it; durable_async by default."
    ),
]


@app.command("print")
def print_script(url: MaybeUrl = None, schema: Schema = None) -> None:
    """Print the SQL that brings a store up to date, for psql; nothing is changed."""
    typer.echo(anyio.run(_script, url, schema), nl=False)


@app.command()
def apply(url: Url) -> None:
    """Apply what is missing. One at a time: a second one waits for the first.

    Exit status: 0 up to date, 2 refused, 3 none that this release works with.
    """
    anyio.run(_apply, url)


@app.command()
def check(url: Url) -> None:
    """Say whether a store is up to date; nothing is changed.

    Exit status: 0 it is, or it is newer and serves this release too, 1 steps are missing, 2 cannot be told, 3 too new for this release,
    or of its number and another one.
    """
    raise typer.Exit(anyio.run(_check, url))


@app.command()
def grants(
    role: Annotated[
        str, typer.Argument(metavar="ROLE", help="The role that workers and clients log in as.")
    ],
    schema: Schema = None,
    url: Annotated[str | None, typer.Option("--url", help="A store, for its schema.")] = None,
    to_look: Annotated[
        bool,
        typer.Option("--to-look", help="Only the views without payloads, for people."),
    ] = False,
) -> None:
    """Print the SQL that lets a role run hubs without a right to change the schema."""
    from durable_async.backends.postgres.schema import grants as grants_for

    if _file(url) is not None:
        raise ConfigurationError("SQLite has no roles: whoever may write the file may use it")
    typer.echo(grants_for(_schema_name(url, schema), role, to_look=to_look), nl=False)


# -- what the commands do


async def _script(url: str | None, schema: str | None) -> str:
    from durable_async.backends.postgres.administration import Administration
    from durable_async.backends.postgres.schema import script
    from durable_async.backends.sqlite.administration import migrations, version_of

    file = _file(url)
    if file is not None:
        return render(pending(migrations(), version_of(file)))
    name = _schema_name(url, schema)
    found = 0 if url is None else (await Administration(url).standing()).version
    known = Administration(f"postgresql:///?schema={name}").known
    return script(name, min(found, known))


async def _apply(url: str) -> None:
    from durable_async import TaskHub
    from durable_async.backends.postgres.administration import Administration

    if _file(url) is not None:
        async with TaskHub.open(url):
            say("The file is up to date: a SQLite file upgrades itself when it is opened.")
        return
    administration = Administration(url)
    applied = await administration.upgrade()
    for step in applied:
        say(f"applied {step.number:04} {step.name}")
    version = (await administration.standing()).version
    say(f"{administration.description} is up to date: version {version}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a schema serves this release.

    Attributes:
        status: The exit status that says so.
        text: The same in words.
        style: And in colour.
    """

    status: int
    text: str
    style: str


async def _check(url: str) -> int:
    verdict = await verdict_of(url)
    say(verdict.text, verdict.style)
    return verdict.status


async def verdict_of(url: str) -> Verdict:
    """Look where the schema of a store stands; nothing is changed."""
    from durable_async.backends.postgres.administration import Administration
    from durable_async.backends.postgres.schema import Standing
    from durable_async.backends.sqlite.administration import migrations, version_of

    file = _file(url)
    lack: str | None = None
    if file is not None:
        standing, known = Standing(version_of(file)), len(migrations())
        place, advice = f"sqlite {file}", "It upgrades itself when it is opened."
    else:
        administration = Administration(url)
        (standing, lack), known = await administration.look(), administration.known
        place, advice = administration.description, "`durable-async migrate apply` applies them."
    status, style, said = _verdict(standing.version, standing.serves, known, advice)
    if status == 0 and lack is not None:
        status, style, said = NO_STORE, "red", f"Another schema than this release's: {lack}."
    text = f"{place}: version {standing.version}, this release knows {known}. {said}"
    return Verdict(status, text, style)


def _verdict(version: int, serves: int, known: int, advice: str) -> tuple[int, str, str]:
    if version < known:
        return NOT_DONE, "yellow", f"Missing steps: {known - version}. {advice}"
    if version == known:
        return 0, "green", "Up to date."
    if 0 < serves <= known:
        return 0, "green", f"Newer, and serves releases that know {serves} or later."
    return NO_STORE, "red", "Too new: upgrade durable-async here."


def _schema_name(url: str | None, schema: str | None) -> str:
    from durable_async.backends.postgres.administration import (
        DEFAULT_SCHEMA,
        Administration,
        check_schema_name,
    )

    if url is not None and schema is not None:
        raise ConfigurationError("the URL says the schema's name, by ?schema=: leave out --schema")
    return (
        check_schema_name(schema or DEFAULT_SCHEMA) if url is None else Administration(url).schema
    )


def _file(url: str | None) -> Path | None:
    """Return the file of a SQLite URL; there must be one."""
    parts = urlsplit(url or "")
    if parts.scheme != "sqlite":
        return None
    file = Path(unquote(parts.path)[1:])
    if not file.is_file():
        raise ConfigurationError(f"there is no file {str(file)!r}")
    return file
