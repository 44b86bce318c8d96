"""Spans of time as ISO 8601 texts, exact to the microsecond."""

from __future__ import annotations

import re
from datetime import timedelta

_TEXT = re.compile(
    r"(?P<sign>-?)P(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?:\.(?P<fraction>\d{1,6}))?S)?)?",
    re.ASCII,
)
_ONE_DAY = timedelta(days=1)


def duration_text(span: timedelta) -> str:
    """Return a span as days and seconds, such as ``P1DT30.5S``; negative ones begin with a minus."""
    sign, length = ("-", -span) if span < timedelta(0) else ("", span)
    fraction = f".{length.microseconds:06}".rstrip("0") if length.microseconds else ""
    return f"{sign}P{length.days}DT{length.seconds}{fraction}S"


def duration_of(text: str) -> timedelta:
    """Return the span of a text in days, hours, minutes and seconds.

    Raises:
        ValueError: It is none, or counts in months or years.
    """
    found = _TEXT.fullmatch(text)
    if found is None or text.endswith(("P", "T")):
        raise ValueError(f"{text!r} is no ISO 8601 duration in days, hours, minutes and seconds")
    parts = {name: int(found[name] or 0) for name in ("days", "hours", "minutes", "seconds")}
    span = timedelta(**parts, microseconds=int((found["fraction"] or "").ljust(6, "0")))
    return -span if found["sign"] else span
