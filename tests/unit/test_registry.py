"""What cannot be registered is refused, with what to do instead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from durable_async import (
    Activity,
    ActivityOptions,
    EntityContext,
    FunctionEntity,
    JsonConverter,
    OrchestrationContext,
    Orchestrator,
    RegistrationError,
    Registry,
    RetryPolicy,
    ValidationError,
)
from durable_async.registry import EntityDefinition


class Shop:
    async def price(self, product: str) -> int:
        return len(product)

    async def sell(self, ctx: OrchestrationContext) -> int:
        return 1


async def streams(ctx: OrchestrationContext) -> AsyncIterator[int]:
    yield 1


def counts() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("register", "message"),
    [
        (lambda registry: registry.activity(Shop.price), "Shop.price': it is a method"),
        (lambda registry: registry.orchestrator(Shop.sell), "Shop.sell': it is a method"),
        (lambda registry: registry.orchestrator(streams), "streams': it is an async generator"),
        (lambda registry: registry.activity(counts), "counts': it is a generator"),
        (lambda registry: registry.activity(streams), "streams': it is a generator"),
        (lambda registry: registry.activity(5), "'5': it is not a function"),
        (lambda registry: registry.orchestrator(5), "'5': it is not a function"),
        (lambda registry: registry.activity(lambda: 1), "no name of its own: pass name="),
    ],
)
def test_what_cannot_be_registered(register: Callable[[Registry], Any], message: str) -> None:
    registry = Registry()
    with pytest.raises(RegistrationError, match=message):
        register(registry)
    assert not registry.activities | registry.orchestrators


async def test_a_method_of_an_object_is_a_function() -> None:
    registry = Registry()
    price = registry.activity(Shop().price)
    assert registry.activities == {"price"}
    assert await price("desk") == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retry": 3}, "retry: must be a RetryPolicy, not 3"),
        ({"heartbeat": "5s"}, "heartbeat: must be seconds or a timedelta, not '5s'"),
        ({"start_to_close": -1}, "start_to_close: must be 0 or more seconds"),
        (
            {"timeout": 5},
            "timeout: there is no such option of an activity; there are name, retry, start_to_close,",
        ),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Registry().activity(name="price", **options)(Shop().price)


async def test_an_option_at_a_call_is_told_where_it_stands() -> None:
    price = Registry().activity(Shop().price)
    with pytest.raises(ValidationError, match=r"stands in price\.with_options\(retry=\.\.\.\)"):
        price.encode_input(JsonConverter(), "desk", retry=RetryPolicy())  # type: ignore[call-arg]


class Anything:
    """Stands in for every name, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def orchestrator(self, name: str) -> Orchestrator[Any, Any]:
        async def stand_in(ctx: OrchestrationContext) -> None: ...

        self.asked.append(name)
        return Orchestrator(stand_in, name)

    def activity(self, name: str) -> Activity[Any, Any]:
        self.asked.append(name)
        return Activity(Shop().price, name, ActivityOptions())

    def entity(self, stored_name: str) -> EntityDefinition:
        def stand_in(ctx: EntityContext) -> None: ...

        self.asked.append(stored_name)
        return FunctionEntity(stand_in, stored_name[1:])


def test_without_a_fallback_unknown_names_are_unknown() -> None:
    registry = Registry()
    assert registry.names == registry.activity_names == frozenset()
    assert registry.find_orchestrator("x") is None
    assert registry.find_activity("x") is None
    assert registry.find_entity("@x") is None


def test_with_a_fallback_any_name_is_known() -> None:
    fallback = Anything()
    registry = Registry(fallback=fallback)

    @registry.activity
    async def known() -> None: ...

    assert registry.names is registry.activity_names is None
    assert registry.activities == {"known"}
    assert registry.find_activity("known") is known
    for _ in range(3):
        found = (
            registry.find_orchestrator("x"),
            registry.find_activity("y"),
            registry.find_entity("@z"),
        )
        assert [one and one.name for one in found] == ["x", "y", "z"]
    assert fallback.asked == ["x", "y", "@z"]


def test_what_is_registered_later_counts() -> None:
    registry = Registry(fallback=Anything())
    stand_in = registry.find_activity("late")

    @registry.activity
    async def late() -> None: ...

    assert registry.find_activity("late") is late is not stand_in
