"""Values, texts and types whose handling by the Durable Task SDK's own converter is recorded, and held to here.

``record_sdk.py`` runs these under the SDK, so nothing but names that the SDK has may be used.
"""

from __future__ import annotations

import collections
import fractions
import functools
import logging
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, Optional, Union
from uuid import UUID

from durabletask.serialization import JsonDataConverter

from .samples import (
    AnyInit,
    Basket,
    Bits,
    Colour,
    Computed,
    Failing,
    Frozen,
    Greatest,
    Hooked,
    HookedDict,
    HookedEnum,
    HookedPoint,
    KeywordConverter,
    Level,
    Line,
    Money,
    Movie,
    NotAHook,
    OfUnknown,
    Opaque,
    Order,
    OwnInit,
    Person,
    Picky,
    Point,
    SecretiveInit,
    Single,
    StaticInit,
    Strict,
    Text,
    Tree,
    WithInitVar,
    Word,
    Wrapped,
    WritesNonsense,
)


def ring() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


def namespace_with_hook() -> SimpleNamespace:
    return SimpleNamespace(to_json=lambda: "never asked")


T = typing.TypeVar("T")

WRITES: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "true": lambda: True,
    "zero": lambda: 0,
    "big int": lambda: 2**70,
    "float": lambda: 0.1,
    "float whole": lambda: 2.0,
    "float exponent": lambda: 1e300,
    "nan": lambda: float("nan"),
    "infinities": lambda: [float("inf"), float("-inf")],
    "empty text": lambda: "",
    "text": lambda: 'a "quote" and a \\ and a / and\n\t\x00\x7f',
    "non-ASCII": lambda: "Zürich \u2028 😀",
    "lone surrogate": lambda: "\ud800",
    "list": lambda: [1, [2, []], {}],
    "dict": lambda: {"b": 1, "a": {"c": None}},
    "dict keys": lambda: {0: "a", 1.5: "b", True: "c", None: "d", Level.HIGH: "e"},
    "dict key refused": lambda: {(1, 2): 3},
    "dict key date": lambda: {date(2026, 1, 1): 3},
    "ordered dict": lambda: collections.OrderedDict(b=1, a=2),
    "default dict": lambda: collections.defaultdict(int, a=2),
    "counter": lambda: collections.Counter("abb"),
    "tuple": lambda: (1, ("a", None)),
    "named tuple": lambda: Point(1, 2),
    "named tuple single": lambda: Single("manager@company.com"),
    "named tuple with hook": lambda: HookedPoint(1),
    "named tuple inside": lambda: {"p": [Point(1), Single(Point(3))]},
    "struct time": lambda: __import__("time").gmtime(0),
    "enum text": lambda: Colour.RED,
    "enum int": lambda: Colour.BLUE,
    "enum none": lambda: Colour.NONE,
    "int enum": lambda: Level.HIGH,
    "text enum": lambda: Word.YES,
    "flag": lambda: Bits.A | Bits.B,
    "enum with hook": lambda: HookedEnum.A,
    "dataclass": lambda: Line("a", 2),
    "dataclass nested": lambda: Order(1, [Line("a")], Line("b"), {"c": Line("c")}, (Line("d"), 1)),
    "dataclass slots": lambda: Frozen(x=1),
    "dataclass init false": lambda: Computed(3),
    "dataclass init var": lambda: WithInitVar(3, 2),
    "dataclass class": lambda: Line,
    "dataclass tree": lambda: Tree("a", [Tree("b")]),
    "namespace": lambda: SimpleNamespace(a=1, b=SimpleNamespace(c=[Line("x")])),
    "namespace with hook": namespace_with_hook,
    "hook": lambda: Hooked(datetime(2026, 1, 2)),
    "hook static": lambda: Money(5),
    "hook nested": lambda: {"m": [Money(5)], "b": Basket([Line("a")])},
    "hook of nonsense": WritesNonsense,
    "hook no method": NotAHook,
    "hook on text": lambda: Text("x"),
    "hook on dict": lambda: HookedDict(a=1),
    "hook class itself": lambda: Money,
    "datetime": lambda: datetime(2026, 1, 2, 3, 4, 5),
    "datetime inside": lambda: {"a": [datetime(2026, 1, 2)]},
    "date": lambda: date(2026, 1, 2),
    "time": lambda: time(1, 2),
    "timedelta": lambda: timedelta(seconds=1),
    "decimal": lambda: Decimal("1.50"),
    "fraction": lambda: fractions.Fraction(1, 2),
    "complex": lambda: 1j,
    "uuid": lambda: UUID(int=5),
    "set": lambda: {1},
    "frozenset": lambda: frozenset([1]),
    "bytes": lambda: b"a",
    "path": lambda: Path("/a"),
    "deque": lambda: collections.deque([1]),
    "range": lambda: range(2),
    "mapping proxy": lambda: vars(Line),
    "generator": lambda: (x for x in [1]),
    "opaque": Opaque,
    "opaque inside": lambda: [{"a": Opaque()}],
    "function": lambda: ring,
    "lambda partial": lambda: functools.partial(ring),
    "ring": ring,
    "exception": lambda: ValueError("x"),
}

READS: dict[str, tuple[str | None, Any]] = {
    "none": (None, None),
    "none typed": (None, Line),
    "empty": ("", None),
    "empty typed": ("", int),
    "null typed": ("null", Line),
    "object": ('{"a": {"b": [1, 2.5, null, true]}}', None),
    "nan": ("[NaN, Infinity, -Infinity]", None),
    "not json": ("{", None),
    "not json typed": ("{", Line),
    "twice the key": ('{"a": 1, "a": 2}', None),
    "white space": (" [1 ,\n2]\t", None),
    "int of text": ('"5"', int),
    "int of float": ("5.9", int),
    "int of word": ('"five"', int),
    "int of bool": ("true", int),
    "int of null": ("null", int),
    "float of int": ("5", float),
    "text of int": ("5", str),
    "text of object": ('{"a": 1}', str),
    "bool of text": ('"false"', bool),
    "list of object": ('{"a": 1}', list),
    "list of text": ('"ab"', list),
    "tuple of array": ("[1, 2]", tuple),
    "set of array": ("[1, 1, 2]", set),
    "frozenset of array": ("[1, 1]", frozenset),
    "dict of array": ("[1, 2]", dict),
    "dict of pairs": ('[["a", 1]]', dict),
    "bytes of text": ('"ab"', bytes),
    "bytes of ints": ("[65, 66]", bytes),
    "any": ('{"a": 1}', Any),
    "object type": ('{"a": 1}', object),
    "none type": ('{"a": 1}', type(None)),
    "datetime of text": ('"2026-01-01T00:00:00"', datetime),
    "decimal of text": ('"1.50"', Decimal),
    "decimal of float": ("0.1", Decimal),
    "uuid of text": ('"00000000-0000-0000-0000-000000000005"', UUID),
    "uuid of word": ('"x"', UUID),
    "path of text": ('"/a"', Path),
    "timedelta of int": ("2", timedelta),
    "enum": ('"red"', Colour),
    "enum int": ("2", Colour),
    "enum unknown": ('"green"', Colour),
    "int enum": ("2", Level),
    "text enum": ('"yes"', Word),
    "flag": ("3", Bits),
    "list of enum": ('["red", 2]', list[Colour]),
    "dataclass": ('{"sku": "a", "count": 2}', Line),
    "dataclass default": ('{"sku": "a"}', Line),
    "dataclass missing": ('{"count": 2}', Line),
    "dataclass unknown": ('{"sku": "a", "colour": 1}', Line),
    "dataclass coerced": ('{"sku": 5, "count": "2"}', Line),
    "dataclass misfit": ('{"sku": "a", "count": "two"}', Line),
    "dataclass of array": ('["a", 2]', Line),
    "dataclass of text": ('"a"', Line),
    "dataclass of int": ("5", Line),
    "dataclass null field": ('{"sku": null, "count": null}', Line),
    "dataclass nested": (
        '{"id": 1, "lines": [{"sku": "a"}], "gift": {"sku": "b"}, "by_sku": {"c": {"sku": "c"}}, "pair": [{"sku": "d"}, "1"]}',
        Order,
    ),
    "dataclass nested misfit": ('{"id": 1, "pair": [{"sku": "d"}]}', Order),
    "dataclass tree": (
        '{"name": "a", "children": [{"name": "b", "parent": {"name": "c"}}]}',
        Tree,
    ),
    "dataclass slots": ('{"x": "1"}', Frozen),
    "dataclass init false": ('{"a": 3, "total": 99}', Computed),
    "dataclass own init": ('{"a": 3, "b": 9}', OwnInit),
    "dataclass own init default": ('{"a": 3}', OwnInit),
    "dataclass any init": ('{"a": 3, "b": 9, "me": 1}', AnyInit),
    "dataclass static init": ('{"a": 3}', StaticInit),
    "dataclass init var": ('{"a": 3, "scale": 2}', WithInitVar),
    "dataclass of an unknown type": ('{"a": "3", "b": 1}', OfUnknown),
    "dataclass picky": ('{"a": -3}', Picky),
    "hook": ('{"when": "2026-01-02T00:00:00"}', Hooked),
    "hook misfit": ("[]", Hooked),
    "hook static": ("5", Money),
    "hook converter": ('{"lines": [{"sku": "a"}]}', Basket),
    "hook second parameter": ("1", Strict),
    "hook keyword converter": ("1", KeywordConverter),
    "hook without a signature": ("[1, 2]", Greatest),
    "dataclass init without a signature": ('{"a": 1, "b": 2}', SecretiveInit),
    "hook failing": ('{"a": 1}', Failing),
    "hook failing inside": ('[{"a": 1}]', list[Failing]),
    "named tuple": ("[1, 2]", Point),
    "named tuple single": ('["a"]', Single),
    "named tuple hook": ("[1]", HookedPoint),
    "named tuple of object": ('{"x": 1}', Point),
    "typed dict": ('{"name": "a", "year": "1"}', Movie),
    "namespace": ('{"a": 1}', SimpleNamespace),
    "wrapped": ('{"a": 1}', Wrapped),
    "opaque": ('{"a": 1}', Opaque),
    "list of int": ('["1", 2]', list[int]),
    "list of int misfit": ('["one", 2]', list[int]),
    "list of dataclass": ('[{"sku": "a"}, null]', list[Line]),
    "list hint of object": ('{"sku": "a"}', list[Line]),
    "bare typing list": ("[1]", typing.List),  # noqa: UP006
    "sequence": ('[{"sku": "a"}]', Sequence[Line]),
    "typing sequence": ('[{"sku": "a"}]', typing.Sequence[Line]),
    "iterable": ('[{"sku": "a"}]', Iterable[Line]),
    "list in list": ('[[{"sku": "a"}]]', list[list[Line]]),
    "dict of dataclass": ('{"a": {"sku": "a"}}', dict[str, Line]),
    "dict int keys": ('{"1": "2"}', dict[int, int]),
    "mapping": ('{"a": {"sku": "a"}}', Mapping[str, Line]),
    "bare typing dict": ('{"a": 1}', typing.Dict),  # noqa: UP006
    "dict hint of array": ("[1]", dict[str, int]),
    "tuple homogeneous": ('["1", "2"]', tuple[int, ...]),
    "tuple fixed": ('["1", {"sku": "a"}]', tuple[int, Line]),
    "tuple too long": ("[1, 2, 3]", tuple[int, int]),
    "tuple empty hint": ("[]", tuple[()]),
    "bare typing tuple": ("[1]", typing.Tuple),  # noqa: UP006
    "tuple hint of object": ('{"a": 1}', tuple[int, ...]),
    "set hint": ("[1, 1]", set[int]),
    "optional": ('{"sku": "a"}', Optional[Line]),
    "optional new style": ('{"sku": "a"}', Line | None),
    "optional null": ("null", Line | None),
    "optional int": ('"5"', Optional[int]),
    "optional list": ('[{"sku": "a"}]', list[Line] | None),
    "union matched": ('"5"', int | str),
    "union unmatched": ('{"sku": "a"}', Line | Order),
    "union of two": ('"5"', int | float),
    "union any": ('"5"', Union[Any, int]),
    "union in list": ('[{"sku": "a"}]', list[Line | Order]),
    "annotated": ('{"sku": "a"}', Annotated[Line, "x"]),
    "literal": ('"a"', Literal["a"]),
    "new type": ('"5"', Person),
    "type variable": ('"5"', T),
    "text hint": ('{"sku": "a"}', "Line"),
    "forward reference": ('[{"sku": "a"}]', list["Line"]),
    "callable": ('"5"', Callable[[], int]),
    "type of": ('"5"', type[int]),
    "protocol": ('{"a": 1}', typing.SupportsInt),
    "not a type": ('{"a": 1}', 5),
    "legacy": (
        '{"__durabletask_autoobject__": true, "a": {"__durabletask_autoobject__": true, "b": 1}}',
        None,
    ),
    "legacy false": ('{"__durabletask_autoobject__": false, "a": 1}', None),
    "legacy in list": ('[{"__durabletask_autoobject__": true, "a": 1}]', None),
    "legacy dict": ('{"__durabletask_autoobject__": true, "a": 1}', dict),
    "legacy dataclass": ('{"__durabletask_autoobject__": true, "sku": "a"}', Line),
    "legacy misfit": ('{"__durabletask_autoobject__": true, "count": 1}', Line),
    "legacy namespace": ('{"__durabletask_autoobject__": true, "a": 1}', SimpleNamespace),
    "legacy odd key": ('{"__durabletask_autoobject__": true, "a b": 1}', None),
}

COERCIONS: dict[str, tuple[Callable[[], Any], Any]] = {
    "no type": (lambda: {"a": 1}, None),
    "none": (lambda: None, Line),
    "already": (lambda: Line("a"), Line),
    "dataclass": (lambda: {"sku": "a"}, Line),
    "misfit": (lambda: {"count": 1}, Line),
    "list": (lambda: [{"sku": "a"}], list[Line]),
    "tuple is no list": (lambda: ({"sku": "a"},), list[Line]),
    "tuple stays": (lambda: ("1",), tuple[int]),
    "int": (lambda: "5", int),
    "marker is a key": (lambda: {"__durabletask_autoobject__": True, "sku": "a"}, dict),
    "converter": (lambda: {"lines": []}, Basket),
    "live datetime": (lambda: datetime(2026, 1, 1), datetime),
}

FOLLOWED: dict[str, Any] = {
    "dataclass": Line,
    "from_json": Money,
    "from_json failing": Failing,
    "to_json only": WritesNonsense,
    "int": int,
    "none": None,
    "none type": type(None),
    "any": Any,
    "bare dict": dict,
    "enum": Colour,
    "opaque": Opaque,
    "named tuple with hook": HookedPoint,
    "optional": Line | None,
    "optional int": int | None,
    "union": Union[int, Line],
    "list": list[Line],
    "list of int": list[int],
    "sequence": Sequence[Line],
    "list of optional": list[Line | None],
    "list in list": list[list[Money]],
    "tuple of int": tuple[int, int],
    "tuple": tuple[Line, ...],
    "dict": dict[str, Line],
    "mapping": Mapping[str, Line],
    "dict of list": dict[str, list[Line]],
    "iterable": Iterable[Line],
    "text": "Line",
    "type variable": T,
    "literal": Literal["a"],
}
FOLLOWED_BY_OURS_ONLY: dict[str, Any] = {
    "datetime": datetime,
    "date": date,
    "timedelta": timedelta,
    "decimal": Decimal,
    "uuid": UUID,
    "bytes": bytes,
    "path": Path,
    "set": set,
    "optional": datetime | None,
    "list": list[datetime],
    "named tuple": Point,
    "typed dict": Movie,
    "tuple": tuple[datetime, ...],
    "tuple mixed": tuple[int, Decimal],
    "dict": dict[str, datetime],
    "dict of list": dict[str, list[datetime]],
    "mapping": Mapping[str, UUID],
    "set of int": set[int],
    "set of dataclass": frozenset[Line],
    "iterable": Iterable[Decimal],
    "annotated": Annotated[datetime, 1],
}


def written(make: Callable[[], Any]) -> dict[str, Any]:
    """Return what a converter does with a value."""
    try:
        return {"text": JsonDataConverter().serialize(make())}
    except Exception as error:  # noqa: BLE001
        return _failure(error)


def read(text: str | None, hint: Any) -> dict[str, Any]:
    """Return what a converter makes of a text."""
    return _observed(lambda: JsonDataConverter().deserialize(text, hint))


def coerced(make: Callable[[], Any], hint: Any) -> dict[str, Any]:
    """Return what a converter makes of a value that was read before."""
    return _observed(lambda: JsonDataConverter().coerce(make(), hint))


def followed(hint: Any) -> bool:
    """Return whether a converter follows an annotation."""
    return JsonDataConverter().can_reconstruct(hint)


def everything() -> dict[str, dict[str, Any]]:
    """Return what is recorded."""
    return {
        "writes": {name: written(make) for name, make in WRITES.items()},
        "reads": {name: read(*case) for name, case in READS.items()},
        "coercions": {name: coerced(*case) for name, case in COERCIONS.items()},
        "followed": {name: followed(hint) for name, hint in FOLLOWED.items()},
        "not_followed": {name: followed(hint) for name, hint in FOLLOWED_BY_OURS_ONLY.items()},
    }


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.levels: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()
        self.levels.append(record.levelname)


def _observed(act: Callable[[], Any]) -> dict[str, Any]:
    lines = _Lines()
    logger = logging.getLogger("durabletask")
    before = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)
    try:
        value = act()
    except Exception as error:  # noqa: BLE001
        return _failure(error)
    finally:
        logger.removeHandler(lines)
        logger.setLevel(before)
    shown = "Opaque()" if isinstance(value, Opaque) else repr(value)
    return {"type": type(value).__name__, "value": shown, "log": lines.levels}


def _failure(error: Exception) -> dict[str, Any]:
    cause = error.__cause__
    return {
        "error": type(error).__name__,
        "message": str(error),
        "cause": None if cause is None else f"{type(cause).__name__}: {cause}",
    }
