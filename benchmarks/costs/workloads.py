"""What is counted: one client in virtual time, on a hub with one worker or two."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from durable_async import Entity, OrchestrationContext, Registry, TaskHub

registry = Registry()
"""What the first process runs."""

elsewhere = Registry()
"""What another process runs, where there is one."""

MINUTE = 60.0
IN_FLIGHT = 200


@registry.activity
async def noop(number: int) -> int:
    return number


@elsewhere.activity
async def far(number: int) -> int:
    return number


@registry.orchestrator
async def nothing(ctx: OrchestrationContext, number: int) -> int:
    return number


@registry.orchestrator
async def sequence(ctx: OrchestrationContext, steps: int) -> int:
    for number in range(steps):
        await ctx.call_activity(noop, number)
    return steps


@registry.orchestrator
async def fan_out(ctx: OrchestrationContext, width: int) -> int:
    return sum(await asyncio.gather(*[ctx.call_activity(noop, n) for n in range(width)]))


@registry.orchestrator
async def far_steps(ctx: OrchestrationContext, steps: int) -> int:
    for number in range(steps):
        await ctx.call_activity(far, number)
    return steps


@registry.orchestrator
async def far_fan_out(ctx: OrchestrationContext, width: int) -> int:
    return sum(await asyncio.gather(*[ctx.call_activity(far, n) for n in range(width)]))


@registry.orchestrator
async def approval(ctx: OrchestrationContext) -> str:
    return await ctx.wait_for_external_event("approved", str)


@registry.orchestrator
async def reminder(ctx: OrchestrationContext, seconds: float) -> None:
    await asyncio.sleep(seconds)


@registry.orchestrator
async def parent(ctx: OrchestrationContext, children: int) -> int:
    calls = [ctx.call_sub_orchestrator(nothing, n) for n in range(children)]
    return sum(await asyncio.gather(*calls))


@registry.entity
class Account(Entity[int]):
    def initial_state(self) -> int:
        return 100

    def get_balance(self) -> int:
        return self.state

    def move(self, amount: int) -> int:
        self.state += amount
        return self.state


ADA = Account.entity_id("ada")


@registry.orchestrator
async def payment(ctx: OrchestrationContext) -> int:
    return await ctx.call_entity(ADA, Account.move, 1)


@registry.orchestrator
async def transfer(ctx: OrchestrationContext, pair: list[str]) -> None:
    giver, taker = (Account.entity_id(key) for key in pair)
    async with ctx.lock_entities([giver, taker]):
        if await ctx.call_entity(giver, Account.get_balance) >= 1:
            await ctx.call_entity(giver, Account.move, -1)
            await ctx.call_entity(taker, Account.move, 1)


Run = Callable[[TaskHub], Awaitable[None]]


async def _nothing_before(hub: TaskHub) -> None:
    """There is nothing to prepare."""


@dataclass(frozen=True)
class Workload:
    """Something that a hub does, again and again.

    Attributes:
        run: What is counted.
        before: What has to be there for that, each time.
        rounds_before: How often it has run when it is counted, so that plans are made, connections are warm and entities are there.
        has_second: Whether another process runs what ``elsewhere`` holds.
        is_idle: Whether workers look round as they do by default, for it is the looking that is counted.
    """

    run: Run
    before: Run = _nothing_before
    rounds_before: int = 1
    has_second: bool = False
    is_idle: bool = False


async def to_result(orchestrator: Any, argument: Any, hub: TaskHub) -> None:
    await (await hub.client.start(orchestrator, argument)).wait()


async def many_to_result(count: int, steps: int, hub: TaskHub) -> None:
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one() -> None:
        async with gate:
            await to_result(sequence, steps, hub)

    await asyncio.gather(*[one() for _ in range(count)])


def approvals(count: int) -> Workload:
    """Return instances that are there and wait, and are told all at once."""
    waiting: list[Any] = []

    async def before(hub: TaskHub) -> None:
        waiting[:] = await hub.client.start_many(approval, [None] * count)
        await asyncio.sleep(1)

    async def run(hub: TaskHub) -> None:
        await hub.client.raise_events([(one, "approved", "yes") for one in waiting])
        await asyncio.gather(*[one.wait() for one in waiting])

    return Workload(run, before)


async def signals(count: int, hub: TaskHub) -> None:
    for _ in range(count):
        await hub.client.signal_entity(ADA, Account.move, 1)
        await asyncio.sleep(1)


async def signals_at_once(count: int, hub: TaskHub) -> None:
    await asyncio.gather(*[hub.client.signal_entity(ADA, Account.move, 1) for _ in range(count)])


async def call(hub: TaskHub) -> None:
    await hub.client.call_entity(ADA, Account.move, 1)


def transfer_of_new_accounts() -> Workload:
    """Return a transfer between two accounts that nobody has used before."""
    numbers = itertools.count()

    async def run(hub: TaskHub) -> None:
        number = next(numbers)
        await to_result(transfer, [f"from-{number}", f"to-{number}"], hub)

    return Workload(run)


async def ten_minutes(hub: TaskHub) -> None:
    await asyncio.sleep(10 * MINUTE)


async def start_many(count: int, hub: TaskHub) -> None:
    handles = await hub.client.start_many(nothing, range(count))
    await asyncio.gather(*[one.wait() for one in handles])


def parked(count: int) -> Workload:
    """Return minutes in which instances wait for what does not come."""

    async def before(hub: TaskHub) -> None:
        await hub.client.start_many(approval, [None] * count)
        await asyncio.sleep(MINUTE)

    return Workload(ten_minutes, before, rounds_before=0, is_idle=True)


WORKLOADS: dict[str, Workload] = {
    "start to result, no activity": Workload(partial(to_result, nothing, 1)),
    "start to result, 1 activity": Workload(partial(to_result, sequence, 1)),
    "101 activities, one after the other": Workload(partial(to_result, sequence, 101)),
    "100 starts in a batch, to their results": Workload(partial(start_many, 100)),
    "200 x 10 activities, all in flight": Workload(partial(many_to_result, 200, 10)),
    "fan-out of 1 activity": Workload(partial(to_result, fan_out, 1)),
    "fan-out of 100 activities": Workload(partial(to_result, fan_out, 100)),
    "fan-out of 1,000 activities": Workload(partial(to_result, fan_out, 1000)),
    "100 events in a batch, to the results": approvals(100),
    "1 event, to the result": approvals(1),
    "a timer of a minute, start to result": Workload(partial(to_result, reminder, MINUTE)),
    "1 child, start to result": Workload(partial(to_result, parent, 1)),
    "100 children, start to result": Workload(partial(to_result, parent, 100)),
    "10 signals, each acknowledged": Workload(partial(signals, 10)),
    "100 signals at once": Workload(partial(signals_at_once, 100)),
    "a client's call of an entity": Workload(call),
    "an orchestration's call of an entity": Workload(partial(to_result, payment, None)),
    "a transfer under lock, of new accounts": transfer_of_new_accounts(),
    "a transfer under lock, the sixth of two accounts": Workload(
        partial(to_result, transfer, ["ada", "alan"]), rounds_before=5
    ),
    "1 activity in another process": Workload(partial(to_result, far_steps, 1), has_second=True),
    "11 activities in another process, one after the other": Workload(
        partial(to_result, far_steps, 11), has_second=True
    ),
    "fan-out of 100 activities to another process": Workload(
        partial(to_result, far_fan_out, 100), has_second=True
    ),
    "ten minutes of an idle worker": Workload(ten_minutes, rounds_before=0, is_idle=True),
    "ten minutes of a worker with 100 instances that wait": parked(100),
}
