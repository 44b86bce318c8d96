"""Payloads as texts: the converter of the SDK's names makes them, and durable_async stores them as they are.

Every value that passes from here to durable_async is a text, or ``None`` for no payload at all; what it means is the business of the
program's own `durabletask.serialization.DataConverter`, on both sides.
"""

from __future__ import annotations

from typing import Any

from durable_async import DataConverter, DecodeError, EncodeError, PayloadTooLargeError
from durable_async.serialization.absent import why_absent

PAYLOAD_BYTES_MAX = 64 * 1024 * 1024

_NULL = b"null"


class TextPayloads(DataConverter):
    """Stores texts as UTF-8. ``None`` is stored as JSON's ``null``, and ``null`` comes back as ``None``."""

    def encode(self, value: Any, where: str) -> bytes:
        """Return a text's bytes.

        Raises:
            EncodeError: It is not a text, or holds what UTF-8 cannot.
            PayloadTooLargeError: It is larger than 64 MiB.
        """
        if value is None:
            return _NULL
        if not isinstance(value, str):
            raise EncodeError(where, "$", f"a text was expected here, not {value!r}")
        try:
            data = value.encode()
        except UnicodeEncodeError as error:
            raise EncodeError(where, "$", str(error)) from error
        if len(data) > PAYLOAD_BYTES_MAX:
            raise PayloadTooLargeError(where, len(data), PAYLOAD_BYTES_MAX)
        return data

    def decode(self, data: bytes | None, into: Any, where: str) -> str | None:
        """Return the text; ``into`` says nothing here.

        Raises:
            DecodeError: The bytes are no text.
        """
        if data is None or data == _NULL:
            return None
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise DecodeError(where, "$", why_absent(data) or str(error)) from error
