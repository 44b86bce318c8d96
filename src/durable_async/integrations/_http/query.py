"""The query: each parameter of a request, and an error that says what is wrong with it."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TypeVar

from durable_async.errors import ValidationError, shown
from durable_async.model.records import QueryOrder
from durable_async.model.status import Status

from .messages import Call
from .parameters import LIMIT_DEFAULT, LIMIT_MAX

D = TypeVar("D")

_ORDERS = {order.value: order for order in QueryOrder}
_STATUSES = {status.value: status for status in Status}


def text(call: Call, name: str) -> str | None:
    """Return a parameter of the query, the last one of its name."""
    found = texts(call, name)
    return found[-1] if found else None


def texts(call: Call, name: str) -> list[str]:
    """Return all parameters of a name."""
    return [value for key, value in call.query if key == name]


def flag(call: Call, name: str, *, default: D) -> bool | D:
    """Return yes or no."""
    given = text(call, name)
    match None if given is None else given.lower():
        case None:
            return default
        case "true" | "1" | "":
            return True
        case "false" | "0":
            return False
        case _:
            raise ValidationError(name, f"must be true or false, not {shown(given)}")


def seconds(call: Call, name: str, at_most: float) -> float | None:
    """Return how long to wait."""
    given = text(call, name)
    if given is None:
        return None
    number = _number(given)
    if number is None or number < 0:
        raise ValidationError(name, f"must be a number of seconds, not {shown(given)}")
    return min(number, at_most)


def limit(call: Call) -> int:
    """Return how many of something are wanted in one answer."""
    given = text(call, "limit")
    if given is None:
        return LIMIT_DEFAULT
    wanted = _digits(given)
    if wanted is None or not 1 <= wanted <= LIMIT_MAX:
        raise ValidationError("limit", f"must be a number, 1 to {LIMIT_MAX}, not {shown(given)}")
    return wanted


def count(call: Call, name: str) -> int:
    """Return a number, zero if it is not given."""
    given = text(call, name)
    if given is None:
        return 0
    number = _digits(given)
    if number is None:
        raise ValidationError(name, f"must be a number, not {shown(given)}")
    return number


def moment(call: Call, name: str) -> datetime | None:
    """Return a time of day and year."""
    given = text(call, name)
    return None if given is None else _moment(given, name)


def moment_or_delay(call: Call, name: str) -> datetime | float | None:
    """Return a time of day and year, or a number of seconds from now."""
    given = text(call, name)
    if given is None:
        return None
    number = _number(given)
    return _moment(given, name) if number is None else number


def order(call: Call) -> QueryOrder:
    """Return the order that is asked for, in any spelling."""
    given = text(call, "order")
    if given is None:
        return QueryOrder.CREATED
    found = _ORDERS.get(given.lower())
    if found is None:
        raise ValidationError("order", f"must be of {', '.join(_ORDERS)}, not {shown(given)}")
    return found


def statuses(call: Call) -> list[Status]:
    """Return the statuses that are asked for, in any spelling."""
    found: list[Status] = []
    for given in texts(call, "runtimeStatus"):
        for word in given.split(","):
            status = _STATUSES.get(word.strip().lower())
            if status is None:
                known = ", ".join(_STATUSES)
                raise ValidationError("runtimeStatus", f"must be of {known}, not {shown(word)}")
            found.append(status)
    return found


def tags(call: Call) -> dict[str, str]:
    """Return tags, ``key:value`` each."""
    found: dict[str, str] = {}
    for given in texts(call, "tag"):
        key, colon, value = given.partition(":")
        if not colon:
            raise ValidationError("tag", f"must be key:value, not {shown(given)}")
        found[key] = value
    return found


def _digits(given: str) -> int | None:
    is_short = given.isascii() and given.isdigit() and len(given) <= 9
    return int(given) if is_short else None


def _number(given: str) -> float | None:
    try:
        number = float(given)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _moment(given: str, name: str) -> datetime:
    for spelt in (given, given.replace(" ", "+")):  # a plus that nobody escaped
        try:
            return datetime.fromisoformat(spelt)
        except ValueError:
            continue
    raise ValidationError(name, f"must be a time as in ISO 8601, not {shown(given)}")
