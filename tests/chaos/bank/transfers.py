"""The bank's orchestrations: transfers that go all the ways there are, audits, those who sit on locks, and those who chat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from workload import Mark, mark, registry

from durable_async import (
    EntityId,
    EntityLockTimeoutError,
    EntityOperationFailedError,
    OrchestrationContext,
    when_all,
)

from .accounts import KEYS, Account

HURRY_SECONDS = 0.25
HOLD_SECONDS = 0.06
_CHAT_MESSAGES = 10


@dataclass
class Transfer:
    """Move money from one account to others, the same amount to each.

    Attributes:
        ledger: For its activity.
        number: Its own; accounts note by it what was done.
        way: How it goes about it: one of ``WAYS``, or ``STEPS`` for the generator.
        round: How often it began anew.
        outcome: What came of it, if that happened in an earlier round.
    """

    ledger: str
    number: int
    way: str
    source: str
    targets: list[str]
    amount: int
    round: int = 0
    outcome: str = ""

    @property
    def cost(self) -> int:
        """What the source gives."""
        return self.amount * len(self.targets)

    @property
    def entities(self) -> list[EntityId]:
        """All its accounts."""
        return [Account.entity_id(key) for key in (self.source, *self.targets)]


class TransferError(Exception):
    """Raised in critical sections; the message is the outcome."""


# -- what a transfer does within


def _mark(ctx: OrchestrationContext, order: Transfer) -> Mark:
    return Mark(order.ledger, f"{ctx.instance_id}/{ctx.execution}/0")


async def _balance(ctx: OrchestrationContext, order: Transfer) -> int:
    return await ctx.call_entity(order.entities[0], Account.balance)


async def _withdraw(ctx: OrchestrationContext, order: Transfer, seen: int | None) -> None:
    source = order.entities[0]
    await ctx.call_entity(source, Account.move, "out", order.number, -order.cost, seen)


async def _deposit(ctx: OrchestrationContext, order: Transfer) -> None:
    async with asyncio.TaskGroup() as group:
        for entity in order.entities[1:]:
            group.create_task(_one_deposit(ctx, order, entity))


async def _one_deposit(ctx: OrchestrationContext, order: Transfer, entity: EntityId) -> None:
    await ctx.call_entity(entity, Account.move, "in", order.number, order.amount)


async def _move(ctx: OrchestrationContext, order: Transfer, *, pause: bool) -> str:
    seen = await _balance(ctx, order)
    if seen < order.cost:
        return "uncovered"
    await _withdraw(ctx, order, seen)
    if pause:
        await ctx.call_activity(mark, _mark(ctx, order))
    await _deposit(ctx, order)
    return "moved"


# -- the ways


async def _plain(ctx: OrchestrationContext, order: Transfer) -> str:
    async with ctx.lock_entities(order.entities):
        return await _move(ctx, order, pause=False)


async def _paused(ctx: OrchestrationContext, order: Transfer) -> str:
    async with ctx.lock_entities(order.entities):
        return await _move(ctx, order, pause=True)


async def _blind(ctx: OrchestrationContext, order: Transfer) -> str:
    """Without a look at the balance: what the account refuses, it undoes."""
    async with ctx.lock_entities(order.entities):
        try:
            await _withdraw(ctx, order, None)
        except EntityOperationFailedError as error:
            if not error.failure.is_type("OverdrawnError"):
                raise
            return "uncovered"
        await _deposit(ctx, order)
        return "moved"


async def _fails_before(ctx: OrchestrationContext, order: Transfer) -> str:
    async with ctx.lock_entities(order.entities):
        await _balance(ctx, order)
        raise TransferError("refused")


async def _fails_between(ctx: OrchestrationContext, order: Transfer) -> str:
    async with ctx.lock_entities(order.entities):
        seen = await _balance(ctx, order)
        if seen < order.cost:
            raise TransferError("uncovered")
        await _withdraw(ctx, order, seen)
        await ctx.call_activity(mark, _mark(ctx, order))
        await ctx.call_entity(order.entities[0], Account.move, "back", order.number, order.cost)
        raise TransferError("reversed")


async def _fails_after(ctx: OrchestrationContext, order: Transfer) -> str:
    async with ctx.lock_entities(order.entities):
        raise TransferError(await _move(ctx, order, pause=True))


async def _again_before(ctx: OrchestrationContext, order: Transfer) -> str:
    """It locks, looks, and begins anew from within the section."""
    async with ctx.lock_entities(order.entities):
        if order.round < 2:
            await _balance(ctx, order)
            ctx.continue_as_new(replace(order, round=order.round + 1))
        return await _move(ctx, order, pause=True)


async def _again_after(ctx: OrchestrationContext, order: Transfer) -> str:
    """It begins anew from within the section when all is done; nothing may be done twice."""
    if order.outcome:
        return order.outcome
    async with ctx.lock_entities(order.entities):
        outcome = await _move(ctx, order, pause=False)
        ctx.continue_as_new(replace(order, outcome=outcome))


async def _keeps(ctx: OrchestrationContext, order: Transfer) -> str:
    """It ends without giving the locks back."""
    await ctx.lock_entities(order.entities)
    return await _move(ctx, order, pause=False)


async def _hurried(ctx: OrchestrationContext, order: Transfer) -> str:
    """It does not wait long for its locks, and says so in one of two ways."""
    try:
        if order.number % 2:
            async with ctx.lock_entities(order.entities, timeout=HURRY_SECONDS):
                return await _move(ctx, order, pause=True)
        async with asyncio.timeout(HURRY_SECONDS) as limit:
            lock = await ctx.lock_entities(order.entities)
            limit.reschedule(None)
        with lock:
            return await _move(ctx, order, pause=True)
    except (EntityLockTimeoutError, TimeoutError):
        return "late"


async def _held(ctx: OrchestrationContext, order: Transfer) -> str:
    """Its locks may run out under its hands; so it only sets money aside, and moves it in a second section."""
    is_reserved = False
    try:
        async with ctx.lock_entities(order.entities, hold=HOLD_SECONDS):
            seen = await _balance(ctx, order)
            if seen < order.cost:
                return "uncovered"
            source = order.entities[0]
            await ctx.call_entity(source, Account.reserve, order.number, order.cost, seen)
            is_reserved = True
            await ctx.call_activity(mark, _mark(ctx, order))
            await ctx.call_entity(order.entities[1], Account.total)
    except EntityOperationFailedError as error:
        if not error.failure.is_type("EntityLockLostError"):
            raise
        if not is_reserved:
            return "lost"
    async with ctx.lock_entities(order.entities):
        await ctx.call_entity(order.entities[0], Account.settle, order.number)
        await _deposit(ctx, order)
    return "moved"


WAYS: dict[str, Callable[[OrchestrationContext, Transfer], Awaitable[str]]] = {
    "plain": _plain,
    "paused": _paused,
    "blind": _blind,
    "fails-before": _fails_before,
    "fails-between": _fails_between,
    "fails-after": _fails_after,
    "again-before": _again_before,
    "again-after": _again_after,
    "keeps": _keeps,
    "hurried": _hurried,
    "held": _held,
}


@registry.orchestrator
async def transfer(ctx: OrchestrationContext, order: Transfer) -> str:
    """Go one of the ways."""
    return await WAYS[order.way](ctx, order)


STEPS = "in-steps"
OUTCOMES = {
    "fails-before": {"refused"},
    "fails-between": {"uncovered", "reversed"},
    "hurried": {"moved", "uncovered", "late"},
    "held": {"moved", "uncovered", "lost"},
}
"""What can come of each way; of those that are not here, ``MOVED_OR_NOT``."""

MOVED_OR_NOT = {"moved", "uncovered"}


@registry.orchestrator
def transfer_in_steps(ctx: OrchestrationContext, order: Transfer):  # type: ignore[no-untyped-def]
    """The same in generator style."""
    source, *targets = order.entities
    with (yield ctx.lock_entities(order.entities)):
        balance = yield ctx.call_entity(source, "balance")
        if balance < order.cost:
            return "uncovered"
        yield ctx.call_entity(source, Account.move, "out", order.number, -order.cost, balance)
        yield ctx.call_activity(mark, _mark(ctx, order))
        yield when_all(
            [
                ctx.call_entity(target, Account.move, "in", order.number, order.amount)
                for target in targets
            ]
        )
    return "moved"


# -- others


@registry.orchestrator
def audit(ctx: OrchestrationContext, _: None):  # type: ignore[no-untyped-def]
    """Lock all accounts and return the sum of the money."""
    entities = [Account.entity_id(key) for key in KEYS]
    with (yield ctx.lock_entities(entities)):
        totals = yield when_all([ctx.call_entity(entity, Account.total) for entity in entities])
    return sum(totals)


@registry.orchestrator
async def meet(ctx: OrchestrationContext, keys: list[str]) -> int:
    """Lock accounts that are free most of the time, and let them go at once."""
    async with ctx.lock_entities([Account.entity_id(key) for key in keys]):
        return len(keys)


@registry.orchestrator
async def sit(ctx: OrchestrationContext, keys: list[str]) -> None:
    """Lock accounts and do nothing, until it is ended from outside."""
    async with ctx.lock_entities([Account.entity_id(key) for key in keys]):
        await ctx.wait_for_external_event("never")


@dataclass
class Chat:
    """How far somebody who chats has come.

    Attributes:
        rounds: How many executions are left.
        notes: By account: the last number that was said to it.
        ticks: By account: how many delayed signals were sent to it.
    """

    rounds: int
    notes: dict[str, int]
    ticks: dict[str, int]


@registry.orchestrator
async def chat(ctx: OrchestrationContext, state: Chat) -> Chat:
    """Say numbered things to accounts, as signals and as calls, through continue-as-new."""
    chance = ctx.random()
    for _ in range(_CHAT_MESSAGES):
        key = chance.choice(KEYS)
        entity = Account.entity_id(key)
        match chance.randrange(6):
            case 0:
                ctx.signal_entity_at(chance.uniform(0.0, 1.0), entity, Account.tick)
                state.ticks[key] = state.ticks.get(key, 0) + 1
            case 1:
                number = await _say(ctx, state, key)
                assert number == state.notes[key]
            case 2:
                await asyncio.sleep(0.02)
            case _:
                number = state.notes[key] = state.notes.get(key, 0) + 1
                ctx.signal_entity(entity, Account.note, ctx.instance_id, number)
    if state.rounds > 1:
        ctx.continue_as_new(replace(state, rounds=state.rounds - 1))
    return state


async def _say(ctx: OrchestrationContext, state: Chat, key: str) -> int:
    number = state.notes[key] = state.notes.get(key, 0) + 1
    return await ctx.call_entity(Account.entity_id(key), Account.note, ctx.instance_id, number)
