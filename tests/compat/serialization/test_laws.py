"""What holds for every value and every text."""

from __future__ import annotations

import copy
import json
import pickle
import typing
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from durabletask._serialization.durations import duration_of, duration_text
from durabletask.serialization import AttributeDict, DurableDataConverter, JsonDataConverter

from .cases import Colour, Line, Order, Point
from .strategies import MARK, json_values, wide_values

DURABLE = DurableDataConverter()
PLAIN = DurableDataConverter(marks=False)
SDK = JsonDataConverter()

HINTS: list[Any] = [
    *(int, str, bool, list, dict, tuple, set, frozenset, object, type(None), Any),
    *(datetime, date, time, timedelta, Decimal, UUID, bytes, bytearray, Path),
    *(Colour, Line, Order, Point, Line | None, int | Line),
    *(list[Line], dict[str, Order], tuple[int, Line], tuple[Point, ...], set[int]),
    *(typing.List, typing.Dict, typing.Set, typing.Tuple, Sequence, Iterable),  # noqa: UP006 - without parameters
    *(dict[str, None], tuple[()], tuple[int, ...], dict[int, date], set[Line], [int], {}),
    *(Literal[1], Callable[..., int], typing.TypeVar("T"), "Line", 5, None, type[int]),
    TypedDict("Movie", {"name": str, "released": date}),  # type: ignore[operator]
    NamedTuple("Pair", [("left", Line), ("right", "Unknown")]),  # type: ignore[name-defined]  # noqa: F821
]


@given(wide_values)
def test_values_come_back_as_they_went_in(value: Any) -> None:
    again = DURABLE.deserialize(DURABLE.serialize(value))
    assert again == value
    assert _kinds(again) == _kinds(value)


@given(wide_values)
def test_what_came_back_is_written_as_before(value: Any) -> None:
    text = DURABLE.serialize(value)
    assert DURABLE.serialize(DURABLE.deserialize(text)) == text


@given(wide_values)
def test_copies_and_pickles_are_equal(value: Any) -> None:
    again = DURABLE.deserialize(DURABLE.serialize(value))
    for copied in (copy.deepcopy(again), pickle.loads(pickle.dumps(again)), copy.copy(again)):
        assert copied == again
        assert type(copied) is type(again)


@given(json_values)
def test_json_is_written_as_the_sdk_writes_it(value: Any) -> None:
    text = DURABLE.serialize(value)
    expected = SDK.serialize(value)
    if expected is not None and MARK not in expected:
        assert text == expected
        assert DURABLE.deserialize(expected) == SDK.deserialize(expected)
    assert DURABLE.deserialize(text) == value


@given(wide_values)
def test_the_sdk_reads_every_text(value: Any) -> None:
    json.dumps(SDK.deserialize(DURABLE.serialize(value)))


@given(wide_values)
def test_without_marks_the_texts_have_none(value: Any) -> None:
    text = PLAIN.serialize(value)
    assert text is None or f'"{MARK}":' not in text


@given(json_values, st.sampled_from(HINTS))
def test_no_text_of_json_is_refused_whatever_type_is_asked_for(value: Any, hint: Any) -> None:
    text = json.dumps(value)
    for converter in (DURABLE, SDK):
        converter.deserialize(text)
        converter.deserialize(text, hint)
        converter.coerce(value, hint)
        converter.can_reconstruct(hint)


@pytest.mark.parametrize("hint", HINTS, ids=repr)
def test_no_annotation_is_refused(hint: Any) -> None:
    for wrapped in (hint, typing.Annotated[hint, []]) if isinstance(hint, type) else (hint,):
        assert DURABLE.can_reconstruct(wrapped) in (True, False)
        for value in ([], ["x"], {}, {"x": 1}, (), ((1,),), set(), {1}, "x", 1, None):
            DURABLE.coerce(value, wrapped)


@given(st.sets(st.integers() | st.text(max_size=3)))
def test_equal_sets_have_equal_texts(value: set[Any]) -> None:
    other: set[Any] = set()
    for item in sorted(value, key=repr, reverse=True):
        other.add(item)
    assert DURABLE.serialize(other) == DURABLE.serialize(value)


@given(st.timedeltas())
def test_durations_are_exact(span: timedelta) -> None:
    assert duration_of(duration_text(span)) == span


@given(st.text(alphabet="-PTDHMS.0123456789", max_size=12))
def test_no_duration_is_read_that_is_none(text: str) -> None:
    try:
        span = duration_of(text)
    except (ValueError, OverflowError):
        return
    assert duration_of(duration_text(span)) == span


@given(st.dictionaries(st.text(max_size=8), st.integers(), max_size=5))
def test_an_object_with_attributes_is_a_dict(members: dict[str, int]) -> None:
    made = AttributeDict(members)
    assert made == members
    assert members == made
    assert {**made} == members
    assert json.dumps(made) == json.dumps(members)
    assert repr(made) == repr(members)
    for name, value in members.items():
        is_plain = not hasattr(dict, name) and not (name.startswith("__") and name.endswith("__"))
        if is_plain:
            assert getattr(made, name) == value


@pytest.mark.parametrize(
    "text", ["", "P", "-P", "PT", "P1DT", "P1Y", "P1M", "PT1.0000001S", "1", " P1D"]
)
def test_such_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration_of(text)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("PT90M", timedelta(minutes=90)),
        ("P1DT1H1M1.5S", timedelta(1, 3661, 500_000)),
        ("-PT0.000001S", timedelta(microseconds=-1)),
        ("P2D", timedelta(2)),
    ],
)
def test_durations_of_others_are_read(text: str, span: timedelta) -> None:
    assert duration_of(text) == span


def _kinds(value: Any) -> Any:
    """Return what equality does not tell apart: offsets, digits, and the types of numbers and bytes."""
    match value:
        case datetime() | time():
            return value.isoformat()
        case dict():
            return {key: _kinds(item) for key, item in value.items()}
        case list() | tuple():
            return [_kinds(item) for item in value]
        case set() | frozenset():
            return (type(value), sorted(str(_kinds(item)) for item in value))
        case _:
            return (type(value), str(value))
