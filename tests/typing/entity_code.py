"""The code of entities as people write it, for type checkers to read; nothing here is run. See `api`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, assert_type

from durable_async import (
    Entity,
    EntityContext,
    EntityId,
    FunctionEntity,
    OrchestrationContext,
    Registry,
    entity,
    entity_context,
    orchestrator,
)


@dataclass
class Order:
    id: int


@orchestrator
async def checkout(ctx: OrchestrationContext, order: Order) -> str:
    return str(order.id)


@orchestrator
async def audit(ctx: OrchestrationContext) -> None: ...


# -- classes


@dataclass
class CartState:
    items: list[str]


@entity
class Cart(Entity[CartState]):
    def initial_state(self) -> CartState:
        return CartState([])

    def add(self, item: str, count: int = 1) -> int:
        assert_type(self.state, CartState)
        assert_type(self.get_state(), CartState | None)
        assert_type(self.get_state(default=0), CartState | int)
        assert_type(self.get_state(int), int | None)
        assert_type(self.get_state(int, 0), int)
        assert_type(self.get_state(dict[str, int], default=None), dict[str, int] | None)
        assert_type(self.context, EntityContext)
        self.state = CartState([item])
        self.set_state(None)
        self.state = None  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
        return count

    async def look(self) -> list[str]:
        return self.state.items

    def clear(self) -> None:
        self.delete_state()


class Wish(Entity[CartState]):
    def initial_state(self) -> int:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return 0


@entity(name="shop.wish")
class Named(Cart): ...


assert_type(Cart.entity_id("x"), EntityId)
assert_type(Cart().add("a"), int)
kept_class: type[Cart] = Cart
kept_named: type[Named] = Named
entity(5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


# -- functions


@entity
def counter(ctx: EntityContext, amount: int = 0) -> int | None:
    assert_type(ctx.get_state(), Any)
    assert_type(ctx.get_state(int), int | None)
    assert_type(ctx.get_state(int, 0), int)
    assert_type(ctx.entity_id, EntityId)
    assert_type(ctx.caller, str | None)
    assert_type(ctx.now(), datetime)
    ctx.signal_entity(Cart.entity_id("x"), Cart.add, "a", count=3)
    ctx.signal_entity(Cart.entity_id("x"), "add", {"item": "a"}, at=timedelta(hours=1))
    ctx.signal_entity_at(5, Cart.entity_id("x"), Cart.look)
    assert_type(ctx.start_orchestration(checkout, input=Order(1), instance_id="x"), str)
    assert_type(ctx.start_orchestration(audit), str)
    assert_type(ctx.start_orchestration("by name", {"any": 1}, version="2"), str)

    ctx.signal_entity(Cart.entity_id("x"), Cart.add, 5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ctx.signal_entity("@cart@x", Cart.clear)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ctx.start_orchestration(checkout, "no order")  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ctx.start_orchestration(checkout)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    return None


@entity(name="shop.slow")
async def slow(ctx: EntityContext) -> str:
    assert_type(entity_context(), EntityContext)
    return ctx.operation


@entity
def priced(ctx: EntityContext, amount: int, /) -> int:
    return amount


assert_type(slow, FunctionEntity[[], str])
assert_type(priced, FunctionEntity[[int], int])
assert_type(counter.entity_id("x"), EntityId)
assert_type(Registry().entities, frozenset[str])
