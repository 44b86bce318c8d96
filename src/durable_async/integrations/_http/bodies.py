"""Bodies: the one of a request, as JSON, and the value that it stands for."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from durable_async.errors import PayloadTooLargeError, ValidationError
from durable_async.serialization import DataConverter, JsonConverter
from durable_async.serialization.converter import DEPTH_MAX
from durable_async.serialization.nesting import is_deeper_than

from .messages import Call
from .origins import says_json
from .problems import ProblemError

_LENGTH_DIGITS_MAX = 18


async def read_body(call: Call, bytes_max: int) -> bytes:
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
        # It is strict, as the parts of the store are. What it makes of numbers is not used.
        orjson.loads(data)
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
