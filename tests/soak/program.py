"""What runs during a soak: orchestrations of every kind, and entities, each small."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from durable_async import (
    Entity,
    EntityId,
    OrchestrationContext,
    Registry,
    when_all,
    when_any,
)

registry = Registry()

ACCOUNTS = tuple(f"a{number}" for number in range(256))
CHAIN = 5
FAN = 8
COUNTED = 4
_KEPT = 20


@registry.activity
async def work(number: int) -> int:
    """Wait a moment, as for a network."""
    await asyncio.sleep(0.005)
    return number


@registry.activity
def compute(number: int) -> int:
    """Hold a thread for a moment, as for a library that knows no asyncio."""
    time.sleep(0.001)
    return number


@registry.entity
class Account(Entity[int]):
    """Money."""

    def initial_state(self) -> int:
        """Begin empty."""
        return 0

    def move(self, amount: int) -> int:
        """Add to it."""
        self.state += amount
        return self.state


@registry.entity
class Board(Entity[list[int]]):
    """The last notes that were put up: its size has a bound."""

    def initial_state(self) -> list[int]:
        """Begin empty."""
        return []

    def note(self, number: int) -> int:
        """Put up one, and take down the oldest."""
        self.state = [*self.state, number][-_KEPT:]
        return number


@registry.orchestrator
async def chain(ctx: OrchestrationContext, size: int) -> int:
    """One activity after the other, with a timer in the middle."""
    for number in range(size):
        await ctx.call_activity(compute if number == 1 else work, number)
        if number == size // 2:
            await asyncio.sleep(0.05)
    return size


@registry.orchestrator
def fan(ctx: OrchestrationContext, size: int):  # type: ignore[no-untyped-def]
    """All activities at once, in generator style."""
    numbers = yield when_all([ctx.call_activity(work, number) for number in range(size)])
    return sum(numbers)


@registry.orchestrator
async def family(ctx: OrchestrationContext, size: int) -> int:
    """Sub-orchestrations in parallel."""
    children = [ctx.call_sub_orchestrator(fan, number) for number in range(2, 2 + size)]
    return sum(await when_all(children))


@dataclass
class Count:
    """What a counting execution hands to the next."""

    seen: list[int]
    size: int


@registry.orchestrator
async def count(ctx: OrchestrationContext, state: Count) -> list[int]:
    """Take numbered events, one an execution, through continue-as-new."""
    number = await ctx.wait_for_external_event("number", int)
    seen = [*state.seen, number]
    if len(seen) == state.size:
        return seen
    ctx.continue_as_new(Count(seen, state.size))


@registry.orchestrator
async def race(ctx: OrchestrationContext, seconds: float) -> str:
    """An event against a timer."""
    event = ctx.wait_for_external_event("now")
    timer = ctx.create_timer(seconds)
    first: Any = await when_any([event, timer])
    if first is timer:
        return "timer"
    timer.cancel()
    return "event"


@dataclass
class Transfer:
    """Money from one account to another."""

    source: str
    target: str
    amount: int


@registry.orchestrator
async def transfer(ctx: OrchestrationContext, order: Transfer) -> int:
    """Move it while both are locked."""
    source, target = Account.entity_id(order.source), Account.entity_id(order.target)
    async with ctx.lock_entities([source, target]):
        await ctx.call_entity(source, Account.move, -order.amount)
        await ctx.call_entity(target, Account.move, order.amount)
    return order.amount


@dataclass
class Life:
    """How far one that never ends has come."""

    number: int
    rounds: int = 0


@registry.orchestrator
async def eternal(ctx: OrchestrationContext, life: Life) -> None:
    """Wait, work, tell its board, and begin anew."""
    await asyncio.sleep(1.0)
    await ctx.call_activity(work, life.rounds)
    ctx.signal_entity(board(life.number), Board.note, life.rounds)
    ctx.continue_as_new(Life(life.number, life.rounds + 1))


def board(number: int) -> EntityId:
    """Return the board of an eternal one."""
    return Board.entity_id(f"b{number}")
