"""What a crowd sends to, and what blocks an event loop."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bank.accounts import Ear
from workload import Mark, mark_from, registry

from durable_async import Entity, OrchestrationContext

KEYS = tuple(f"t{number}" for number in range(32))


@registry.entity
class Tally(Entity[Ear]):
    """Hears numbers from many senders, each of which counts from 1."""

    def initial_state(self) -> Ear:
        """Begin empty."""
        return Ear()

    def hear(self, sender: str, number: int) -> int:
        """Take in a number."""
        self.state.hear(sender, number)
        return number


@registry.orchestrator
async def brief(ctx: OrchestrationContext, number: int) -> int:
    """Be over at once."""
    return number


@dataclass
class Stall(Mark):
    """How long to block, and what to write to the ledger meanwhile.

    Attributes:
        by_entity: Whether an entity's operation blocks, instead of an activity.
    """

    seconds: float
    by_entity: bool


@registry.activity
async def block(order: Stall) -> str:
    """Block the event loop of its worker, as code does that should run in a thread."""
    with mark_from(order):
        time.sleep(order.seconds)
    return order.key


@registry.entity
class Blocker(Entity[int]):
    """Blocks likewise."""

    def initial_state(self) -> int:
        """Begin with none."""
        return 0

    async def block(self, order: Stall) -> str:
        """Block the event loop of its worker."""
        with mark_from(order):
            time.sleep(order.seconds)
        self.state += 1
        return order.key


@registry.orchestrator
async def stall(ctx: OrchestrationContext, order: Stall) -> str:
    """Block whoever carries it out."""
    if order.by_entity:
        return await ctx.call_entity(Blocker.entity_id(ctx.instance_id), Blocker.block, order)
    return await ctx.call_activity(block, order)
