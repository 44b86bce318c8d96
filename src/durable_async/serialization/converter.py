"""User values to JSON bytes and back: the converter that everything durable goes through."""

from __future__ import annotations

import logging
from typing import Any, Protocol

import orjson

from durable_async.errors import ConfigurationError, DecodeError, PayloadTooLargeError

from .absent import why_absent
from .decoding import DECODERS, Decoder, decoder_for, no_decoder, refusal
from .nesting import is_deeper_than
from .paths import ROOT
from .plain import ENCODER_OPTIONS, plain
from .walk import holds_non_finite, plain_throughout

PAYLOAD_BYTES_MAX = 4 * 1024 * 1024
PAYLOAD_BYTES_WARN = 1024 * 1024
DEPTH_MAX = 200
_ENCODER_DEPTH = 250  # orjson gives up at 255 by itself
_WARNED_MAX = 1_000

_log = logging.getLogger("durable_async")


class DataConverter(Protocol):
    """Turns user values into bytes, and bytes into values of the annotated type.

    Bytes are stored for ever and compared at replay: equal values must become the same bytes in
    every process, and must come back equal, as annotated. Both methods are called from several
    threads at once.
    """

    def encode(self, value: Any, where: str) -> bytes:
        """Return the bytes of a value.

        Args:
            value: What the user passed or returned.
            where: What the value is for, such as ``activity 'charge' input``; for messages.

        Raises:
            EncodeError: The value does not become bytes, or would not come back.
            PayloadTooLargeError: The bytes are too many.
        """
        ...

    def decode(self, data: bytes | None, into: Any, where: str) -> Any:
        """Return the value that bytes describe.

        Args:
            data: What ``encode`` returned, or ``None`` where nothing was stored.
            into: The type to read into: an annotation, or ``Any`` for plain JSON values.
            where: What the value is for; for messages.

        Raises:
            DecodeError: The bytes are damaged, or do not fit the type.
        """
        ...


class JsonConverter(DataConverter):
    """Stores values as JSON that people and other languages can read.

    Dataclasses, TypedDicts, NamedTuples, enums (by value), datetimes, timedeltas (ISO 8601),
    UUIDs, Decimals, bytes (base64), paths, sets (in a fixed order), msgspec.Structs and pydantic
    models come back as they went in where the annotation says so; without an annotation, what
    comes back is dicts, lists, strings and numbers. Nothing is ever imported or executed by name
    from the data.

    Args:
        payload_bytes_max: The largest encoded value that is accepted.
        payload_bytes_warn: From which size on a warning is logged, once for each thing that values are for.
        depth_max: How many containers may be inside each other, up to 250.

    Raises:
        ConfigurationError: A limit is out of its range.
    """

    def __init__(
        self,
        *,
        payload_bytes_max: int = PAYLOAD_BYTES_MAX,
        payload_bytes_warn: int = PAYLOAD_BYTES_WARN,
        depth_max: int = DEPTH_MAX,
    ) -> None:
        if payload_bytes_max < 1 or not 1 <= depth_max <= _ENCODER_DEPTH:
            raise ConfigurationError(
                f"payload_bytes_max must be positive and depth_max from 1 to {_ENCODER_DEPTH}"
            )
        self._payload_bytes_max = payload_bytes_max
        self._payload_bytes_warn = payload_bytes_warn
        self._warned: set[str] = set()
        self._depth_max = depth_max
        # So few can be neither too many nor too deep: a level has two brackets.
        self._unsuspicious_bytes = min(payload_bytes_max, payload_bytes_warn, 2 * depth_max)

    def encode(self, value: Any, where: str) -> bytes:
        """Return the JSON of a value; see ``DataConverter.encode``."""
        try:
            data = orjson.dumps(value, plain, ENCODER_OPTIONS)
        except (TypeError, RecursionError):
            data = self._encode_slowly(value, where)
        else:
            if b"null" in data and value is not None and holds_non_finite(value):
                data = self._encode_slowly(value, where)
        if len(data) > self._unsuspicious_bytes:
            self._check(data, value, where)
        return data

    def _check(self, data: bytes, value: Any, where: str) -> None:
        if len(data) > self._payload_bytes_max:
            raise PayloadTooLargeError(where, len(data), self._payload_bytes_max)
        if len(data) > self._payload_bytes_warn and where not in self._warned:
            self._warn(where, len(data))
        if is_deeper_than(data, self._depth_max):
            plain_throughout(value, where, self._depth_max)

    def _warn(self, where: str, size: int) -> None:
        if len(self._warned) >= _WARNED_MAX:
            return
        self._warned.add(where)
        _log.warning(
            "%s: %d bytes encoded, and %d are the limit: pass a reference to what is kept elsewhere, or open the hub with a payload_store",
            where,
            size,
            self._payload_bytes_max,
        )

    def decode(self, data: bytes | None, into: Any, where: str) -> Any:
        """Return the value that JSON describes; see ``DataConverter.decode``.

        Members of an object that the type does not name are ignored, so that a type can lose a
        field while older payloads are still around.
        """
        if data is None:
            return None
        try:
            decoder = DECODERS[into]
        except (KeyError, TypeError):
            decoder = self._make_decoder(into, where)
        try:
            return decoder(data)
        except Exception as exc:
            absence = why_absent(data)
            if absence is not None:
                raise DecodeError(where, ROOT, absence) from exc
            raise refusal(exc, into, where) from exc

    def _make_decoder(self, into: Any, where: str) -> Decoder:
        try:
            return decoder_for(into)
        except Exception as exc:
            raise no_decoder(exc, into, where) from exc

    def _encode_slowly(self, value: Any, where: str) -> bytes:
        return orjson.dumps(plain_throughout(value, where, self._depth_max))
