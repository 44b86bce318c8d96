"""Options that say when a schedule starts something, and how: for a new one, and for one that is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated

import typer

from durable_async import ValidationError
from durable_async.schedules import CatchUp, Overlap, ScheduleChanges, ScheduleOptions

from ._options import length_of, tags_of, time_of

Cron = Annotated[
    str | None, typer.Option(help="Five fields, such as '0 9 * * MON-FRI', or @daily.")
]
Every = Annotated[str | None, typer.Option(metavar="SPAN", help="Such as 90s, 15m, 1d.")]
At = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Once: such as 2026-01-31T12:00, in the schedule's time zone, or 15m from now on.",
    ),
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--time-zone",
        help="In which --cron is meant, and times that do not say theirs; UTC by default.",
    ),
]
Start = Annotated[str | None, typer.Option(metavar="TIME", help="Nothing before; as for --at.")]
End = Annotated[str | None, typer.Option(metavar="TIME", help="Nothing after; as for --at.")]
Jitter = Annotated[str | None, typer.Option(metavar="SPAN", help="Begin so much later at most.")]
Overlapping = Annotated[
    Overlap | None,
    typer.Option("--overlap", help="At a tick while a run goes on; skip by default."),
]
CatchingUp = Annotated[
    CatchUp | None,
    typer.Option(
        "--catch-up", help="With ticks at which no worker was there; the last one by default."
    ),
]
Window = Annotated[
    str | None,
    typer.Option(
        "--catch-up-window", metavar="SPAN", help="How old those may be; 365d by default."
    ),
]
Version = Annotated[str | None, typer.Option("--version", help="Of the runs.")]
RunTags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="Of the runs; may be repeated."),
]
RunId = Annotated[
    str | None,
    typer.Option("--instance-id", help="Of a run; '{schedule}:{tick}' by default."),
]


class Removable(Enum):
    """What a schedule can be without."""

    START = "start"
    END = "end"
    VERSION = "version"
    TAGS = "tags"


_WITHOUT: dict[Removable, ScheduleChanges] = {
    Removable.START: {"start": None},
    Removable.END: {"end": None},
    Removable.VERSION: {"version": None},
    Removable.TAGS: {"tags": {}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The options as they were typed."""

    cron: str | None
    every: str | None
    at: str | None
    time_zone: str | None
    start: str | None
    end: str | None
    jitter: str | None
    overlap: Overlap | None
    catch_up: CatchUp | None
    catch_up_window: str | None
    version: str | None
    tag: Sequence[str] | None
    instance_id: str | None

    def options(self) -> ScheduleOptions:
        """Return what they mean; what was not said is left out.

        Raises:
            ValidationError: One of them is neither a time nor a duration, or no tag.
        """
        found = {
            "cron": self.cron,
            "every": _span(self.every, "--every"),
            "at": _time(self.at, "--at"),
            "time_zone": self.time_zone,
            "start": _time(self.start, "--start"),
            "end": _time(self.end, "--end"),
            "jitter": _span(self.jitter, "--jitter"),
            "overlap": self.overlap,
            "catch_up": self.catch_up,
            "catch_up_window": _span(self.catch_up_window, "--catch-up-window"),
            "version": self.version,
            "tags": tags_of(self.tag) or None,
            "instance_id": self.instance_id,
        }
        options: ScheduleOptions = {}
        options.update({name: value for name, value in found.items() if value is not None})  # type: ignore[typeddict-item]
        return options


def without(removed: Sequence[Removable] | None, said: ScheduleOptions) -> ScheduleChanges:
    """Return the changes that take something away.

    Raises:
        ValidationError: It is given something at the same time.
    """
    changes: ScheduleChanges = {}
    for one in removed or ():
        if one.value in said:
            raise ValidationError("--without", f"{one.value} is given a value, too")
        changes.update(_WITHOUT[one])
    return changes


def _time(text: str | None, field: str) -> datetime | None:
    return None if text is None else time_of(text, field, ahead=True)


def _span(text: str | None, field: str) -> timedelta | None:
    return None if text is None else length_of(text, field)
