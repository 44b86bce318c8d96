"""The program that is killed: a worker on a SQLite file, and orchestrations that leave marks outside of the engine."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from durable_async import OrchestrationContext, Registry, TaskHub, when_all

registry = Registry()
SETTINGS = {"lease_seconds": 3.0, "heartbeat_seconds": 0.5, "sweep_seconds": 0.2}


@dataclass
class Mark:
    """An activity's input: what it writes to the ledger."""

    ledger: str
    key: str


@dataclass
class Plan:
    """An orchestration's input."""

    ledger: str
    size: int


@registry.activity
async def mark(order: Mark) -> str:
    """Append one line to the ledger, durably: the key, and when this execution began."""
    began_us = time.time_ns() // 1_000
    line = f"{order.key} {began_us} {os.getpid()}\n".encode()
    ledger = os.open(order.ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(ledger, line)
    finally:
        os.close(ledger)
    await asyncio.sleep(random.uniform(0.0, 0.1))
    return order.key


def _mark(ctx: OrchestrationContext, plan: Plan, number: int) -> Mark:
    return Mark(plan.ledger, f"{ctx.instance_id}/{ctx.execution}/{number}")


@registry.orchestrator
async def chain(ctx: OrchestrationContext, plan: Plan) -> int:
    """One activity after the other, with a timer in the middle."""
    for number in range(plan.size):
        await ctx.call_activity(mark, _mark(ctx, plan, number))
        if number == plan.size // 2:
            await asyncio.sleep(0.02)
    return plan.size


@registry.orchestrator
def fan(ctx: OrchestrationContext, plan: Plan):  # type: ignore[no-untyped-def]
    """All activities at once, in generator style."""
    calls = [ctx.call_activity(mark, _mark(ctx, plan, number)) for number in range(plan.size)]
    keys = yield when_all(calls)
    return len(set(keys))


@registry.orchestrator
async def family(ctx: OrchestrationContext, plan: Plan) -> int:
    """Sub-orchestrations in parallel."""
    part = Plan(plan.ledger, 3)
    async with asyncio.TaskGroup() as group:
        children = [
            group.create_task(ctx.call_sub_orchestrator(chain if number % 2 else fan, part))
            for number in range(plan.size // 3)
        ]
    return sum(child.result() for child in children) + plan.size % 3


@dataclass
class Count:
    """What a counting execution hands to the next."""

    seen: list[int]
    size: int


@registry.orchestrator
async def count(ctx: OrchestrationContext, state: Count) -> list[int]:
    """Take numbered events, one an execution, in order, through continue-as-new."""
    number = await ctx.wait_for_external_event("number", int)
    seen = [*state.seen, number]
    if len(seen) == state.size:
        return seen
    ctx.continue_as_new(Count(seen, state.size))


async def work(database: Path) -> None:
    """Run a worker until killed."""
    async with (
        TaskHub.open(f"sqlite:///{database}", registry=registry) as hub,
        hub.worker(**SETTINGS),
    ):
        await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1])))
