"""Shopping cart: an entity with `async` operations and a typed state; it empties itself if nobody touches it for a while.

A delayed signal to itself is its alarm clock. Here it rings after a second, and may as well after a week.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from durable_async import (
    Entity,
    EntityOperationFailedError,
    OrchestrationContext,
    TaskHub,
    entity,
    orchestrator,
)

EXPIRY_SECONDS = 1.0
PRICES = {"desk": Decimal("249.90"), "lamp": Decimal("39.50")}


@dataclass
class Cart:
    items: dict[str, int] = field(default_factory=dict)
    total: Decimal = Decimal(0)
    touched: datetime | None = None


async def price_of(product: str) -> Decimal:
    await asyncio.sleep(0.01)  # a request to another service, say: meanwhile other carts go on
    return PRICES[product]


@orchestrator
async def ship(ctx: OrchestrationContext, cart: Cart) -> str:
    return f"shipped {cart.items} for {cart.total}"


@entity
class ShoppingCart(Entity[Cart]):
    def initial_state(self) -> Cart:
        return Cart()

    async def put(self, product: str, count: int = 1) -> Decimal:
        cart = self.state
        cart.items[product] = cart.items.get(product, 0) + count
        cart.total += count * await price_of(product)  # if this fails, nothing was put
        cart.touched = self.context.now()
        itself = self.context.entity_id
        self.context.signal_entity_at(EXPIRY_SECONDS, itself, ShoppingCart.expire, cart.touched)
        return cart.total

    async def check_out(self) -> str:
        order = self.context.start_orchestration(ship, self.state)
        self.delete_state()
        return order

    def items(self) -> dict[str, int]:
        return self.state.items

    def expire(self, touched: datetime) -> None:
        if self.state.touched == touched:  # nobody touched it since
            self.delete_state()


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        client = hub.client
        ada = client.entity(ShoppingCart.entity_id("ada@example.org"))
        await ada.call(ShoppingCart.put, "desk")
        print(f"total: {await ada.call(ShoppingCart.put, 'lamp', count=2)}")
        try:
            await ada.call(ShoppingCart.put, "unicorn")
        except EntityOperationFailedError as error:
            print(f"failed: {error.failure.error_type}")
        print(f"as before: {await ada.call(ShoppingCart.items)}")
        print(await client.wait(await ada.call(ShoppingCart.check_out), str))

        alan = client.entity(ShoppingCart.entity_id("alan@example.org"))
        print(f"total: {await alan.call(ShoppingCart.put, 'lamp')}")
        await asyncio.sleep(EXPIRY_SECONDS + 0.5)
        print(f"later: {await alan.call(ShoppingCart.items)}")


if __name__ == "__main__":
    asyncio.run(main())
