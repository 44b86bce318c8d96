"""Bytes that do not fit are refused with the place, and types that cannot be read with advice."""

from __future__ import annotations

import asyncio
import enum
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Any, Literal, Self

import pytest

from durable_async.errors import DecodeError
from durable_async.serialization import JsonConverter, decoding
from durable_async.serialization.paths import type_name

from .shapes import Card, Cash, Color, Customer, Email, Invoice, Item, Node, Page, Point, Ratio

CONVERTER = JsonConverter()
WHERE = "activity 'charge' result"


def refused(data: bytes, into: Any) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        CONVERTER.decode(data, into, WHERE)
    error = caught.value
    assert error.where == WHERE
    assert isinstance(error, ValueError)
    return error


@pytest.mark.parametrize(
    ("data", "into", "path", "part"),
    [
        (b'"5"', int, "$", "Expected `int`, got `str`"),
        (b"1.5", int, "$", "Expected `int`, got `float`"),
        (b"1", str, "$", "Expected `str`, got `int`"),
        (b"1", bool, "$", "Expected `bool`, got `int`"),
        (b"null", int, "$", "Expected `int`, got `null`"),
        (b"1", None, "$", "Expected `null`, got `int`"),
        (b'{"name":"a","price":"x"}', Item, "$.price", "Expected `float`, got `str`"),
        (b'{"name":"a"}', Item, "$", "missing required field `price`"),
        (b'{"value":1,"children":[{"value":"x"}]}', Node, "$.children[0].value", "Expected `int`"),
        (b'{"a":[1,"x"]}', dict[str, list[int]], "$[...][1]", "Expected `int`"),
        (b'{"x":1}', dict[int, int], "$", "got `str` (a key of the object)"),
        (b'[{"x":1}]', list[dict[int, int]], "$[0]", "got `str` (a key of the object)"),
        (b'"green"', Color, "$", "Invalid enum value 'green'"),
        (b"[1]", tuple[int, int], "$", "Expected `array` of length 2"),
        (b'["a"]', Point, "$[0]", "Expected `int`"),
        (b'"yesterday"', datetime, "$", "Invalid RFC3339"),
        (b"1e999", float, "$", "Number out of range"),
        (b'{"tags":[1]}', Customer, "$.name", "Field required"),
        (b'[{"name":"a"},{"name":1}]', list[Customer], "$[1].name", "valid string"),
        (b'{"customer":{"name":"a","tags":["x",1]}}', Invoice, "$.customer.tags[1]", "string"),
        (b'{"rows":["x"]}', Page[int], "$.rows[0]", "valid integer"),
        (b"{", Customer, "$", "Invalid JSON"),
        (b'{"kind":"coin"}', Card | Cash, "$", ""),
        (b'[{"kind":"cash","amount":"x"}]', list[Card | Cash], "$[0]", ""),
        (b"{", Any, "$", "not valid JSON"),
        (b"", Any, "$", "not valid JSON"),
        (b"1 2", int, "$", "not valid JSON: JSON is malformed: trailing characters"),
        (b"NaN", float, "$", "not valid JSON"),
        (b'"\\ud800"', str, "$", "not valid JSON"),
        (b'"\xff"', str, "$", "not UTF-8: invalid start byte in byte 0"),
        (b'"\xed\xa0\x80"', Any, "$", "not UTF-8"),
        (b"[" * 100_000, Any, "$", "nested too deeply"),
        (b"[" * 100_000, list[Any], "$", "nested too deeply"),
    ],
)
def test_mismatches_name_place_and_reason(data: bytes, into: Any, path: str, part: str) -> None:
    error = refused(data, into)
    assert error.path.startswith(path) if "Card" in str(into) else error.path == path
    assert part in error.reason


class Opaque:
    pass


class Mixed(enum.Enum):
    A = 1
    B = "b"


@dataclass
class WithInitVar:
    a: InitVar[int]


@dataclass
class Picky:
    a: int

    def __post_init__(self) -> None:
        if self.a == 0:
            raise ValueError("a is zero")
        if self.a == 1:
            raise KeyError("a is one")


@pytest.mark.parametrize(
    ("into", "names"),
    [
        (Opaque, ["Opaque", "annotate a dataclass"]),
        (Email, ["Email", "annotate a dataclass"]),
        (list[Opaque], ["Opaque", "annotate a dataclass"]),
        (complex, ["'complex'", "annotate a dataclass"]),
        (deque[int], ["deque[int]", "annotate a dataclass"]),
        (Callable[[], int], ["Callable", "annotate"]),
        (type[int], ["type[int]", "annotate"]),
        (Self, ["Self", "annotate"]),
        ("Item", ["'Item'", "annotate"]),
        (str | datetime, ["str | datetime", "more than one str-like type"]),
        (Item | Node, ["Item |", "more than one dataclass"]),
        (Card | bytes, ["Card | bytes", "annotate"]),
        (list[Card | Item], ["Card |", "annotate"]),
        (Ratio, ["Ratio", "either all str or all int"]),
        (Mixed, ["Mixed", "either all str or all int"]),
        (WithInitVar, ["WithInitVar", "InitVar"]),
        (dict[str, Color | datetime], ["Color |", "str-like"]),
    ],
)
def test_types_that_cannot_be_read_are_named_with_advice(into: Any, names: list[str]) -> None:
    data = b"[1]" if "list" in repr(into) else b"1"
    error = refused(data, into)
    assert [part for part in names if part not in error.reason] == []


def test_a_hint_of_a_local_type_is_told_so() -> None:
    class Local:
        pass

    @dataclass
    class Holder:
        content: Local

    reason = refused(b"{}", Holder).reason
    assert "Holder" in reason
    assert "name 'Local' is not defined" in reason
    assert "define it at module level" in reason


def test_a_type_may_refuse_its_own_values() -> None:
    assert CONVERTER.decode(b'{"a":2}', Picky, WHERE) == Picky(2)
    assert refused(b'{"a":0}', Picky).reason == "a is zero"
    assert refused(b'[{"a":0}]', list[Picky]).path == "$[0]"
    assert "KeyError: 'a is one'" in refused(b'{"a":1}', Picky).reason


def test_the_cause_is_kept() -> None:
    error = refused(b'{"name":1}', Customer)
    assert type(error.__cause__).__name__ == "ModelMismatchError"
    assert error.__cause__ is not None
    assert type(error.__cause__.__cause__).__module__.startswith("pydantic")
    assert str(error.__cause__) == "Input should be a valid string - at $.name"


def test_decoders_are_made_once_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "DECODERS", {})  # not what other tests of this process left
    assert decoding.decoder_for(list[Item]) is decoding.decoder_for(list[Item])
    monkeypatch.setattr(decoding, "_DECODERS_MAX", 2)
    for into in (list[int], set[int], list[str], set[str], list[int]):
        assert CONVERTER.decode(b"[]", into, WHERE) == into()
        assert len(decoding.DECODERS) <= 2


async def test_threads_share_a_converter() -> None:
    def work(number: int) -> Node:
        node = Node(number, [Node(number + 1)])
        data = CONVERTER.encode(node, WHERE)
        back = CONVERTER.decode(data, Node, WHERE)
        assert isinstance(back, Node)
        return back

    made = await asyncio.gather(*(asyncio.to_thread(work, n) for n in range(50)))
    assert [node.value for node in made] == list(range(50))


def test_pydantic_is_not_imported() -> None:
    source = """
import sys
from dataclasses import dataclass
from durable_async.serialization import JsonConverter
@dataclass
class A:
    a: int
c = JsonConverter()
assert c.decode(c.encode([A(1), {2}], "value"), list, "value") == [{"a": 1}, [2]]
try:
    c.decode(b"1", A | complex, "value")
except ValueError:
    pass
sys.exit("pydantic" in sys.modules)
"""
    path = [p for p in sys.path if p]
    outcome = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{source}"], check=False
    )
    assert outcome.returncode == 0


def test_types_have_the_names_that_users_wrote() -> None:
    assert type_name(int) == "int"
    assert type_name(datetime) == "datetime.datetime"
    assert type_name(list[int]) == "list[int]"
    assert type_name(Literal["a"]) == "Literal['a']"
    assert type_name(Item) == f"{Item.__module__}.Item"
