"""What annotations say of inputs and results, and that nothing they hold can do harm."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from datetime import datetime
from typing import Any, Optional

import pytest

from durabletask.internal.type_discovery import (
    activity_input_type,
    activity_output_type,
    discover_input_type,
    discover_return_type,
    entity_input_type,
    orchestrator_input_type,
)
from durabletask.serialization import DurableDataConverter, JsonDataConverter

from .functions import FUNCTIONS, Entity, Order

# What the Durable Task SDK finds too; it finds none in the others.
FOUND_BY_THE_SDK: dict[str, tuple[Any, Any]] = {
    "plain": (Order, Order),
    "optional": (Optional[Order], list[Order]),
    "annotated": (Order, list[Order]),
    "wrapped": (Order, Order),
    "generator": (Order, Order),
}
FOUND_BEYOND: dict[str, tuple[Any, Any]] = {
    "forward": (Order, None),
    "unresolved": (None, Order),
    "partial": (Order, Order),
    "callable": (Order, Order),
    "unhashable": (Order, Order),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_types_are_found_as_far_as_they_can_be(name: str) -> None:
    fn = FUNCTIONS[name]
    expected = (FOUND_BY_THE_SDK | FOUND_BEYOND).get(name, (None, None))
    for converter in (None, JsonDataConverter()):
        found = discover_input_type(fn, converter), discover_return_type(fn, converter)
        assert found == expected
        assert orchestrator_input_type(fn, converter) == expected[0]
        assert activity_input_type(fn, converter) == expected[0]
        assert activity_output_type(fn, converter) == expected[1]


@pytest.mark.parametrize(
    ("operation", "found"),
    [("add", Order), ("none", None), ("value", None), ("absent", None), ("fixed", None)],
)
def test_an_operation_of_a_class_is_its_method(operation: str, found: Any) -> None:
    assert entity_input_type(Entity, operation) is found


def test_a_method_without_self_has_its_input_first() -> None:
    class Counter:
        @staticmethod
        def fixed(order: Order) -> None: ...

        @classmethod
        def of_class(cls, order: Order) -> None: ...

    assert entity_input_type(Counter, "fixed") is Order
    assert entity_input_type(Counter, "of_class") is Order


def test_an_entity_function_has_one_input_for_all_operations() -> None:
    assert entity_input_type(FUNCTIONS["plain"], "any") is Order


def test_a_bound_method_has_no_self_to_pass_over() -> None:
    assert discover_input_type(Entity().add, skip=0) is Order


def test_a_name_has_no_result() -> None:
    assert discover_return_type("plain") is None


def test_the_converter_says_what_is_followed() -> None:
    def at(ctx: Any, when: datetime) -> datetime:
        return when

    assert discover_input_type(at) is datetime
    assert discover_input_type(at, DurableDataConverter()) is datetime
    assert discover_input_type(at, JsonDataConverter()) is None
    assert discover_return_type(at, JsonDataConverter()) is None


def test_a_result_is_what_comes_in_the_end() -> None:
    async def coroutine(ctx: Any) -> Order: ...

    def generator(ctx: Any) -> Generator[Any, Any, Order]: ...

    def awaitable(ctx: Any) -> Awaitable[Order]: ...

    def other(ctx: Any) -> Coroutine[Any, Any, list[Order]]: ...

    def nothing(ctx: Any) -> Generator[Any, Any, None]: ...

    assert discover_return_type(coroutine) is Order
    assert discover_return_type(generator) is Order
    assert discover_return_type(awaitable) is Order
    assert discover_return_type(other) == list[Order]
    assert discover_return_type(nothing) is None


def test_names_around_a_function_are_seen_while_they_are_there() -> None:
    from dataclasses import dataclass

    @dataclass
    class Local:
        id: int

    def activity(ctx: Any, local: Local) -> Local:
        return local

    assert discover_input_type(activity) is Local
    assert discover_return_type(activity) is Local
