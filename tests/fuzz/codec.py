"""The payload codec: values into bytes, bytes into annotated types."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pydantic
from hypothesis import strategies as st

from durable_async.errors import DecodeError, EncodeError, PayloadTooLargeError
from durable_async.serialization import JsonConverter, Signature

from .strategies import json_texts, one_of, values
from .target import Target

converter = JsonConverter(payload_bytes_max=1_000_000)
tight = JsonConverter(payload_bytes_max=64, depth_max=3)


class Size(Enum):
    """By a value that is a list."""

    SMALL = "s"
    LARGE = (1, 2)


class Level(IntEnum):
    """By a number."""

    LOW = 1


@dataclasses.dataclass
class Order:
    """As users write them."""

    x: int
    y: list[Any] = dataclasses.field(default_factory=list)
    at: datetime | None = None


class Movie(TypedDict, total=False):
    """Some keys."""

    x: str
    y: float


class Pair(NamedTuple):
    """By position."""

    x: int
    y: str = "y"


class Tagged(msgspec.Struct, tag=True, frozen=True):
    """With a tag."""

    x: int = 0


class Model(pydantic.BaseModel):
    """By pydantic."""

    x: int = 0
    y: Decimal | None = None


class Other(pydantic.BaseModel):
    """Beside it in a union."""

    z: str


TYPES: tuple[Any, ...] = (
    Any, None, object, bool, int, float, str, bytes, bytearray, list, dict, tuple, set, frozenset,
    list[int], dict[str, Any], dict[int, float], tuple[int, ...], tuple[int, str], set[str],
    datetime, date, time, timedelta, Decimal, UUID, Path, Size, Level, Literal["a", 1],
    int | None, str | int | None, Order, list[Order], Movie, Pair, Tagged, Model, Model | Other,
    dict[str, Model], Annotated[int, msgspec.Meta(ge=0)], Annotated[str, msgspec.Meta(max_length=3)],
    complex, type, Callable[[], int], typing.TypeVar("T"), typing.NoReturn,
)  # fmt: skip


def _probe_encode(value: Any) -> None:
    for codec in (converter, tight):
        data = codec.encode(value, "a payload")
        again = codec.decode(data, Any, "a payload")
        assert converter.encode(again, "what came back") == data, (
            "it does not come back as it went in"
        )


def _probe_decode(case: tuple[bytes, Any]) -> None:
    data, into = case
    found = converter.decode(data, into, "a payload")
    if into in (Any, int, float, str, bool, Order, Movie, Pair, Tagged, Model, datetime, Decimal):
        _comes_back(found, into)


def _comes_back(found: Any, into: Any) -> None:
    try:
        data = converter.encode(found, "what was read")
    except EncodeError:
        return  # JSON may say what we would not write, such as a number beyond 64 bits
    again = converter.decode(data, into, "what was written")
    assert again == found or converter.encode(again, "it") == data, (found, again)


def _one(x: int, *, y: Any = None) -> None: ...


def _two(x: list[Order], y: Model | None = None, z: float = math.pi) -> None: ...


def _three(order: Order) -> None: ...


_SIGNATURES = [Signature.of(function, skip_first=False) for function in (_one, _two, _three)]


def _probe_arguments(case: tuple[int, bytes]) -> None:
    which, data = case
    _SIGNATURES[which].decode(converter, data, "the arguments")


def _typed_texts() -> st.SearchStrategy[bytes]:
    sound = values().map(_encoded_or_null)
    return st.one_of(json_texts(), sound)


def _encoded_or_null(value: Any) -> bytes:
    try:
        return converter.encode(value, "a payload")
    except (EncodeError, PayloadTooLargeError):
        return b"null"


TARGETS = (
    Target(
        name="encode",
        inputs=values(),
        probe=_probe_encode,
        refusals=(EncodeError, PayloadTooLargeError),
        examples=300,
    ),
    Target(
        name="decode",
        inputs=st.tuples(_typed_texts(), one_of(TYPES)),
        probe=_probe_decode,
        refusals=(DecodeError,),
        examples=300,
    ),
    Target(
        name="arguments",
        inputs=st.tuples(st.integers(0, 2), _typed_texts()),
        probe=_probe_arguments,
        refusals=(DecodeError,),
        examples=100,
    ),
)
