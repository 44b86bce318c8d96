"""When something is due, as the code says it: microseconds since the epoch, UTC."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from durable_async.errors import ValidationError, shown
from durable_async.model.moments import microseconds
from durable_async.model.policy import SECONDS_MAX, Seconds, seconds_of

from .journal import MICROSECONDS


def due_us(due: Seconds | datetime, now_us: int) -> int:
    """Return the moment that is meant; it may be past.

    Args:
        due: Seconds or a ``timedelta`` from now, or a ``datetime``; a naive one is UTC.
        now_us: What "now" is.

    Raises:
        ValidationError: It is not a number, or more than 1,000 years ahead.
    """
    if isinstance(due, datetime):
        moment_us = microseconds(due)
    else:
        wait = seconds_of(due, "due") if not _is_negative(due) else 0.0
        moment_us = now_us + round(wait * MICROSECONDS)
    if moment_us - now_us >= SECONDS_MAX * MICROSECONDS:
        raise ValidationError("due", f"lies more than 1,000 years ahead: {shown(due)}")
    return moment_us


def _is_negative(due: Any) -> bool:
    if isinstance(due, timedelta):
        return due < timedelta(0)
    return isinstance(due, (int, float)) and due < 0
