"""Options that many commands share, and how their words are read."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from durable_async import Status, ValidationError
from durable_async.client import Conditions
from durable_async.environment import SystemEnvironment
from durable_async.errors import shown
from durable_async.model.moments import instant
from durable_async.model.spans import span_of

_WHERE = "Which hub"
WHICH = "Which orchestrations"

App = Annotated[
    str | None,
    typer.Option(
        "--app",
        "-a",
        metavar="MODULE:HUB",
        envvar="DURABLE_ASYNC_APP",
        help="Your program: a TaskHub of TaskHub.at(...) in a module, or a module with orchestrators and --url.",
        rich_help_panel=_WHERE,
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="DURABLE_ASYNC_URL",
        help="The store: sqlite:///file.db, sqlite:////absolute/file.db, postgresql://user@host/database.",
        rich_help_panel=_WHERE,
    ),
]
Hub = Annotated[
    str | None,
    typer.Option(
        "--hub",
        envvar="DURABLE_ASYNC_HUB",
        help="The task hub in the store; 'default' by default.",
        rich_help_panel=_WHERE,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="For programs: one JSON document a line, in place of tables.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would be done, and change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout", min=0, metavar="SECONDS", help="Wait so long at most; it goes on regardless."
    ),
]
Reason = Annotated[str | None, typer.Option(help="For the record.")]
Payload = Annotated[
    str | None,
    typer.Option(
        "--input",
        "-i",
        metavar="JSON",
        help="A JSON value, @FILE to read it from a file, or - for standard input.",
    ),
]
Value = Annotated[
    str | None, typer.Argument(metavar="[JSON]", help="The same as --input.", show_default=False)
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="May be repeated.", rich_help_panel=WHICH),
]
Statuses = Annotated[
    list[Status] | None,
    typer.Option("--status", help="One of these; may be repeated.", rich_help_panel=WHICH),
]
Prefix = Annotated[str, typer.Option("--prefix", help="The id begins so.", rich_help_panel=WHICH)]
Moment = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Such as 2026-01-31T12:00 (UTC unless it says otherwise), or how long ago: 90s, 15m, 2h, 7d.",
        rich_help_panel=WHICH,
    ),
]
Parent = Annotated[
    str | None,
    typer.Option("--parent", help="Sub-orchestrations of this one.", rich_help_panel=WHICH),
]
Parked = Annotated[
    bool | None,
    typer.Option(
        "--parked/--not-parked", help="Only those that are parked.", rich_help_panel=WHICH
    ),
]


@dataclass(frozen=True, slots=True)
class Where:
    """Which hub is meant, as the options say it. The URL may hold a password, so it is in no ``repr``."""

    app: str | None
    url: str | None = field(repr=False)
    hub: str | None


def is_said(value: str | None, variable: str) -> bool:
    """Tell whether an option stands on the command line, and not only in the environment."""
    return value is not None and value != os.environ.get(variable)


def payload_of(text: str | None, field: str = "--input") -> Any:
    """Return the value that stands in an option, a file, or on standard input; ``None`` if nothing was said.

    Raises:
        ValidationError: There is no such file, or it is not JSON.
    """
    if text is None:
        return None
    try:
        return msgspec.json.decode(_data_of(text, field))
    except (msgspec.DecodeError, UnicodeError) as error:
        hint = "; a text stands in quotes of its own: '\"Ada\"'" if text not in ("", "-") else ""
        raise ValidationError(field, f"is not JSON: {error}{hint}") from error


def _data_of(text: str, field: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read()
    if text.startswith("@"):
        return _file(Path(text[1:]), field)
    return text.encode("utf-8", "surrogateescape")


def said_once(value: str | None, option: str | None) -> str | None:
    """Return what an argument or an option says.

    Raises:
        ValidationError: Both say something.
    """
    if value is not None and option is not None:
        raise ValidationError("--input", "is said twice")
    return option if value is None else value


def _file(path: Path, field: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValidationError(field, f"cannot read {str(path)!r}: {error.strerror}") from error


def tags_of(texts: Sequence[str] | None) -> dict[str, str]:
    """Return tags as ``KEY=VALUE`` says them."""
    tags: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ValidationError("--tag", f"{shown(text)} is not of the form KEY=VALUE")
        tags[key] = value
    return tags


def length_of(text: str, field: str) -> timedelta:
    """Return the duration that an option says.

    Raises:
        ValidationError: It is none.
    """
    span = span_of(text)
    if span is None:
        raise ValidationError(field, f"{shown(text)} is no duration, such as 90s, 15m, 2h or 1d")
    return span


def moment_of(text: str | None, field: str, *, ahead: bool = False) -> datetime | None:
    """Return the time that an option says; one that does not say its zone is UTC.

    Raises:
        ValidationError: It is none.
    """
    if text is None:
        return None
    at = time_of(text, field, ahead=ahead)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def time_of(text: str, field: str, *, ahead: bool = False) -> datetime:
    """Return a date, in its zone if it says one, or what is so long ago, or so long from now on.

    Raises:
        ValidationError: It is neither.
    """
    now = instant(SystemEnvironment().now_us())
    span = span_of(text)
    try:
        if span is not None:
            return now + span if ahead else now - span
        return datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        reason = f"{shown(text)} is neither a time, such as 2026-01-31T12:00, nor a duration, such as 15m"
        raise ValidationError(field, reason) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The options by which orchestrations are chosen."""

    statuses: Sequence[Status] | None = None
    names: Sequence[str] | None = None
    prefix: str = ""
    tags: Sequence[str] | None = None
    created_from: str | None = None
    created_to: str | None = None
    completed_from: str | None = None
    completed_to: str | None = None
    parent: str | None = None
    parked: bool | None = None

    def conditions(self) -> Conditions:
        """Return what they say as the client has it; empty if nothing was said."""
        found: Conditions = {}
        if self.statuses:
            found["statuses"] = list(self.statuses)
        if self.names:
            found["names"] = list(self.names)
        if self.prefix:
            found["id_prefix"] = self.prefix
        if self.tags:
            found["tags"] = tags_of(self.tags)
        if self.parent is not None:
            found["parent"] = self.parent
        if self.parked is not None:
            found["parked"] = self.parked
        self._add_times(found)
        return found

    def _add_times(self, found: Conditions) -> None:
        if self.created_from is not None:
            found["created_from"] = moment_of(self.created_from, "--created-from")
        if self.created_to is not None:
            found["created_to"] = moment_of(self.created_to, "--created-to")
        if self.completed_from is not None:
            found["completed_from"] = moment_of(self.completed_from, "--completed-from")
        if self.completed_to is not None:
            found["completed_to"] = moment_of(self.completed_to, "--completed-to")
