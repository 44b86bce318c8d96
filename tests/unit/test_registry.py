"""What cannot be registered is refused, with what to do instead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from durable_async import OrchestrationContext, RegistrationError, Registry, ValidationError


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
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Registry().activity(name="price", **options)(Shop().price)
