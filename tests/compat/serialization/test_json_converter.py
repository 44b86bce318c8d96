"""`JsonDataConverter` does what the Durable Task SDK's does, as it was recorded from version 1.12.0."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from durabletask.serialization import DataConverter, JsonDataConverter

from . import cases

SDK: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "sdk_1_12.json").read_text())

# From Python 3.13 on a namespace can be made of a mapping, and so it is, there as here.
OF_ITS_TIME = {"namespace", "legacy namespace"} if sys.version_info >= (3, 13) else set()


@pytest.mark.parametrize("name", cases.WRITES)
def test_values_are_written_as_recorded(name: str) -> None:
    assert cases.written(cases.WRITES[name]) == SDK["writes"][name]


@pytest.mark.parametrize("name", [name for name in cases.READS if name not in OF_ITS_TIME])
def test_texts_are_read_as_recorded(name: str) -> None:
    assert cases.read(*cases.READS[name]) == SDK["reads"][name]


@pytest.mark.parametrize("name", cases.COERCIONS)
def test_values_are_coerced_as_recorded(name: str) -> None:
    assert cases.coerced(*cases.COERCIONS[name]) == SDK["coercions"][name]


@pytest.mark.parametrize("name", cases.FOLLOWED)
def test_annotations_are_followed_as_recorded(name: str) -> None:
    assert cases.followed(cases.FOLLOWED[name]) is SDK["followed"][name]


@pytest.mark.parametrize("name", cases.FOLLOWED_BY_OURS_ONLY)
def test_annotations_beyond_the_sdk_are_not_followed(name: str) -> None:
    assert cases.followed(cases.FOLLOWED_BY_OURS_ONLY[name]) is SDK["not_followed"][name] is False


def test_every_record_has_its_case() -> None:
    known = (
        cases.WRITES,
        cases.READS,
        cases.COERCIONS,
        cases.FOLLOWED,
        cases.FOLLOWED_BY_OURS_ONLY,
    )
    recorded = ("writes", "reads", "coercions", "followed", "not_followed")
    assert [set(case) for case in known] == [set(SDK[name]) for name in recorded]


def test_a_converter_of_ones_own_follows_no_annotation_unless_it_says_so() -> None:
    class Own(DataConverter):
        def serialize(self, value: Any) -> str | None:
            return None if value is None else repr(value)

        def deserialize(self, data: str | None, target_type: type | None = None) -> Any:
            return data

        def coerce(self, value: Any, target_type: type | None = None) -> Any:
            return value

    assert not Own().can_reconstruct(cases.Line)


def test_a_converter_has_to_say_how_values_are_written_and_read() -> None:
    with pytest.raises(TypeError, match="abstract"):
        DataConverter()  # type: ignore[abstract]


def test_a_type_that_a_derived_converter_follows_is_followed_in_lists() -> None:
    class Follows(JsonDataConverter):
        def can_reconstruct(self, target_type: Any) -> bool:
            return target_type is cases.Opaque or super().can_reconstruct(target_type)

    converter = Follows()
    assert converter.can_reconstruct(list[cases.Opaque])
    assert converter.can_reconstruct(cases.Opaque | None)
    assert not JsonDataConverter().can_reconstruct(list[cases.Opaque])


def test_a_derived_converter_is_handed_to_hooks_that_ask_for_it() -> None:
    class Derived(JsonDataConverter):
        pass

    basket = Derived().deserialize('{"lines": []}', cases.Basket)
    assert basket.by == "Derived"


def test_a_hook_that_cannot_be_remembered_is_looked_at_each_time() -> None:
    class Hook:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, value: Any, converter: Any) -> Any:
            return (value, converter)

    class Hooked:
        from_json = Hook()

    converter = JsonDataConverter()
    assert converter.deserialize("1", Hooked) == (1, converter)
