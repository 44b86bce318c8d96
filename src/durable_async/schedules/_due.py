"""What becomes of ticks that are past: which are dealt with, which are missed, which run begins now. Functions of values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import NamedTuple

from ._record import ScheduleRecord
from .spec import CatchUp, Overlap, ScheduleSpec

LOOKS_MAX = 1_000
"""So many ticks are looked at in one operation; if more are due, another one follows at once."""

STARTS_MAX = 100
"""So many runs begin in one operation."""

ON_TIME = timedelta(minutes=1)
"""What is caught up with in any case."""

CHECK_SHARE = 10
CHECK_SECONDS_MIN = 0.5
CHECK_SECONDS_MAX = 30.0
"""Whether a run that others wait for has ended is looked at after a tenth of the time that they have waited, within these bounds."""

_ROOM = {
    Overlap.SKIP: 0,
    Overlap.BUFFER_ONE: 1,
    Overlap.BUFFER_ALL: 1_000,
    Overlap.ALLOW: 0,
    Overlap.TERMINATE_PREVIOUS: 1,
}
"""How many ticks may wait for the end of a run."""


class Look(NamedTuple):
    """What a look at the clock found.

    Attributes:
        chosen: The ticks to deal with.
        missed: How many others were due.
        until: Up to where all ticks have been looked at.
        has_more: Whether ticks after that are due, too.
    """

    chosen: Sequence[datetime]
    missed: int
    until: datetime
    has_more: bool


def look(record: ScheduleRecord, now: datetime) -> Look:
    """Return which ticks are due, and which of them are to be dealt with."""
    due = takewhile(lambda tick: tick <= now, record.ticks())
    found = list(islice(due, LOOKS_MAX + 1))
    has_more = len(found) > LOOKS_MAX
    found = found[:LOOKS_MAX]
    chosen = _chosen(record.spec, found, now, has_more=has_more)
    if len(chosen) > STARTS_MAX:
        chosen, has_more = chosen[:STARTS_MAX], True
        found = [tick for tick in found if tick <= chosen[-1]]
    until = found[-1] if found else record.looked_until
    return Look(chosen, len(found) - len(chosen), until, has_more)


def _chosen(
    spec: ScheduleSpec, found: list[datetime], now: datetime, *, has_more: bool
) -> list[datetime]:
    if spec.catch_up is CatchUp.ALL:
        oldest = now - spec.catch_up_window
        return [tick for tick in found if tick >= oldest]
    if has_more or not found:
        return []  # the last one is yet to come
    age_max = ON_TIME if spec.catch_up is CatchUp.NONE else max(spec.catch_up_window, ON_TIME)
    return found[-1:] if now - found[-1] <= age_max else []


def decide(record: ScheduleRecord, seen: Look, now: datetime) -> list[datetime]:
    """Note what a look found, and return the ticks whose runs begin now, by what is known of the runs before."""
    record.looked_until = seen.until
    record.missed += seen.missed
    overlap = record.spec.overlap
    line = [*record.waiting, *seen.chosen]
    had_none = not record.waiting
    if overlap is Overlap.ALLOW:
        record.waiting, record.waiting_since = [], None
        return line
    if overlap is Overlap.TERMINATE_PREVIOUS:
        record.skipped += len(line[:-1])
        line = line[-1:]
    begin = [] if record.going else line[:1]
    line = line[len(begin) :]
    room = _ROOM[overlap]
    record.skipped += len(line[room:])
    record.waiting = line[:room]
    if not record.waiting:
        record.waiting_since = None
    elif begin or had_none:
        record.waiting_since = now
    return begin


def check_at(record: ScheduleRecord, now: datetime) -> datetime | None:
    """Return when to look whether the run has ended that others wait for; ``None`` if none do."""
    if not record.waiting:
        return None
    waited = (now - (record.waiting_since or now)).total_seconds()
    seconds = min(max(waited / CHECK_SHARE, CHECK_SECONDS_MIN), CHECK_SECONDS_MAX)
    return now + timedelta(seconds=seconds)
