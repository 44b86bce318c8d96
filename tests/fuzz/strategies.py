"""What nobody should send, and what lies just beside it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import PurePosixPath
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import strategies as st

T = TypeVar("T")

TEXTS: Sequence[str] = (
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "a\udfffb",
    "\ud83d\ude00",  # an emoji in two halves, as JavaScript counts
    "\U0001f600",
    "\u202eevil\u202c",
    "\u200b",
    "\ufeff",
    "e\u0301",
    "\u0130",
    "\uffff",
    "\U0010ffff",
    "\x1b[31m",
    "\x85",
    "\u2028",
    "../../etc/passwd",
    "%00",
    "%2e%2e%2f",
    "a/b?c#d",
    "'\"`",
    "'; drop table instances; --",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "{0.__class__}",
    "%s%n",
    "[bold red]x[/]",
    "[/]",
    "$(id)",
    "--help",
    "-",
    "@",
    "@a",
    "@a@b",
    "@@",
    "null",
    "NaN",
    "__proto__",
    "\N{FULLWIDTH COMMERCIAL AT}a",
)

LENGTHS = (1, 2, 63, 64, 127, 128, 199, 200, 201, 255, 256, 257, 511, 512, 513, 8_191, 8_192, 8_193)


def one_of(things: Sequence[T]) -> st.SearchStrategy[T]:
    """One of some things, which are never printed: not all of these can be."""
    return st.integers(0, len(things) - 1).map(lambda index: things[index])


def texts() -> st.SearchStrategy[str]:
    """Texts: the notorious ones, any, and such as are just long enough."""
    long = st.builds(
        lambda unit, length: unit * length,
        one_of(["a", "\xe9", "\u20ac", "\U0001f600", "@", "%", "\ud800"]),
        one_of(LENGTHS),
    )
    return st.one_of(
        one_of(TEXTS),
        st.text(alphabet=st.characters(codec=None), max_size=12),
        st.tuples(one_of(TEXTS), one_of(TEXTS)).map("".join),
        long,
    )


def sound_texts() -> st.SearchStrategy[str]:
    """Texts that most fields take."""
    return one_of(["a", "b", "Tokyo", "\U0001f600", "<b>", "'", "a.b-c_d", "\u202ex"])


def names() -> st.SearchStrategy[Any]:
    """What is given for a name or an id: mostly a text."""
    return st.one_of(sound_texts(), texts(), wrong_types())


def integers() -> st.SearchStrategy[int]:
    """Integers around the edges of what others can count."""
    edges = [0, 1, -1, 2**31, 2**32, 2**53, 2**63, 2**64, -(2**63), 10**20, 10**400, 10**5000]
    beside = st.builds(lambda edge, by: edge + by, one_of(edges), st.integers(-1, 1))
    return st.one_of(st.integers(-5, 50), beside)


def floats() -> st.SearchStrategy[float]:
    """Floats with all that is special about them."""
    special = [0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1.7e308, 1e16, 0.1, 2.0**53 + 2]
    return st.one_of(one_of(special), st.floats())


def datetimes() -> st.SearchStrategy[datetime]:
    """Moments at the edges of the calendar, naive and aware, also with offsets that lead beyond it."""
    zones: list[timezone | None] = [
        None,
        UTC,
        timezone(timedelta(hours=23, minutes=59)),
        timezone(timedelta(hours=-23, minutes=-59, seconds=-59)),
        timezone(timedelta(seconds=1)),
    ]
    moments = [
        datetime.min,
        datetime.max,
        datetime(1969, 12, 31, 23, 59, 59, 999_999),
        datetime(1970, 1, 1),
        datetime(2026, 1, 1, 0, 0, 1),
        datetime(2038, 1, 19, 3, 14, 8),
        datetime(3026, 1, 1),
        datetime(9000, 1, 1),
    ]
    placed = st.builds(lambda at, zone: at.replace(tzinfo=zone), one_of(moments), one_of(zones))
    return st.one_of(placed, st.datetimes())


def durations() -> st.SearchStrategy[Any]:
    """What is given for a duration."""
    spans = [timedelta(0), timedelta.min, timedelta.max, timedelta(microseconds=1), timedelta(1)]
    return st.one_of(one_of([0, 0.5, 1, 3600]), floats(), integers(), one_of(spans))


def times() -> st.SearchStrategy[Any]:
    """What is given for a time: a moment, a duration, or nonsense."""
    return st.one_of(durations(), datetimes(), wrong_types())


class _Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__


class _Text(str):
    __slots__ = ()


class _Number(int):
    __slots__ = ()


class _Colour(StrEnum):
    RED = "red"


class _Level(IntEnum):
    HIGH = 3


class _Plain(Enum):
    ONE = "one"
    LIST = (1, 2)


@dataclasses.dataclass
class Point:
    """A value of a user's own."""

    x: Any = 0
    _hidden: Any = None


def wrong_types() -> st.SearchStrategy[Any]:
    """Things that are of no use where a text or a number is wanted."""
    things: list[Any] = [
        None,
        True,
        b"bytes",
        bytearray(b"\xff"),
        (),
        [],
        {},
        set(),
        object(),
        object,
        len,
        ...,
        NotImplemented,
        _Unprintable(),
        _Text("text"),
        _Number(7),
        _Colour.RED,
        _Level.HIGH,
        _Plain.LIST,
        Point(),
        1 + 2j,
        range(3),
        memoryview(b"x"),
        date(2026, 1, 1),
        time(23, 59, 59, 999_999),
        timedelta(days=1),
        Decimal("sNaN"),
        Decimal("1e999999"),
        UUID(int=2**128 - 1),
        PurePosixPath("../x"),
        ValueError("x"),
    ]
    return st.one_of(one_of(things), integers(), floats(), texts(), datetimes())


def _nested(depth: int, leaf: Any, in_dicts: bool) -> Any:
    for _ in range(depth):
        leaf = {"k": leaf} if in_dicts else [leaf]
    return leaf


def deep_values() -> st.SearchStrategy[Any]:
    """Values in each other, up to far deeper than anybody can follow."""
    depths = one_of([1, 199, 200, 201, 249, 250, 251, 255, 1_000, 5_000, 100_000])
    return st.builds(_nested, depths, one_of([0, None, math.nan]), st.booleans())


def _cycle() -> list[Any]:
    inside: list[Any] = []
    inside.append({"again": inside})
    return inside


def sound_values() -> st.SearchStrategy[Any]:
    """Values that have one form in JSON."""
    leaves = st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=8)
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)
        ),
        max_leaves=12,
    )


def values() -> st.SearchStrategy[Any]:
    """What is given for a payload."""
    hostile = st.recursive(
        st.one_of(wrong_types(), st.binary(max_size=8)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(_keys(), inner, max_size=3),
            st.builds(Point, inner, inner),
        ),
        max_leaves=6,
    )
    return st.one_of(sound_values(), hostile, deep_values(), st.builds(_cycle))


def _keys() -> st.SearchStrategy[Any]:
    hashable = [None, True, 1, "1", 1.5, b"k", (1,), _Colour.RED, _Level.HIGH, math.nan, 10**400]
    return st.one_of(one_of(hashable), texts())


def json_texts() -> st.SearchStrategy[bytes]:
    """JSON that parsers disagree about, and what only looks like it."""
    pieces: list[bytes] = [
        b"",
        b"null",
        b"NaN",
        b"Infinity",
        b"-0.0",
        b"-0",
        b"1e400",
        b"1" + b"0" * 400,
        b"1" + b"0" * 5_000,
        b"9007199254740993",
        b"1.0",
        b"1e2",
        b'"\\ud800"',
        b'"\\u0000"',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b'{"a":1,"a":2}',
        b'{"__proto__":1}',
        b"[" * 1_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
        b"[1,]",
        b"\xef\xbb\xbf1",
        b"'a'",
        b"01",
        b'"2026-02-30"',
        b'"9999-12-31T23:59:60Z"',
        b'"P999999999999D"',
        b'"00000000-0000-0000-0000-000000000000"',
        b"\xc1offloaded:x",
        b"\xc1unreadable:x",
    ]
    whole = st.one_of(one_of(pieces), st.binary(max_size=64))
    inside = st.builds(
        lambda inner, frame: frame.replace(b"?", inner),
        one_of(pieces),
        one_of([b"[?]", b'{"x":?}', b'{"x":1,"y":?}', b'["a",?,3]', b'{"k":[?,?]}']),
    )
    return st.one_of(whole, inside)


def damaged(sound: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes that were sound once: flipped, cut, repeated, with others in their midst."""
    return st.builds(_damage, sound, st.lists(_wounds(), max_size=4))


def _wounds() -> st.SearchStrategy[tuple[str, int, bytes]]:
    kinds = one_of(["flip", "cut", "insert", "repeat", "replace"])
    return st.tuples(kinds, st.integers(0, 2**16), st.binary(min_size=1, max_size=4))


def _damage(data: bytes, wounds: list[tuple[str, int, bytes]]) -> bytes:
    for kind, where, other in wounds:
        at = where % (len(data) + 1)
        match kind:
            case "flip":
                data = data[:at] + bytes(b ^ other[0] for b in data[at : at + 1]) + data[at + 1 :]
            case "cut":
                data = data[:at]
            case "insert":
                data = data[:at] + other + data[at:]
            case "repeat":
                data = data[:at] + data
            case _:
                data = data[:at] + other + data[at + len(other) :]
    return data


def one_line(value: Any) -> str:
    """Return an input for people to read, as far as it can be printed."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - some inputs are made not to be printed
        inside = [one_line(one) for one in value] if isinstance(value, (tuple, list)) else []
        text = (
            f"<{type(value).__name__} without a repr ({type(error).__name__}): {', '.join(inside)}>"
        )
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 2_000 else f"{text[:2_000]}..."
