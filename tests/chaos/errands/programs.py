"""Orchestrations and an entity, each of which tells in its result, or its state, whether anything was lost, doubled or out of order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bank.accounts import Ear
from workload import Mark, mark, mark_from, registry

from durable_async import (
    Entity,
    OrchestrationContext,
    RetryPolicy,
    activity_context,
    when_all,
)

WIDTH = 8
TRIES = 4
DEPTH = 3
_A_TURN = 5
"""So many events are taken in one execution of a stream."""


@dataclass
class Stream:
    """What an execution of a stream hands to the next.

    Attributes:
        expected: How many events are still to come.
        ear: What was heard so far.
    """

    expected: int
    ear: Ear = field(default_factory=Ear)


@registry.orchestrator
async def stream(ctx: OrchestrationContext, state: Stream) -> Ear:
    """Take numbered events of several senders, a few in each execution, and return what was heard."""
    for _ in range(min(_A_TURN, state.expected)):
        sender, number = await ctx.wait_for_external_event("said", tuple[str, int])
        state.ear.hear(sender, number)
        state.expected -= 1
    if state.expected == 0:
        return state.ear
    ctx.continue_as_new(state)


@dataclass
class Attempt(Mark):
    """An activity's input.

    Attributes:
        failures: How often it fails before it succeeds.
    """

    failures: int


class NotYetError(Exception):
    """It is to be tried again."""


@registry.activity(retry=RetryPolicy(max_attempts=TRIES, first_delay=0.02, backoff=1.5))
async def attempt(order: Attempt) -> int:
    """Fail so many times, then return at which attempt that came to an end. Each attempt has a line of its own in the ledger."""
    number = activity_context().attempt
    key = order.key if number == 1 else f"{order.key}#{number}"
    with mark_from(Mark(order.ledger, key)):
        await asyncio.sleep(0.01)
    if number <= order.failures:
        raise NotYetError(order.key)
    return number


@dataclass
class Task:
    """An orchestration's input: where its activities leave marks, and a number."""

    ledger: str
    number: int


@registry.orchestrator
async def retries(ctx: OrchestrationContext, task: Task) -> list[int]:
    """Call many activities at once, each of which fails another number of times."""
    key = f"{ctx.instance_id}/{ctx.execution}"
    calls = [
        ctx.call_activity(
            attempt, Attempt(task.ledger, f"{key}/{one}", (task.number + one) % TRIES)
        )
        for one in range(WIDTH)
    ]
    return await when_all(calls)


def attempts_of(number: int) -> list[int]:
    """Return what `retries` returns."""
    return [(number + one) % TRIES + 1 for one in range(WIDTH)]


@registry.orchestrator
async def tree(ctx: OrchestrationContext, task: Task) -> int:
    """Grow two branches and a detached one, which nobody waits for; return how many nodes were waited for."""
    if task.number == 0:
        await ctx.call_activity(mark, Mark(task.ledger, f"{ctx.instance_id}/{ctx.execution}/0"))
        return 1
    below = Task(task.ledger, task.number - 1)
    named = ctx.call_sub_orchestrator(tree, below, instance_id=f"{ctx.instance_id}-left")
    unnamed = ctx.call_sub_orchestrator(tree, below)
    ctx.call_sub_orchestrator(leaf, task, instance_id=f"{ctx.instance_id}-alone")
    return 1 + sum(await when_all([named, unnamed]))


@registry.orchestrator
async def leaf(ctx: OrchestrationContext, task: Task) -> int:
    """Live on when the parent has ended."""
    await asyncio.sleep(0.05)
    await ctx.call_activity(mark, Mark(task.ledger, f"{ctx.instance_id}/{ctx.execution}/0"))
    return task.number


def nodes_of(depth: int) -> int:
    """Return what `tree` returns."""
    return 2 ** (depth + 1) - 1


@registry.entity
class Scroll(Entity[list[str]]):
    """A list of everything that was appended, in order: whoever reads it sees the order of all operations so far."""

    def initial_state(self) -> list[str]:
        """Begin empty."""
        return []

    def append(self, sender: str, number: int) -> None:
        """Append a line."""
        self.state.append(f"{sender} {number}")

    def read(self) -> list[str]:
        """Return all of it."""
        return self.state
