"""Spans of time as people type them: ``90s``, ``15m``, ``2h``, ``7d``."""

from __future__ import annotations

import re
from datetime import timedelta

_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]+)?)(s|m|h|d|w)")
_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}


def span_of(text: str) -> timedelta | None:
    """Return how long ``15m`` is; ``None`` if it is not of that form, or longer than any calendar."""
    found = _SPAN.fullmatch(text)
    if found is None:
        return None
    try:
        return float(found[1]) * _UNITS[found[2]]
    except OverflowError:
        return None


def span_text(span: timedelta) -> str:
    """Return what `span_of` reads as this span: in the largest unit of which it is a whole number, or in seconds."""
    for name, unit in _UNITS.items():
        if name != "w" and span and not span % unit:
            return f"{span // unit}{name}"
    seconds, rest = divmod(span, _UNITS["s"])
    return f"{seconds}.{rest.microseconds:06}".rstrip("0").rstrip(".") + "s"
