"""When a schedule's ticks are. Each is a moment that everybody computes alike, whenever and wherever."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ._cron import cron_ticks, zone_of
from .spec import ScheduleSpec

MICROSECOND = timedelta(microseconds=1)

_TICK = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?Z")


def ticks_after(spec: ScheduleSpec, anchor: datetime, after: datetime) -> Iterator[datetime]:
    """Yield the ticks later than ``after``, in order, UTC.

    Args:
        spec: The schedule.
        anchor: From when an interval is counted, if the specification does not say.
        after: A moment.
    """
    if spec.start is not None:
        anchor = spec.start
        after = max(after, spec.start - MICROSECOND)
    for tick in _unending(spec, anchor, after):
        if spec.end is not None and tick > spec.end:
            return
        yield tick


def _unending(spec: ScheduleSpec, anchor: datetime, after: datetime) -> Iterator[datetime]:
    if spec.cron is not None:
        yield from cron_ticks(spec.cron, zone_of(spec.time_zone), after)
    elif spec.every is not None:
        yield from _intervals(spec.every, anchor, after)
    elif spec.at is not None and spec.at > after:
        yield spec.at


def _intervals(every: timedelta, anchor: datetime, after: datetime) -> Iterator[datetime]:
    number = (after - anchor) // every + 1
    while True:
        try:
            yield anchor + number * every
        except OverflowError:
            return  # the calendar is at its end
        number += 1


def tick_text(tick: datetime) -> str:
    """Return a tick as ids of runs have it: ``2026-11-26T09:00:00Z``."""
    return tick.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def run_id(spec: ScheduleSpec, schedule_id: str, tick: datetime) -> str:
    """Return the instance id of a tick's run: the same whoever starts it."""
    with_tick = spec.instance_id.replace("{tick}", tick_text(tick))
    return with_tick.replace("{schedule}", schedule_id)


def tick_of(instance_id: str) -> datetime | None:
    """Return the moment that a run is for, UTC, by its id: ``tick_of(ctx.instance_id)``; ``None`` if no schedule started it.

    A run that was delayed, caught up with or backfilled begins later, even days later. Of one that was triggered it is when that was asked for. Of
    several moments in an id the last one counts.
    """
    found = _TICK.findall(instance_id)
    if not found:
        return None
    try:
        return datetime.fromisoformat(found[-1])
    except ValueError:  # it only looks like one
        return None


def delay_of(spec: ScheduleSpec, schedule_id: str, tick: datetime) -> timedelta:
    """Return by how much a tick's run begins later: a share of the jitter that is drawn from the tick's name."""
    if not spec.jitter:
        return timedelta(0)
    name = f"{schedule_id} {tick_text(tick)}".encode()
    drawn = int.from_bytes(hashlib.sha256(name).digest()[:6])
    return spec.jitter * (drawn / 2**48)
