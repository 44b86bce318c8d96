"""Cron expressions and time zones: the only file that knows cronsim."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from durable_async.errors import MissingExtraError, ValidationError, shown

if TYPE_CHECKING:
    from cronsim import CronSim

CRON_CHARS_MAX = 200
ZONE_CHARS_MAX = 100

_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * SUN",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def zone_of(name: Any) -> tzinfo:
    """Return a time zone; ``ValidationError`` if there is none of that name, here."""
    if not isinstance(name, str) or len(name) > ZONE_CHARS_MAX:
        raise ValidationError("time_zone", f"must be a name, not {shown(name)}")
    if name == "UTC":  # which is there without any data about zones
        return UTC
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # nobody has it, it is no name, it is a folder
        pass
    raise ValidationError(
        "time_zone",
        f"there is no {shown(name)} in this system's time zones, nor in the package tzdata",
    )


def cron_ticks(expression: str, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """Yield the moments that an expression means, UTC, in order, those later than ``after``.

    Two that fall on the same moment, because the clock leaps over both, are one.

    Raises:
        ValidationError: It is no such expression.
        MissingExtraError: The package that reads them is not installed.
    """
    last = after
    try:
        for tick in _moments(expression, zone, after):
            if tick > last:
                last = tick
                yield tick
    except OverflowError:
        return  # the calendar is at its end


def _moments(expression: Any, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """Yield moments in order; the first ones may be earlier, and neighbours the same.

    The library reads a calendar, in which each day is there once and has 24 hours. What a clock makes of that is decided here.
    """
    later_offset = after.astimezone(zone).replace(fold=1).utcoffset() or timedelta(0)
    earliest = after.astimezone(UTC).replace(tzinfo=None) + later_offset
    calendar = _calendar(expression, earliest)  # from where the clock is yet to be turned back to
    if any(field.startswith("*") for field in calendar.parts[:3]):
        return _whenever_shown(calendar, zone)
    return (_first_reached(wall, zone) for wall in calendar)


def _whenever_shown(calendar: Iterable[datetime], zone: tzinfo) -> Iterator[datetime]:
    """Yield each moment at which a clock shows one of these times: once, twice, or never."""
    again: deque[datetime] = deque()
    for wall in calendar:
        first, second = _readings(wall, zone)
        if not _shows(first, wall, zone):
            continue
        while again and again[0] < first:
            yield again.popleft()
        yield first
        if second != first:
            again.append(second)
    yield from again


def _first_reached(wall: datetime, zone: tzinfo) -> datetime:
    """Return the first moment at which a clock shows that time or, if it leaps over it, a later one."""
    first, second = _readings(wall, zone)
    if _shows(first, wall, zone):
        return first
    leaped_over = range(round((first - second).total_seconds()))
    seconds = bisect_left(
        leaped_over, wall, key=lambda later: _wall(second + timedelta(seconds=later), zone)
    )
    return second + timedelta(seconds=seconds)


def _readings(wall: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the moments that are meant by what a clock shows, by its time before a change and by that after it."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _shows(moment: datetime, wall: datetime, zone: tzinfo) -> bool:
    return _wall(moment, zone) == wall


def _calendar(expression: Any, after: datetime) -> CronSim:
    if not isinstance(expression, str) or len(expression) > CRON_CHARS_MAX:
        raise ValidationError("cron", f"must be a text of five fields, not {shown(expression)}")
    try:
        from cronsim import CronSim, CronSimError  # noqa: PLC0415 - intervals need no such package
    except ImportError:
        raise MissingExtraError(
            "cronsim", "schedules", "a schedule with a cron expression"
        ) from None
    try:
        return CronSim(_NAMED.get(expression.strip().lower(), expression), after)
    except CronSimError as error:
        reason = str(error)
    raise ValidationError("cron", f"{shown(expression)} is no cron expression: {reason}")
