"""What runs while faults happen: orchestrations whose activities leave marks outside of the engine, in a ledger file."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from durable_async import OrchestrationContext, Registry, when_all

registry = Registry()
CHILD_SIZE = 3


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
    """Write to the ledger that it began, work a little, write that it ended."""
    with mark_from(order):
        await asyncio.sleep(random.uniform(0.0, 0.1))
    return order.key


@contextmanager
def mark_from(order: Mark) -> Iterator[None]:
    """Write to the ledger at the beginning of a block, and when it has come to its end."""
    _write(order, "began")
    yield
    _write(order, "ended")


def _write(order: Mark, what: str) -> None:
    """Append a line in one system call: it is there also if the process is killed right after it."""
    line = f"{what} {order.key} {time.time_ns() // 1_000} {os.getpid()}\n".encode()
    ledger = os.open(order.ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(ledger, line)
    finally:
        os.close(ledger)


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
    part = Plan(plan.ledger, CHILD_SIZE)
    async with asyncio.TaskGroup() as group:
        children = [
            group.create_task(ctx.call_sub_orchestrator(chain if number % 2 else fan, part))
            for number in range(plan.size // CHILD_SIZE)
        ]
    done: int = sum(child.result() for child in children)
    return done + plan.size % CHILD_SIZE


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


@dataclass
class Notes:
    """How many notes to take."""

    size: int


@registry.orchestrator
async def notes(ctx: OrchestrationContext, order: Notes) -> list[int]:
    """Take notes, in one execution, from an owner that stays."""
    return [await ctx.wait_for_external_event("note", int) for _ in range(order.size)]
