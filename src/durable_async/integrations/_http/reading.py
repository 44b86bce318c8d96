"""Reading a request: the query, the headers and the body, each with an error that says what is wrong with it."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from typing import Any

import msgspec
import orjson

from durable_async.errors import PayloadTooLargeError, ValidationError, shown
from durable_async.model.identity import check_name
from durable_async.model.status import Status
from durable_async.serialization import DataConverter, JsonConverter
from durable_async.serialization.converter import DEPTH_MAX
from durable_async.serialization.nesting import is_deeper_than

from .messages import Call
from .origins import says_json
from .problems import ProblemError

IDEMPOTENCY_KEY = "idempotency-key"
_LENGTH_DIGITS_MAX = 18
_STATUSES = {status.value: status for status in Status}


# -- the query


def text(call: Call, name: str) -> str | None:
    """Return a parameter of the query, the last one of its name."""
    found = texts(call, name)
    return found[-1] if found else None


def texts(call: Call, name: str) -> list[str]:
    """Return all parameters of a name."""
    return [value for key, value in call.query if key == name]


def maybe(call: Call, name: str) -> bool | None:
    """Return yes or no, or ``None`` for neither."""
    given = text(call, name)
    match None if given is None else given.lower():
        case None:
            return None
        case "true" | "1" | "":
            return True
        case "false" | "0":
            return False
        case _:
            raise ValidationError(name, f"must be true or false, not {shown(given)}")


def flag(call: Call, name: str, *, default: bool = False) -> bool:
    """Return yes or no."""
    given = maybe(call, name)
    return default if given is None else given


def seconds(call: Call, name: str, at_most: float) -> float | None:
    """Return how long to wait."""
    given = text(call, name)
    if given is None:
        return None
    number = _number(given)
    if number is None or number < 0:
        raise ValidationError(name, f"must be a number of seconds, not {shown(given)}")
    return min(number, at_most)


def limit(call: Call, default: int, at_most: int) -> int:
    """Return how many of something are wanted in one answer."""
    given = text(call, "limit")
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) <= 9 and 1 <= int(given) <= at_most):
        raise ValidationError("limit", f"must be a number, 1 to {at_most}, not {shown(given)}")
    return int(given)


def count(call: Call, name: str) -> int:
    """Return a number, zero if it is not given."""
    given = text(call, name)
    if given is None:
        return 0
    if not (given.isascii() and given.isdigit() and len(given) <= 9):
        raise ValidationError(name, f"must be a number, not {shown(given)}")
    return int(given)


def moment(call: Call, name: str) -> datetime | None:
    """Return a time of day and year."""
    given = text(call, name)
    return None if given is None else _moment(given, name)


def start_at(call: Call, name: str = "startAt") -> datetime | float | None:
    """Return a time of day and year, or a number of seconds from now."""
    given = text(call, name)
    if given is None:
        return None
    number = _number(given)
    return _moment(given, name) if number is None else number


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


# -- what makes a call one and the same


def request_id(call: Call, *about: str) -> str | None:
    """Return the id of a request whose caller gave it a key, which is for one operation on one thing; ``None`` for a fresh one."""
    key = call.headers.get(IDEMPOTENCY_KEY)
    return None if key is None else f"http-{digest(check_name(key, 'Idempotency-Key'), *about)}"


def digest(*parts: str | bytes) -> str:
    """Return 32 hex digits that stand for some texts."""
    whole = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        whole.update(b"%d:%b" % (len(data), data))
    return whole.hexdigest()[:32]


# -- the body


async def body(call: Call, bytes_max: int) -> bytes:
    """Return the body as JSON without needless spaces; nothing for an empty one.

    Raises:
        PayloadTooLargeError: It is longer than is read; nothing of it was parsed.
        ProblemError: It is not JSON, or does not say that it is.
    """
    data = await _whole(call, bytes_max)
    if not data.strip():
        return b""
    _check_type(call.headers.get("content-type"))
    try:
        orjson.loads(
            data
        )  # strict, as the parts of the store are; what it makes of numbers is not used
        return msgspec.json.format(data, indent=-1)
    except (ValueError, RecursionError) as error:
        raise ProblemError(422, "not-json", f"the body is not JSON: {error}") from None


def value_of(data: bytes, payloads: DataConverter) -> Any:
    """Return a body as a value to be stored, byte for byte where the converter lets it; ``None`` for no body and for ``null``."""
    if data in (b"", b"null"):
        return None
    if is_deeper_than(data, DEPTH_MAX):
        raise ValidationError("body", f"is nested more than {DEPTH_MAX} deep")
    # A number that Python would round is none of ours to round.
    return orjson.Fragment(data) if isinstance(payloads, JsonConverter) else orjson.loads(data)


async def _whole(call: Call, bytes_max: int) -> bytes:
    declared = call.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit():
        length = int(declared[:_LENGTH_DIGITS_MAX])
        if length > bytes_max:
            raise PayloadTooLargeError("body", length, bytes_max)
    data = bytearray()
    async for piece in call.body:
        data += piece
        if len(data) > bytes_max:
            raise PayloadTooLargeError("body", len(data), bytes_max)
    return bytes(data)


def _check_type(declared: str | None) -> None:
    """Refuse a body that says of itself that it is no JSON."""
    if declared and not says_json(declared):
        media_type = declared.partition(";")[0].strip().lower()
        raise ProblemError(
            415, "not-json", f"the body is {media_type}: send Content-Type: application/json"
        )
