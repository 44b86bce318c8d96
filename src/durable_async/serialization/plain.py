"""What JSON is written in place of a value that is not JSON by itself.

Each function here goes one level down only: what it returns may hold such values again, and the
encoder comes back for them. Nothing returned depends on a hash seed or on an instance's stray
attributes, so that equal values have equal bytes in every process.
"""

from __future__ import annotations

import binascii
import dataclasses
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from pathlib import PurePath
from typing import Any
from uuid import UUID

import msgspec
import orjson

from .paths import type_name
from .pydantic_models import dump_model, is_model

MakePlain = Callable[[Any], Any]

# The encoder's own way with dataclasses leaves out fields with a leading underscore and writes
# attributes that are no fields; its own way with datetimes rounds offsets to minutes.
ENCODER_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_KNOWN_TYPES_MAX = 4096
_known: dict[type, MakePlain] = {}


def plain(value: Any) -> Any:
    """Return what stands for a value in JSON, one level down.

    Raises:
        TypeError: Nothing does.
    """
    kind = type(value)
    try:
        make_plain = _known[kind]
    except KeyError:
        make_plain = _learn(kind)
    return make_plain(value)


def _learn(kind: type) -> MakePlain:
    make_plain = _find(kind)
    if len(_known) >= _KNOWN_TYPES_MAX:
        _known.clear()
    _known[kind] = make_plain
    return make_plain


def _find(kind: type) -> MakePlain:
    if is_model(kind):
        return dump_model
    if issubclass(kind, msgspec.Struct):
        return _plain_struct
    if dataclasses.is_dataclass(kind):
        return _plain_dataclass(kind)
    for base, make_plain in _BY_BASE:
        if issubclass(kind, base):
            return make_plain
    raise TypeError(_no_json(kind))


def _no_json(kind: type) -> str:
    if issubclass(kind, type):
        return "a class is not a value that can be stored: pass its name"
    if hasattr(kind, "__await__"):
        return f"the {kind.__qualname__} is not a result yet: await it, and pass what it returns"
    return (
        f"a value of type {type_name(kind)!r} does not become JSON: "
        "use a dataclass, a pydantic model, a msgspec.Struct, or plain lists and dicts"
    )


def _plain_set(members: set[Any] | frozenset[Any]) -> orjson.Fragment:
    encoded = sorted(orjson.dumps(member, plain, ENCODER_OPTIONS) for member in members)
    return orjson.Fragment(b"[" + b",".join(encoded) + b"]")


def _plain_datetime(value: datetime) -> str:
    offset = value.utcoffset()
    if offset is not None and offset.total_seconds() % 60:
        # Readers of RFC 3339 know hours and minutes only; the instant is what must survive.
        value = value.astimezone(UTC)
    return value.isoformat()


def _plain_time(value: time) -> str:
    offset = value.utcoffset()
    if offset is not None and offset.total_seconds() % 60:
        message = "a time whose offset from UTC has seconds does not become JSON: use a datetime"
        raise TypeError(message)
    if offset is None and value.tzinfo is not None:
        message = "a time in a zone without a fixed offset does not become JSON: use a datetime"
        raise TypeError(message)
    return value.isoformat()


def _plain_bytes(value: bytes | bytearray | memoryview) -> str:
    return binascii.b2a_base64(value, newline=False).decode("ascii")


def _plain_struct(value: msgspec.Struct) -> dict[str, Any] | list[Any]:
    config = value.__struct_config__
    values = [getattr(value, name) for name in value.__struct_fields__]
    if config.array_like:
        return values if config.tag is None else [config.tag, *values]
    tag = {} if config.tag_field is None else {config.tag_field: config.tag}
    named = zip(value.__struct_encode_fields__, values, strict=True)
    return tag | {name: held for name, held in named if held is not msgspec.UNSET}


def _plain_dataclass(kind: type) -> MakePlain:
    names = tuple(field.name for field in dataclasses.fields(kind))
    if len(names) < 2:  # attrgetter gives a tuple from two names on
        return lambda value: {name: getattr(value, name) for name in names}
    values_of = attrgetter(*names)
    return lambda value: dict(zip(names, values_of(value), strict=True))


_BY_BASE: tuple[tuple[type | tuple[type, ...], MakePlain], ...] = (
    (Enum, lambda value: value.value),
    (tuple, list),
    (float, float),
    ((set, frozenset), _plain_set),
    (datetime, _plain_datetime),
    (date, date.isoformat),
    (time, _plain_time),
    (timedelta, msgspec.to_builtins),
    (Decimal, str),
    (UUID, str),
    ((bytes, bytearray, memoryview), _plain_bytes),
    (PurePath, str),
)
