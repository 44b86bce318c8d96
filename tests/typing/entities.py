"""Entities as people use them, for type checkers to read; nothing here is run. See `api`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from durable_async import (
    CleanedEntities,
    Client,
    DurableFuture,
    Entity,
    EntityContext,
    EntityId,
    EntityLockHolder,
    EntityLocks,
    EntityState,
    OrchestrationContext,
    entity,
    orchestrator,
)


@dataclass
class Cart:
    items: list[str]


@entity
class ShoppingCart(Entity[Cart]):
    def initial_state(self) -> Cart:
        return Cart([])

    async def add(self, item: str, count: int = 1) -> int:
        self.state.items += [item] * count
        return len(self.state.items)

    def items(self) -> list[str]:
        return self.state.items

    def clear(self) -> None:
        self.state = Cart([])


@entity
def counter(ctx: EntityContext, amount: int) -> int:
    return amount


cart = ShoppingCart.entity_id("ada")
assert_type(cart, EntityId)
assert_type(counter.entity_id("a"), EntityId)


async def operations(client: Client) -> None:
    await client.signal_entity(cart, ShoppingCart.add, "tea")
    await client.signal_entity(cart, ShoppingCart.add, "tea", count=2)
    await client.signal_entity(cart, "add", "tea", at=timedelta(hours=1), request_id="r1")
    await client.signal_entity_at(60, cart, ShoppingCart.clear)
    await client.signal_entity_at(datetime.now(UTC), cart, "clear")
    assert_type(await client.call_entity(cart, ShoppingCart.add, "tea"), int)
    assert_type(await client.call_entity(cart, ShoppingCart.add, "tea", count=2), int)
    assert_type(await client.call_entity(cart, ShoppingCart.items), list[str])
    assert_type(await client.call_entity(cart, ShoppingCart.clear), None)
    assert_type(await client.call_entity(cart, "add", "tea"), Any)
    named = await client.call_entity(cart, "add", "tea", result_type=int, timeout=5)
    assert_type(named, int)

    await client.signal_entity("@cart@ada", ShoppingCart.clear)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.signal_entity(cart, ShoppingCart.add, 5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.signal_entity(cart, ShoppingCart.add)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.call_entity(cart, ShoppingCart.add, "tea", nonsense=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def handles(client: Client) -> None:
    handle = client.entity(cart, timeout=5, request_id="r1")
    assert_type(handle.entity_id, EntityId)
    await handle.signal(ShoppingCart.add, "tea")
    await handle.signal("add", "tea")
    await handle.signal_at(60, ShoppingCart.add, "tea", count=3)
    assert_type(await handle.call(ShoppingCart.add, "tea"), int)
    assert_type(await handle.call(ShoppingCart.items), list[str])
    assert_type(await handle.call("add", "tea", result_type=int), int)
    assert_type(await handle.call("add", "tea"), Any)
    assert_type(await handle.get(ShoppingCart), EntityState[Cart] | None)
    assert_type(await handle.locks(), EntityLocks)
    await handle.delete()


async def looking(client: Client) -> None:
    found = await client.get_entity(cart, ShoppingCart)
    assert_type(found, EntityState[Cart] | None)
    assert found is not None
    assert_type(found.state, Cart | None)
    assert_type(found.entity_id, EntityId)
    assert_type(found.backlog, int)
    assert_type(found.updated_at, datetime)
    assert_type(found.locked_by, EntityLockHolder | None)
    assert_type(await client.get_entity(cart, dict[str, int]), EntityState[dict[str, int]] | None)
    assert_type(await client.get_entity(cart), EntityState[Any] | None)
    async for one in client.query_entities(ShoppingCart, name=ShoppingCart, key_prefix="a"):
        assert_type(one.state, Cart | None)
    async for other in client.query_entities(name=counter, has_state=True):
        assert_type(other.state, Any | None)
    assert_type(client.query_entities(int), AsyncIterator[EntityState[int]])
    page, rest = await client.query_entities_page(ShoppingCart, name="cart", limit=5)
    assert_type(page, list[EntityState[Cart]])
    assert_type(rest, str | None)
    assert_type(await client.clean_entities(), CleanedEntities)
    assert_type(await client.unpark(cart), bool)

    client.query_entities(names="cart")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


@orchestrator
async def shopping(ctx: OrchestrationContext) -> int:
    ctx.signal_entity(cart, ShoppingCart.add, "tea")
    assert_type(ctx.call_entity(cart, ShoppingCart.add, "tea"), DurableFuture[int])
    assert_type(await ctx.call_entity(cart, "add", "tea", result_type=int), int)
    async with ctx.lock_entities([cart]):
        assert_type(await ctx.call_entity(cart, ShoppingCart.items), list[str])
    return 1
