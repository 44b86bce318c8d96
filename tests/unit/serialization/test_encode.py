"""Bytes are the same in every process, and what does not become JSON is refused with its place."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pydantic
import pytest
from hypothesis import given, strategies as st

import durable_async
from durable_async.errors import ConfigurationError, EncodeError, PayloadTooLargeError
from durable_async.serialization import JsonConverter, plain
from durable_async.serialization.nesting import is_deeper_than

from .shapes import (
    Box,
    Color,
    Customer,
    Dog,
    Item,
    Level,
    Loose,
    Measure,
    Node,
    Order,
    Ratio,
    Tag,
    Vault,
)

CONVERTER = JsonConverter()
WHERE = "activity 'charge' input"


def encode(value: Any) -> bytes:
    return CONVERTER.encode(value, WHERE)


def refused(value: Any) -> EncodeError:
    with pytest.raises(EncodeError) as caught:
        encode(value)
    assert caught.value.where == WHERE
    return caught.value


# -- what is written


def test_dicts_keep_their_order() -> None:
    assert encode({"b": 1, "a": {"d": 1, "c": 2}}) == b'{"b":1,"a":{"d":1,"c":2}}'
    assert encode({2: 1, 1: 2}) == b'{"2":1,"1":2}'


def test_what_is_json_already_stays_as_it_is() -> None:
    text = b'[null,123456789012345678901234567890,{"a":null}]'
    assert JsonConverter().encode(orjson.Fragment(text), "a value") == text


def test_dict_subclasses_are_dicts() -> None:
    values = [OrderedDict(a=1), defaultdict(int, a=1), Counter(a=1)]
    assert {encode(value) for value in values} == {b'{"a":1}'}


def test_a_dataclass_is_its_fields_and_nothing_else() -> None:
    order = Order(uuid.UUID(int=1), [], datetime(2024, 1, 1, tzinfo=UTC))
    before = encode(order)
    assert order.count == 0  # a cached property leaves an attribute behind
    order.stray = object()  # type: ignore[attr-defined]
    assert encode(order) == before
    assert b'"_secret":1,"total":0.0' in before
    assert b"count" not in before
    assert b"limit" not in before


def test_sets_are_sorted_by_their_bytes() -> None:
    assert encode({"b", "a", "c"}) == b'["a","b","c"]'
    assert encode({10, 9, "a"}) == b'["a",10,9]'
    assert encode(frozenset({frozenset({2, 1}), frozenset({3})})) == b"[[1,2],[3]]"
    assert encode({Tag("b"), Tag("a")}) == b'[{"text":"a"},{"text":"b"}]'


def test_sets_have_the_same_bytes_on_the_slow_way() -> None:
    members = {Tag("b"), Tag("a"), Tag('"')}
    slow = orjson.loads(encode({1: members}))["1"]
    assert slow == orjson.loads(encode(members))


def test_keys_become_text() -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "not this"

    keys = {
        Text("t"): 1,
        1: 1,
        1.5: 1,
        Color.RED: 1,
        Level.LOW: 1,
        date(2024, 1, 1): 1,
        uuid.UUID(int=0): 1,
        Decimal("2.50"): 1,
        b"a": 1,
        timedelta(1): 1,
    }
    assert list(orjson.loads(encode(keys))) == [
        "t",
        "1",
        "1.5",
        "red",
        "-1",
        "2024-01-01",
        "00000000-0000-0000-0000-000000000000",
        "2.50",
        "YQ==",
        "P1D",
    ]


def test_keys_become_text_inside_other_values() -> None:
    assert encode(Box({1: {2: "a"}})) == b'{"content":{"1":{"2":"a"}}}'
    assert encode([Dog("Rex"), {1: None}]) == (
        b'[{"type":"dog","fullName":"Rex","tricks":[]},{"1":null}]'
    )


def test_offsets_with_seconds_become_utc() -> None:
    zone = timezone(timedelta(hours=1, seconds=30))
    assert encode(datetime(2024, 1, 1, 1, 0, 30, tzinfo=zone)) == b'"2024-01-01T00:00:00+00:00"'
    assert encode(datetime(1, 1, 1)) == b'"0001-01-01T00:00:00"'


def test_subclasses_are_written_like_their_bases() -> None:
    class Amount(float):
        pass

    class Id(uuid.UUID):
        pass

    class Moment(datetime):
        pass

    class Number(int):
        pass

    value = [Amount(1.5), Id(int=0), Moment(2024, 1, 1), Number(3), Ratio.HALF]
    expected = b'[1.5,"00000000-0000-0000-0000-000000000000","2024-01-01T00:00:00",3,0.5]'
    assert encode(value) == expected
    assert encode({1: value}) == b'{"1":' + expected + b"}"


def test_null_is_not_taken_for_a_number() -> None:
    value = [None, "null", {"a": None}, (None,), {None}, Ratio.HALF, Color.RED, Level.LOW]
    rest = [Tag("null"), Decimal("NaN"), uuid.UUID(int=0), date(2024, 1, 1), True, 1, 0.5, b"x"]
    assert encode([value, rest]).startswith(b'[[null,"null",{"a":null},[null],[null]')
    assert encode(None) == b"null"


SEEDED = """
import sys
from tests.unit.serialization.shapes import *
from durable_async.serialization import JsonConverter
names = {f"name {n}" for n in range(20)}
value = [
    names, {frozenset({n, n + "!"}) for n in names}, {Tag(n) for n in names},
    Dog("Rex", set(names)),
    Customer(name="a", tags=set(names), groups=frozenset(frozenset({n, n + "!"}) for n in names)),
    Page[Customer](rows=[Customer(name="a", tags=set(names))]), Box(Box(names)), {1: names},
]
sys.stdout.buffer.write(JsonConverter().encode(value, "value"))
"""


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root), str(Path(durable_async.__file__).parents[1])])
    seen = {
        subprocess.run(
            [sys.executable, "-c", SEEDED],
            env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(seen) == 1
    assert b'["name 0","name 1"' in seen.pop()


def test_the_cache_of_types_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_KNOWN_TYPES_MAX", 3)
    for number in range(6):
        made = make_dataclass(f"Made{number}", [("a", int)])
        assert encode(made(number)) == b'{"a":%d}' % number
        assert len(plain._known) <= 3


# -- what is refused


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (lambda x: x, "$"),
        (lambda x: {"items": [1, {"price": x}]}, "$.items[1].price"),
        (lambda x: {"a key": (x,)}, '$["a key"][0]'),
        (lambda x: Item("a", x), "$.price"),
        (lambda x: Node(1, [Node(x)]), "$.children[0].value"),
        (lambda x: {x}, "$[*]"),
        (lambda x: Dog("Rex", {x}), "$.tricks[*]"),
        (lambda x: Loose(anything=[x]), "$.anything[0]"),
        (lambda x: Loose(anything={"k": {x, 1}}), "$.anything.k[0]"),
        (lambda x: Loose(anything={x, None}), "$.anything[0]"),
        (lambda x: Measure(size=x), "$.size"),
        (lambda x: {3: None, 4: x}, "$.4"),
        (lambda x: {"null": x}, "$.null"),
    ],
)
def test_non_finite_numbers_are_refused(number: float, wrap: Any, path: str) -> None:
    error = refused(wrap(number))
    assert error.path == path.replace("$.4", '$["4"]')
    assert error.reason == f"JSON has no {number}: use None, or a str"


def test_a_non_finite_enum_value_is_refused() -> None:
    class Bad(Enum):
        NAN = float("nan")

    assert refused([Bad.NAN]).path == "$[0]"


@given(st.lists(st.none() | st.floats() | st.just("null")))
def test_non_finite_numbers_never_become_null(values: list[Any]) -> None:
    if any(v != v or v in (float("inf"), float("-inf")) for v in values if v is not None):
        refused(values)
    else:
        assert orjson.loads(encode(values)) == values


class Opaque:
    pass


class Awaitable:
    def __await__(self) -> Any:
        yield


class NoZone(tzinfo):
    def utcoffset(self, moment: datetime | None) -> None:
        return None


@pytest.mark.parametrize(
    ("value", "path", "part"),
    [
        (
            {"a": ["x", "\ud800"]},
            "$.a[1]",
            "the text holds a lone surrogate (U+D800 at position 0)",
        ),
        ({"é\udfff": 1}, "$", "a dict key holds a lone surrogate (U+DFFF at position 1)"),
        ([2**64], "$[0]", "beyond 64 bits"),
        ({"n": -(2**63) - 1}, "$.n", "beyond 64 bits"),
        ({2**64: 1}, "$", "beyond 64 bits"),
        ({float("nan"): 1}, "$", "JSON has no nan"),
        ({"a": {1: "x", "1": "y"}}, "$.a", "two keys of a dict become the same text '1'"),
        ({"a": {(1, 2): "x"}}, "$.a", "a dict key of type 'tuple' does not become text"),
        ({True: 1}, "$", "a dict key of type 'bool' does not become text"),
        ({None: 1}, "$", "a dict key of type 'NoneType' does not become text"),
        ({Opaque(): 1}, "$", "Opaque' does not become JSON"),
        ({"a": [1, Opaque()]}, "$.a[1]", "Opaque' does not become JSON: use a dataclass"),
        ({Opaque()}, "$[*]", "Opaque' does not become JSON"),
        (Box(Opaque()), "$.content", "Opaque' does not become JSON"),
        (1j, "$", "a value of type 'complex' does not become JSON"),
        ([int], "$[0]", "a class is not a value"),
        ([print], "$[0]", "builtin_function_or_method"),
        ([Awaitable()], "$[0]", "Awaitable is not a result yet: await it"),
        ([time(1, tzinfo=timezone(timedelta(seconds=30)))], "$[0]", "offset from UTC has seconds"),
        ([time(1, tzinfo=NoZone())], "$[0]", "a zone without a fixed offset"),
        ([Vault(key=pydantic.SecretStr("x"))], "$[0]", "stored as asterisks"),
        ([Loose(anything={1: "a", "1": "b"})], "$[0]", "two keys of a dict become the same text"),
        ([Loose(anything=b"\xff")], "$[0]", "utf-8"),
        ([Loose(anything=Opaque())], "$[0]", "Unable to serialize unknown type"),
    ],
)
def test_refusals_name_place_and_reason(value: Any, path: str, part: str) -> None:
    error = refused(value)
    assert error.path == path
    assert part in error.reason
    assert isinstance(error, TypeError)


def test_a_forgotten_await_is_named() -> None:
    waiting = asyncio.sleep(0)
    assert "await it" in refused({"a": waiting}).reason
    waiting.close()


def test_an_unset_field_is_named() -> None:
    @dataclass
    class Half:
        late: int = field(init=False)

    assert "late" in refused([Half()]).reason


def test_an_exception_without_words_is_named_by_its_type() -> None:
    class Silent(tzinfo):
        def utcoffset(self, moment: datetime | None) -> None:
            raise KeyError

    assert refused([datetime(2024, 1, 1, tzinfo=Silent())]).reason == "KeyError"


def test_long_keys_are_cut_in_paths() -> None:
    path = refused({"k" * 1000: 1j}).path
    assert path.startswith('$["kkk')
    assert len(path) < 100


# -- size and depth


def test_the_size_limit_is_exact() -> None:
    small = JsonConverter(payload_bytes_max=10)
    assert small.encode("a" * 8, WHERE) == b'"aaaaaaaa"'
    with pytest.raises(PayloadTooLargeError) as caught:
        small.encode("a" * 9, WHERE)
    error = caught.value
    assert (error.field, error.size_bytes, error.limit_bytes) == (WHERE, 11, 10)


@pytest.mark.parametrize("limits", [{"payload_bytes_max": 0}, {"depth_max": 0}, {"depth_max": 251}])
def test_limits_have_ranges(limits: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="depth_max from 1 to 250"):
        JsonConverter(**limits)


def lists(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def nodes(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = Box(value)
    return value


def keyed(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = {1: value}
    return value


def frozen(depth: int) -> Any:
    value: frozenset[Any] = frozenset()
    for _ in range(depth - 1):
        value = frozenset({value})
    return value


@pytest.mark.parametrize("make", [lists, nodes, keyed, frozen])
@pytest.mark.parametrize("limit", [1, 7, 200, 250])
def test_the_depth_limit_is_exact(make: Any, limit: int) -> None:
    converter = JsonConverter(depth_max=limit)
    converter.encode(make(limit), WHERE)
    with pytest.raises(EncodeError, match=f"nested deeper than {limit} levels"):
        converter.encode(make(limit + 1), WHERE)


@pytest.mark.parametrize("make", [lists, nodes, keyed, frozen])
def test_no_depth_breaks_anything(make: Any) -> None:
    assert "nested deeper than 200" in refused(make(900)).reason


def test_a_stack_that_is_nearly_full_breaks_nothing() -> None:
    def below(frames: int) -> EncodeError:
        return below(frames - 1) if frames else refused(keyed(150))

    limit = sys.getrecursionlimit()
    assert "left of the stack" in below(limit - 300).reason


def test_a_value_that_contains_itself_is_told_so() -> None:
    by_list: list[Any] = [1]
    by_list.append({"me": by_list})
    by_dict: dict[str, Any] = {}
    by_dict["me"] = by_dict
    node = Node(1)
    node.children.append(node)
    model = Loose()
    model.anything = [model]
    for value in (by_list, by_dict, node):
        assert refused(value).reason == "the value contains itself"
    assert "Circular reference" in refused(model).reason


def test_the_same_value_twice_is_no_circle() -> None:
    shared = {"a": 1}
    assert encode([shared, shared, {1: shared}]) == b'[{"a":1},{"a":1},{"1":{"a":1}}]'


def depth_of(value: Any) -> int:
    match value:
        case list():
            return 1 + max(map(depth_of, value), default=0)
        case dict():
            return 1 + max(map(depth_of, value.values()), default=0)
        case _:
            return 0


brackets = st.text('[]{}"\\,:a', max_size=6)


@given(
    st.recursive(
        st.integers() | brackets,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(brackets, inner, max_size=4),
        max_leaves=30,
    ),
    st.integers(1, 6),
)
def test_depth_is_counted_outside_strings(value: Any, depth_max: int) -> None:
    data = msgspec.json.encode(value)
    assert is_deeper_than(data, depth_max) == (depth_of(value) > depth_max)


def test_wide_values_are_not_deep() -> None:
    encode([{"text": '[[[["'} for _ in range(500)])
    encode({"a": [[] for _ in range(500)]})


def test_models_with_sets_of_any_kind_are_sorted() -> None:
    model = Loose(anything=[{"b", "a"}, {"k": {2, 1}}, ({"d", "c"},)])
    assert encode(model) == b'{"anything":[["a","b"],{"k":[1,2]},[["c","d"]]]}'
    assert Customer.model_validate_json(encode(Customer(name="a"))) == Customer(name="a")


def test_a_large_value_is_warned_of_once_for_each_thing(caplog: pytest.LogCaptureFixture) -> None:
    converter = JsonConverter(payload_bytes_warn=100)
    for where in ("a", "a", "b"):
        converter.encode("x" * 99, where)
    converter.encode("x" * 98, "c")
    assert [message.split(":")[0] for message in caplog.messages] == ["a", "b"]
    assert "101 bytes encoded, and 4194304 are the limit" in caplog.messages[0]
