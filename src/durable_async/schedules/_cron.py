"""Cron expressions and time zones: the only file that knows cronsim."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
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
        for local in _simulated(expression, after.astimezone(zone)):
            tick = local.astimezone(UTC)
            if tick > last:
                last = tick
                yield tick
    except OverflowError:
        return  # the calendar is at its end


def _simulated(expression: Any, after: datetime) -> CronSim:
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
