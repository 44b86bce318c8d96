"""What goes in comes back equal, as annotated, for every type and nesting of types."""

from __future__ import annotations

import collections.abc
import math
import typing
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePath, PurePosixPath
from typing import Annotated, Any, Literal, NewType, Optional
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import orjson
import pydantic
import pytest
from hypothesis import given, strategies as st

from durable_async.serialization import JsonConverter

from .shapes import (
    Address,
    Box,
    Card,
    Cash,
    Cat,
    Cents,
    Color,
    Customer,
    Dog,
    Email,
    Empty,
    Invoice,
    Item,
    Kind,
    Level,
    Names,
    Node,
    Order,
    Ounces,
    Page,
    Pair,
    Point,
    Renamed,
    Right,
    Strict,
    Tag,
    TaggedPair,
)

CONVERTER = JsonConverter()
UserId = NewType("UserId", int)


def through(value: Any, into: Any) -> Any:
    return CONVERTER.decode(CONVERTER.encode(value, "value"), into, "value")


text = st.text(max_size=8)
integers = st.integers(-(2**63), 2**64 - 1)
numbers = st.floats(allow_nan=False, allow_infinity=False)
offsets = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59))
moments = st.datetimes(
    datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.none() | st.builds(timezone, offsets)
)
decimals = st.decimals(allow_nan=False, allow_infinity=False)

# (annotation, values, whether they can be dict keys)
SCALARS: list[tuple[Any, st.SearchStrategy[Any], bool]] = [
    (str, text, True),
    (int, integers, True),
    (float, numbers, True),
    (bool, st.booleans(), False),
    (None, st.none(), False),
    (bytes, st.binary(max_size=8), True),
    (datetime, moments, True),
    (date, st.dates(), True),
    (time, st.times(), True),
    (timedelta, st.timedeltas(), True),
    (UUID, st.uuids(), True),
    (Decimal, decimals, True),
    (Color, st.sampled_from(Color), True),
    (Level, st.sampled_from(Level), True),
    (Kind, st.sampled_from(Kind), True),
    (Right, st.sampled_from(Right), True),
    (Literal["a", "b", 3, None], st.sampled_from(["a", "b", 3, None]), False),
    (Point, st.builds(Point, integers, numbers), False),
    (Tag, st.builds(Tag, text), False),
    (UserId, integers, True),
]


def nested(depth: int) -> st.SearchStrategy[tuple[Any, st.SearchStrategy[Any], bool]]:
    """Draw an annotation, a strategy for its values, and whether values can be dict keys."""
    scalar = st.sampled_from(SCALARS)
    if depth == 0:
        return scalar
    inner = nested(depth - 1)
    return st.one_of(
        scalar,
        inner.map(lambda t: (list[t[0]], st.lists(t[1], max_size=3), False)),
        inner.map(
            lambda t: (
                tuple[t[0], ...],
                st.lists(t[1], max_size=3).map(tuple),
                False,
            )
        ),
        st.tuples(inner, inner).map(
            lambda ts: (tuple[ts[0][0], ts[1][0]], st.tuples(ts[0][1], ts[1][1]), False)
        ),
        st.tuples(scalar.filter(lambda t: t[2]), inner).map(
            lambda ts: (
                dict[ts[0][0], ts[1][0]],
                st.dictionaries(ts[0][1], ts[1][1], max_size=3),
                False,
            )
        ),
        scalar.map(lambda t: (set[t[0]], st.sets(t[1], max_size=3), False)),
        scalar.map(lambda t: (frozenset[t[0]], st.frozensets(t[1], max_size=3), False)),
        inner.map(lambda t: (Optional[t[0]], st.none() | t[1], False)),
        inner.map(lambda t: (Box[t[0]], st.builds(Box, t[1]), False)),
    )


@given(st.data())
def test_every_type_comes_back_equal(data: st.DataObject) -> None:
    annotation, values, _ = data.draw(nested(3))
    value = data.draw(values)
    back = through(value, annotation)
    assert back == value
    assert type(back) is type(value)


@given(st.data())
def test_what_came_back_has_the_same_bytes(data: st.DataObject) -> None:
    annotation, values, _ = data.draw(nested(2))
    value = data.draw(values)
    encoded = CONVERTER.encode(value, "value")
    again = CONVERTER.encode(CONVERTER.decode(encoded, annotation, "value"), "value")
    assert encoded == again


json_values = st.recursive(
    st.none() | st.booleans() | integers | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_plain_json_comes_back_without_an_annotation(value: Any) -> None:
    assert through(value, Any) == value
    assert through(value, object) == value
    assert through({"a": [value]}, dict[str, list[object]]) == {"a": [value]}


@given(st.builds(Item, text, numbers, st.sampled_from(Color)))
def test_dataclasses_with_forward_references_come_back(item: Item) -> None:
    order = Order(UUID(int=1), [item], datetime(2024, 1, 1, tzinfo=UTC), "slow", {"b", "a"}, 7)
    order.total = 3.5
    assert through(order, Order) == order


def test_a_tree_of_dataclasses_comes_back() -> None:
    tree = Node(1, [Node(2, [Node(3)]), Node(4)], parent=Node(0))
    assert through(tree, Node) == tree


VALUES: list[tuple[Any, Any]] = [
    (Empty(), Empty),
    (Email("a@b"), Email),
    ({Email("a@b"): (Cents(3), Ounces(1.5))}, dict[Email, tuple[Cents, Ounces]]),
    ({Email("a"): Cents(3)}, dict[Email, Cents]),
    (Address(city="Bern"), Address),
    (Address(city="Bern", street="a"), dict[str, str]),
    ({"x": Address(city="Bern")}, dict[str, Address]),
    (Cat("Tom"), Cat | Dog),
    (Dog("Rex", {"sit", "roll"}), Cat | Dog),
    (Dog("Rex", note="n"), Dog),
    (Pair(1, "a"), Pair),
    (TaggedPair(1), TaggedPair),
    ([Cat("Tom"), Dog("Rex")], list[Cat | Dog]),
    (bytearray(b"a\xff"), bytearray),
    (PurePosixPath("/a/b"), PurePosixPath),
    ([PurePath("x")], list[PurePath]),
    (5, Annotated[int, msgspec.Meta(gt=0)]),
    (5, Annotated[int, ["metadata that cannot be hashed"]]),
    ({"a": 1}, collections.abc.Mapping[str, int]),
    ([1], collections.abc.Sequence[int]),
    ({Tag("x"): 1}.keys() | {Tag("y")}, set[Tag]),
    (frozenset({frozenset({"a", "b"}), frozenset({"c"})}), frozenset[frozenset[str]]),
    (Box(Box([1])), Box[Box[list[int]]]),
    (5, int | str),
    ("5", int | str),
    ([1, 2.5], list[int | float]),
    (time(1, 2, 3, tzinfo=UTC), time),
    (datetime(2024, 5, 1, 12, tzinfo=ZoneInfo("Europe/Zurich")), datetime),
    (datetime(1800, 1, 1, tzinfo=ZoneInfo("Europe/Zurich")), datetime),
    ([Decimal("1.5"), 1.5, 3], list[Decimal | float | int]),
    (timedelta.min, timedelta),
    (timedelta.max, timedelta),
    (Decimal("1.10"), Decimal),
    ("a\x00b", str),
    ("\U0001f600 \u2028", str),
    (-0.0, float),
    (5e-324, float),
    (1, float),
    (Customer(name="a", tags={"x", "y"}), Customer),
    (Customer(name="a", scores={"x": [1.0]}, since=datetime(2024, 1, 1, tzinfo=UTC)), Customer),
    ([Customer(name="a")], list[Customer]),
    ({"a": Customer(name="a")}, dict[str, Customer | None]),
    (None, Optional[Customer]),
    (Renamed(bothAlias=1, out=2, inAlias=3), Renamed),
    (Page[int](rows=[1, 2]), Page[int]),
    ((Page[Customer](rows=[Customer(name="a")]), 1), tuple[Page[Customer], int]),
    (Strict(at=datetime(2024, 1, 1), members=(1, 2)), Strict),
    ([Strict(at=datetime(2024, 1, 1), members=(1, 2))], list[Strict]),
    (Names(["a", "b"]), Names),
    (Invoice(Customer(name="a"), Page[int](rows=[1])), Invoice),
    (Card(number="1"), Card | Cash),
    (Cash(amount=2), Annotated[Card | Cash, pydantic.Field(discriminator="kind")]),
    ([Cash(amount=2), Card(number="1"), None], list[Card | Cash | None]),
    ({"a": [Cash(amount=2)]}, dict[str, list[Card | Cash]]),
    ([Cash(amount=2)], typing.List[Card | Cash]),  # noqa: UP006 - the old spelling counts too
    ([Cash(amount=2)], list[Card | Cash] | dict[str, int]),
    ({"a": 1}, list[Card | Cash] | dict[str, int]),
    (3, Card | int),
    (Card(number="1"), Card | int),
    (Cat("Tom"), Annotated[Cat | Dog, "note"]),
]


@pytest.mark.parametrize(("value", "into"), VALUES, ids=[str(i) for _, i in VALUES])
def test_comes_back_equal(value: Any, into: Any) -> None:
    back = through(value, into)
    assert back == value
    if type(value) is not int:
        assert type(back) is type(value)


def test_a_memoryview_comes_back() -> None:
    assert bytes(through(memoryview(b"abc"), memoryview)) == b"abc"


def test_minus_zero_keeps_its_sign() -> None:
    assert math.copysign(1, through(-0.0, float)) == -1


def test_a_naive_datetime_stays_naive() -> None:
    assert through(datetime(2024, 1, 1), datetime).tzinfo is None
    assert through(datetime(2024, 1, 1, tzinfo=UTC), datetime).tzinfo is not None


def test_named_tuples_are_arrays() -> None:
    assert CONVERTER.encode(Point(1, 2.0), "value") == b"[1,2.0]"


def test_nothing_stored_is_none_for_every_type() -> None:
    assert CONVERTER.decode(None, int, "value") is None


def test_an_integer_beyond_64_bits_from_elsewhere_stays_exact() -> None:
    assert CONVERTER.decode(b"18446744073709551617", Any, "value") == 2**64 + 1


def test_members_that_the_type_does_not_name_are_ignored() -> None:
    data = b'{"name":"a","price":1.0,"later":[1]}'
    assert CONVERTER.decode(data, Item, "value") == Item("a", 1.0)


def test_a_result_that_never_comes_is_read_as_anything() -> None:
    assert CONVERTER.decode(b"1", typing.NoReturn, "value") == 1


@given(json_values)
def test_what_is_written_is_json(value: Any) -> None:
    assert orjson.loads(CONVERTER.encode(value, "value")) == value
