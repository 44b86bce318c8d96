"""Durations and moments as texts: durations as .NET's ``TimeSpan`` is written, ``[days.]hours:minutes:seconds[.fraction]``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,7}))?")


def span_to_text(span: timedelta) -> str:
    """Return the text of a duration that is not negative, such as ``1.02:03:04.0005670``."""
    minutes, seconds = divmod(span.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{span.days}." if span.days else ""
    fraction = f".{span.microseconds:06}0" if span.microseconds else ""
    return f"{days}{hours:02}:{minutes:02}:{seconds:02}{fraction}"


def span_of_text(text: str) -> timedelta:
    """Return the duration of a text, to the microsecond; ``ValueError`` if it is none."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no duration: one is written days.hours:minutes:seconds")
    days, hours, minutes, seconds, fraction = found.groups(default="0")
    return timedelta(
        days=int(days),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds),
        microseconds=int(fraction.ljust(7, "0")) // 10,
    )


def moment_to_text(moment: datetime | None) -> str | None:
    """Return the ISO text of a moment, if there is one."""
    return None if moment is None else moment.isoformat()


def moment_of_text(text: str | None) -> datetime | None:
    """Return the moment of an ISO text, if there is one; ``ValueError`` if it is none."""
    return None if text is None else datetime.fromisoformat(text)


def aware(moment: datetime) -> datetime:
    """Return a moment with its time zone; a naive one is UTC."""
    return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment
