"""Counter: an entity has a state and operations, which are carried out one at a time; it outlives everybody who uses it.

As a class, and as a function, which Durable Task has as well; used by clients, by an orchestration, and by one in generator style.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from durable_async import (
    Entity,
    EntityContext,
    EntityOperationFailedError,
    OrchestrationContext,
    TaskHub,
    entity,
    orchestrator,
)


@entity
class Counter(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def add(self, amount: int) -> int:
        if amount < 0:
            raise ValueError("it only goes up")
        self.state += amount
        return self.state

    def value(self) -> int:
        return self.state


@entity
def tally(ctx: EntityContext, amount: int = 0) -> int:
    total = ctx.get_state(int, 0)
    if ctx.operation == "add":
        total += amount
        ctx.set_state(total)
    return total


@orchestrator
async def count_guests(ctx: OrchestrationContext, room: str) -> int:
    counter = Counter.entity_id(room)
    ctx.signal_entity(counter, Counter.add, 5)  # nobody waits for it
    await ctx.call_entity(counter, Counter.add, 2)  # it comes after the signal
    return await ctx.call_entity(counter, Counter.value)


@orchestrator
def count_guests_with_yield(ctx: OrchestrationContext, room: str) -> Generator[Any, Any, int]:
    counter = tally.entity_id(room)
    ctx.signal_entity(counter, "add", 5)
    yield ctx.call_entity(counter, "add", 2)
    total: int = yield ctx.call_entity(counter, "value")
    return total


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        client = hub.client
        for orchestration in (count_guests, count_guests_with_yield):
            handle = await client.start(orchestration, "hall")
            print(f"{orchestration.name}: {await handle.wait()}")

        garden = client.entity(Counter.entity_id("garden"))
        await asyncio.gather(*(garden.signal(Counter.add, 1) for _ in range(100)))
        print(f"a hundred at once: {await garden.call(Counter.value)}")
        try:
            await garden.call(Counter.add, -1)
        except EntityOperationFailedError as error:
            print(error)

        async for one in client.query_entities(Counter, name=Counter):
            print(f"{one.entity_id}: {one.state}")
        await garden.call("delete")
        print(f"forgotten: {(await client.clean_entities()).discarded}")


if __name__ == "__main__":
    asyncio.run(main())
