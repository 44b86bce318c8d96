"""Which classes and functions can be entities, and under which names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from durable_async import (
    Entity,
    EntityContext,
    EntityId,
    FunctionEntity,
    OrchestrationContext,
    RegistrationError,
    Registry,
    ValidationError,
)


class Account(Entity[int]):
    def deposit(self, amount: int) -> None: ...

    async def balance(self) -> int:
        return 0


def account(ctx: EntityContext, amount: int = 0) -> int:
    """Keeps money."""
    return amount


class Plain:
    def deposit(self, amount: int) -> None: ...


class Counting(Entity[int]):
    def count(self) -> Iterator[int]:
        yield 1


class Streaming(Entity[int]):
    async def stream(self) -> AsyncIterator[int]:
        yield 1


class Hiding(Entity[int]):
    def context(self) -> None: ...  # type: ignore[override]


class Needing(Entity[int]):
    def __init__(self, owner: str, note: str = "") -> None: ...


class Variadic(Entity[int]):
    def take(self, *amounts: int) -> None: ...


class Selfless(Entity[int]):
    def take() -> None: ...  # type: ignore[misc]


def counting(ctx: EntityContext) -> Iterator[int]:
    yield 1


async def streaming(ctx: EntityContext) -> AsyncIterator[int]:
    yield 1


def without_context() -> None: ...
def with_two_inputs(ctx: EntityContext, a: int, b: int) -> None: ...


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (Plain, "Plain': it is not derived from Entity"),
        (Counting, "Counting.count': it is a generator"),
        (Streaming, "Streaming.stream': it is a generator"),
        (Hiding, "Hiding': its context hides that of Entity"),
        (Needing, "Needing': its __init__ needs owner"),
        (Variadic, r"Variadic.take': \*amounts has no place in a payload"),
        (Selfless, "Selfless.take': its first parameter must be self"),
        (counting, "counting': it is a generator"),
        (streaming, "streaming': it is a generator"),
        (without_context, "without_context': its first parameter must be the context"),
        (with_two_inputs, "with_two_inputs': it takes the context and one input, and also b"),
        (5, "'5': it is not a function"),
        (lambda ctx: 1, "no name of its own: pass name="),
    ],
)
def test_what_cannot_be_an_entity(code: Any, message: str) -> None:
    registry = Registry()
    with pytest.raises(RegistrationError, match=message):
        registry.entity(code)
    assert not registry.entities


@pytest.mark.parametrize("name", ["a@b", "x" * 201, "a\nb"])
def test_names_that_no_entity_can_have(name: str) -> None:
    with pytest.raises(ValidationError, match="entity name"):
        Registry().entity(name=name)(account)


def test_names_are_lowered_and_stored_with_their_mark() -> None:
    registry = Registry()
    registry.entity(name="Shop.Cart")(account)
    assert registry.entities == {"@shop.cart"}
    definition = registry.find_entity("@shop.cart")
    assert definition is not None
    assert (definition.name, definition.stored_name, definition.code) == (
        "shop.cart",
        "@shop.cart",
        account,
    )
    assert registry.find_entity("shop.cart") is None


def test_a_class_stays_the_same_class_and_knows_its_ids() -> None:
    assert Registry().entity(Account) is Account
    assert Account.entity_id("Ann@x") == EntityId("account", "Ann@x")
    with pytest.raises(ValidationError, match="entity key"):
        Account.entity_id("")


def test_a_class_that_is_no_entity_has_no_ids_even_if_its_base_is_one() -> None:
    Registry().entity(Account)

    class Savings(Account):
        pass

    with pytest.raises(RegistrationError, match="Savings': it is not an entity yet"):
        Savings.entity_id("x")
    registry = Registry()
    registry.entity(Savings)
    assert Savings.entity_id("x") == EntityId("savings", "x")
    definition = registry.find_entity("@savings")
    assert definition is not None
    assert set(definition.operations) == {"deposit", "balance"}


def test_a_function_can_still_be_called_and_knows_its_ids() -> None:
    kept = Registry().entity(account)
    assert isinstance(kept, FunctionEntity)
    context: Any = None
    assert kept(context, 5) == 5
    assert kept.entity_id("x") == EntityId("account", "x")
    assert kept.__doc__ == "Keeps money."
    assert repr(kept) == "<entity account>"


def test_which_operations_need_the_event_loop() -> None:
    registry = Registry()
    registry.entity(Account)
    definition = registry.find_entity("@account")
    assert definition is not None
    assert {name: method.is_async for name, method in definition.operations.items()} == {
        "deposit": False,
        "balance": True,
    }


def test_a_name_is_one_entitys() -> None:
    registry = Registry()
    registry.entity(Account)
    registry.entity(Account)
    with pytest.raises(RegistrationError, match=r"the name is taken by .*\.Account"):
        registry.entity(account)
    with pytest.raises(RegistrationError, match="Account is an entity already, named 'account'"):
        registry.entity(name="another")(Account)


def test_names_of_orchestrators_and_of_entities_are_apart() -> None:
    registry = Registry()

    @registry.orchestrator
    async def account(ctx: OrchestrationContext) -> None: ...

    registry.entity(Account)
    assert registry.names == {"account", "@account"}
    decorate: Callable[[Any], Any] = registry.orchestrator(name="@account")
    with pytest.raises(ValidationError, match="kept for entities"):
        decorate(account.function)
