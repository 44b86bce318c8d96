"""What callers pass beside names and payloads, looked at before the store is asked: a type checker may not have seen them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from durable_async.errors import ValidationError, shown
from durable_async.model.moments import microseconds
from durable_async.model.policy import SECONDS_MAX

LIMIT_MAX = 2**31 - 1
"""The largest number of rows that all stores can be asked for at once."""

PAGE_CHARS_MAX = 4_096
REASON_CHARS_MAX = 8_192


def check_limit(limit: object, field: str = "limit") -> int:
    """Return how many of something are wanted, if that is a whole number from 1 on; ``ValidationError`` otherwise."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= LIMIT_MAX:
        raise ValidationError(
            field, f"must be a whole number, 1 to {LIMIT_MAX:,}, not {shown(limit)}"
        )
    return limit


def check_flag(flag: object, field: str) -> bool:
    """Return yes or no, if it is one of them; ``ValidationError`` otherwise."""
    if not isinstance(flag, bool):
        raise ValidationError(field, f"must be True or False, not {shown(flag)}")
    return flag


def check_maybe(flag: object, field: str) -> bool | None:
    """Return yes, no, or ``None`` for either; ``ValidationError`` if it is something else."""
    return None if flag is None else check_flag(flag, field)


def check_timeout(timeout: object) -> float | None:
    """Return how many seconds somebody waits, ``None`` for ever; ``ValidationError`` if it is no number.

    What is negative stands for not at all, what is 1,000 years or longer for ever.
    """
    if timeout is None:
        return None
    if not isinstance(timeout, (int, float)) or math.isnan(timeout):
        raise ValidationError("timeout", f"must be seconds or None, not {shown(timeout)}")
    return None if timeout >= SECONDS_MAX else float(max(timeout, 0))


def check_page(page: object) -> str | None:
    """Return where a query goes on, if that can be the end of an earlier page; ``ValidationError`` otherwise."""
    if page is None:
        return None
    if not isinstance(page, str) or not page.isprintable() or len(page) > PAGE_CHARS_MAX:
        raise ValidationError("page", "is not the next_page of an earlier page")
    return page


def check_reason(reason: object) -> str | None:
    """Return a reason, if it is a text or none, as UTF-8 can hold it and cut at 8,192 characters; ``ValidationError`` otherwise.

    It is for people, and no cause to refuse anything but what is no text at all.
    """
    if reason is None:
        return None
    if not isinstance(reason, str):
        raise ValidationError("reason", f"must be a str, not {shown(reason)}")
    return reason[:REASON_CHARS_MAX].encode("utf-8", "replace").decode()


def check_moment(at: object, field: str) -> int | None:
    """Return a time as the store has it; ``ValidationError`` if it is no ``datetime``."""
    if at is None:
        return None
    if not isinstance(at, datetime):
        raise ValidationError(field, f"must be a datetime, not {shown(at)}")
    return microseconds(at)


def check_several(given: object, field: str, kind: str) -> Sequence[Any]:
    """Return several things as a list; ``ValidationError`` for what has none in it, or is one text or bytes, which would be taken apart."""
    if isinstance(given, (str, bytes, bytearray)) or not isinstance(given, Iterable):
        raise ValidationError(field, f"must be a list of {kind}, not {shown(given)}")
    return given if isinstance(given, (list, tuple)) else list(given)


def check_event(given: object) -> tuple[Any, Any, Any]:
    """Return an event as it is raised with others; ``ValidationError`` if it is not three things."""
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        raise ValidationError(
            "events", f"must be (instance, name, payload) each, not {shown(given)}"
        )
    instance, name, payload = given
    return instance, name, payload
