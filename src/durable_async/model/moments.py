"""Moments: microseconds since the epoch, as all of durable_async counts them, and what a calendar says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MICROSECOND = timedelta(microseconds=1)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def microseconds(at: datetime) -> int:
    """Return a datetime as microseconds since the epoch; a naive one is UTC."""
    aware = at if at.utcoffset() is not None else at.replace(tzinfo=UTC)
    return (aware - EPOCH) // _MICROSECOND


_FIRST_US, _LAST_US = microseconds(_FIRST), microseconds(_LAST)


def instant(at_us: int) -> datetime:
    """Return microseconds since the epoch as an aware datetime, UTC; the calendar's first or last one for what lies beyond it.

    No engine writes such a moment, but a damaged row may hold one, and is to be looked at all the same.
    """
    if not _FIRST_US <= at_us <= _LAST_US:
        return _FIRST if at_us < 0 else _LAST
    return EPOCH + timedelta(microseconds=at_us)
