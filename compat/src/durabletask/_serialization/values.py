"""The values beyond JSON that the default converter knows: what is written for each, and how it is read."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any
from uuid import UUID

from .durations import duration_of, duration_text


@dataclass(frozen=True, slots=True)
class ValueType:
    """One type of values.

    Attributes:
        name: What it is called in the texts, for ever.
        kind: The type; a subclass is written as it too.
        write: Returns what JSON has for a value.
        read: Returns the value of that; raises ``ValueError`` or ``TypeError`` for anything else.
    """

    name: str
    kind: type
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def value_type_of(kind: type) -> ValueType | None:
    """Return the entry of a type, or of the nearest type above it."""
    return next((_BY_KIND[base] for base in kind.__mro__ if base in _BY_KIND), None)


def value_type_read_as(kind: type) -> ValueType | None:
    """Return the entry of exactly this type, if a program asks for it."""
    return _BY_KIND.get(kind)


def value_type_named(name: object) -> ValueType | None:
    """Return the entry that a text names."""
    return _BY_NAME.get(name) if isinstance(name, str) else None


def _iso(value: Any) -> str:
    text: str = value.isoformat()
    return text


def _bytes_text(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode("ascii")


def _bytes(value: Any) -> bytes:
    """Return the bytes of a base64 text, or of a list of numbers."""
    return base64.b64decode(value, validate=True) if isinstance(value, str) else bytes(value)


def _bytearray(value: Any) -> bytearray:
    return bytearray(_bytes(value))


def _number(value: Any) -> Decimal:
    """Return what is written, digit by digit, also of a JSON number."""
    try:
        return Decimal(str(value))
    except ArithmeticError as error:
        raise ValueError(f"{value!r} is no number") from error


_VALUE_TYPES = (
    ValueType("datetime", datetime, _iso, datetime.fromisoformat),
    ValueType("date", date, _iso, date.fromisoformat),
    ValueType("time", time, _iso, time.fromisoformat),
    ValueType("timedelta", timedelta, duration_text, duration_of),
    ValueType("decimal", Decimal, str, _number),
    ValueType("uuid", UUID, str, UUID),
    ValueType("bytes", bytes, _bytes_text, _bytes),
    ValueType("bytearray", bytearray, _bytes_text, _bytearray),
    ValueType("path", Path, str, Path),
    ValueType("pure_path", PurePath, str, PurePath),
    ValueType("posix_path", PurePosixPath, str, PurePosixPath),
    ValueType("windows_path", PureWindowsPath, str, PureWindowsPath),
)
_BY_KIND = {entry.kind: entry for entry in _VALUE_TYPES}
_BY_NAME = {entry.name: entry for entry in _VALUE_TYPES}
