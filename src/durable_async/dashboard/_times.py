"""Moments and durations, as people read them. All moments are UTC, as those in logs."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def stamp(at: datetime) -> str:
    """Return ``2026-11-26 03:12:45``."""
    return at.strftime("%Y-%m-%d %H:%M:%S")


def local(at: datetime, zone: str) -> str:
    """Return what clocks in a time zone show: ``Thu 04:12 CET``; nothing where that zone is not known."""
    try:
        return f"{at.astimezone(ZoneInfo(zone)):%a %H:%M %Z}"
    except (LookupError, ValueError, OSError, OverflowError):
        return ""


def clock(at: datetime) -> str:
    """Return ``03:12:45.678``."""
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03}"


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago, or in how long, a moment is: ``3 min ago``, ``in 2 h``."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "now"
    said = _coarse(abs(seconds))
    return f"{said} ago" if seconds > 0 else f"in {said}"


def duration(length: timedelta | float) -> str:
    """Return a length of time in two units at most: ``350 ms``, ``1.2 s``, ``2 min 5 s``, ``3 d 4 h``."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 0.9995:
        digits = 1 if 0 < seconds < 0.00995 else 0
        return f"{seconds * 1e3:.{digits}f} ms".replace(".0 ms", " ms")
    if seconds < MINUTE:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    for unit, name, smaller, small in (
        (DAY, "d", HOUR, "h"),
        (HOUR, "h", MINUTE, "min"),
        (MINUTE, "min", 1, "s"),
    ):
        if seconds >= unit:
            whole, rest = divmod(int(seconds), unit)
            part = rest // smaller
            return f"{whole:,} {name} {part} {small}" if part else f"{whole:,} {name}"
    raise AssertionError(seconds)


def _coarse(seconds: float) -> str:
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit):,} {name}"
    return f"{int(seconds)} s"
