"""A bank: money goes from account to account in every way there is, and no audit ever finds another sum.

Transfers lock two or three accounts, or call one after the other, or let the giver signal the taker; orchestrations do so, clients, and
entities. Auditors lock all accounts and look twice, squatters lock some for long, and all of them may be suspended or terminated. Afterwards
each account tells which operations it carried out, in which order; `_bank_books` holds everybody to that.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Generator
from typing import Any, ClassVar

import anyio
import msgspec

from durable_async import (
    Client,
    Entity,
    EntityLockTimeoutError,
    EntityOperationFailedError,
    OrchestrationContext,
    Registry,
    TaskHub,
)
from durable_async.testing.simulation.linearizability import Call
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.stage import Stage

from ._bank_books import AT_FIRST, ROUNDS, Books, Operation, Transfer, received
from ._orders import Orders
from ._witness import (
    RefusedError,
    Told,
    answer,
    answer_in_steps,
    check_clean,
    check_unlocked,
    hear,
    told_by,
)
from ._workload import Workload

SECONDS = 10.0
"""Within so long clients ask for everything."""

registry = Registry()


class Book(msgspec.Struct):
    """An account's state: what is in it, and ids of the operations that it carried out."""

    balance: int = AT_FIRST
    noted: list[str] = msgspec.field(default_factory=list)


@registry.entity(name="bank_account")
class Account(Entity[Book]):
    """Money of somebody, and a note of each operation."""

    def initial_state(self) -> Book:
        """Begin with some money."""
        return Book()

    def look(self, id: str) -> Told:
        """Tell the balance."""
        return self._note(id)

    def give(self, id: str, amount: int) -> Told:
        """Put money in."""
        self.state.balance += amount
        return self._note(id)

    async def give_slowly(self, id: str, amount: int) -> Told:
        """Do so in a while."""
        await anyio.sleep(0.02)
        return self.give(id, amount)

    def take(self, id: str, amount: int) -> Told:
        """Take money out; what is not there is refused when it is done, so that it has to be undone."""
        self.state.balance -= amount
        told = self._note(id)
        if self.state.balance < 0:
            raise RefusedError(id, len(self.state.noted) - 1, "overdrawn")
        return told

    def send(self, id: str, amount: int, taker: str) -> Told:
        """Take money out and send it to another account; if it is refused, nothing may arrive."""
        self.context.signal_entity(Account.entity_id(taker), Account.give, received(id), amount)
        return self.take(id, amount)

    def _note(self, id: str) -> Told:
        self.state.noted.append(id)
        return Told(id, len(self.state.noted), self.state.balance)


@registry.activity(name="bank_approve")
async def approve(amount: int) -> bool:
    """Take a moment."""
    await anyio.sleep(amount % 3 * 0.05)
    return True


class DisapprovedError(Exception):
    """Raised by a transfer that fails while it holds its accounts; says what it was told."""

    def __init__(self, told: list[Told]) -> None:
        super().__init__(msgspec.json.encode(told).decode())


def _take(ctx: OrchestrationContext, one: Operation) -> Awaitable[Told]:
    return ctx.call_entity(Account.entity_id(one.key), Account.take, one.id, one.amount)


def _give(ctx: OrchestrationContext, one: Operation, *, slowly: bool = False) -> Awaitable[Told]:
    entity = Account.entity_id(one.key)
    if slowly:
        return ctx.call_entity(entity, Account.give_slowly, one.id, one.amount)
    return ctx.call_entity(entity, Account.give, one.id, one.amount)


@registry.orchestrator(name="bank_locked")
async def locked(ctx: OrchestrationContext, order: Transfer) -> list[Told]:
    """Lock all accounts, give from the first to each of the others, and end in one of many ways."""
    told = order.told
    take, *gives = order.operations()
    async with ctx.lock_entities([Account.entity_id(key) for key in order.keys]):
        if order.how == "fail at once":
            raise DisapprovedError(told)
        if order.how == "approve":
            await ctx.call_activity(approve, order.amount)
        if order.how == "pause":
            await asyncio.sleep(0.1)
        told.append(await answer(take.id, _take(ctx, take)))
        if told[-1].refused:
            return told
        calls = [_give(ctx, give, slowly=order.how == "slowly") for give in gives]
        told += await asyncio.gather(*calls)
        if order.how == "fail":
            raise DisapprovedError(told)
        if order.how == "return":
            return told
        if order.how == "again" and order.round < ROUNDS:
            ctx.continue_as_new(msgspec.structs.replace(order, round=order.round + 1, told=told))
    return told


@registry.orchestrator(name="bank_locked_steps")
def locked_in_steps(ctx: OrchestrationContext, order: Transfer) -> Generator[Any, Any, list[Told]]:
    """Do the same as a generator."""
    take, *gives = order.operations()
    told: list[Told] = []
    with (yield ctx.lock_entities([Account.entity_id(key) for key in order.keys])):
        told.append((yield from answer_in_steps(take.id, _take(ctx, take))))
        if told[-1].refused:
            return told
        for give in gives:
            told.append((yield _give(ctx, give)))  # noqa: PERF401 - a generator in steps
    return told


@registry.orchestrator(name="bank_plain")
async def plain(ctx: OrchestrationContext, order: Transfer) -> list[Told]:
    """Lock nothing: take, and then give."""
    take, *gives = order.operations()
    told = [await answer(take.id, _take(ctx, take))]
    if not told[0].refused:
        if order.how == "pause":
            await asyncio.sleep(0.3)
        told += [await _give(ctx, give) for give in gives]
    return told


@registry.orchestrator(name="bank_sent")
async def sent(ctx: OrchestrationContext, order: Transfer) -> list[Told]:
    """Let the giver send it."""
    take, give = order.operations()
    giver = Account.entity_id(take.key)
    call = ctx.call_entity(giver, Account.send, take.id, take.amount, give.key)
    return [await answer(take.id, call)]


@registry.orchestrator(name="bank_audit")
async def audit(ctx: OrchestrationContext, given: tuple[str, list[str], float]) -> list[Told]:
    """Lock all accounts, and look at each twice."""
    id, keys, pause = given
    async with ctx.lock_entities([Account.entity_id(key) for key in keys]):
        before = await _look_at(ctx, _looks(f"{id}.0?", keys))
        await asyncio.sleep(pause)
        after = await _look_at(ctx, _looks(f"{id}.0!", keys))
    return [*before, *after]


def _looks(prefix: str, keys: list[str]) -> list[Operation]:
    return [Operation(key, f"{prefix}{key}", 0) for key in keys]


async def _look_at(ctx: OrchestrationContext, looks: list[Operation]) -> list[Told]:
    calls = [ctx.call_entity(Account.entity_id(key), Account.look, id) for key, id, _ in looks]
    return await asyncio.gather(*calls)


@registry.orchestrator(name="bank_squat")
async def squat(
    ctx: OrchestrationContext, given: tuple[str, list[str], dict[str, float], float]
) -> list[Told]:
    """Hold accounts, or wait for them, for long; change nothing."""
    id, keys, limits, seconds = given
    (look,) = _looks(f"{id}.0?", keys[:1])
    entities = [Account.entity_id(key) for key in keys]
    try:
        async with ctx.lock_entities(entities, **limits):
            await asyncio.sleep(seconds)
            return [await answer(look.id, ctx.call_entity(entities[0], Account.look, look.id))]
    except EntityLockTimeoutError:
        return []


ORCHESTRATORS = {
    "locked": locked,
    "locked_steps": locked_in_steps,
    "plain": plain,
    "sent": sent,
}


class Bank(Workload):
    """Transfers, audits, and those who disturb them."""

    name: ClassVar[str] = "bank"
    registry: ClassVar[Registry] = registry

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._orders = Orders(stage)
        self._books = Books()

    # -- what clients do

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw some of everything."""
        keys = [f"a{number}" for number in range(chance.randint(4, 8))]
        transfers = chance.randint(4, 8)
        actions = [_draw_transfer(chance, keys, f"t{number}") for number in range(transfers)]
        ids = [f"bank-t{number}" for number in range(transfers)]
        for number in range(chance.randint(1, 2)):
            given = {"id": f"x{number}", "keys": keys, "pause": chance.choice([0.0, 0.2])}
            actions.append(_action(chance, "audit", given))
            ids.append(f"bank-x{number}")
        for number in range(chance.randint(0, 2)):
            actions.append(_draw_squatter(chance, keys, f"s{number}"))
            ids.append(f"bank-s{number}")
        for kind in chance.choices(["terminate", "suspend"], k=chance.randint(0, 3)):
            given = {"id": chance.choice(ids), "seconds": chance.choice([0.2, 1.0, 3.0])}
            actions.append(_action(chance, kind, given))
        return actions

    async def act(self, action: Action, client: Client) -> None:
        """Do one of them."""
        given = action.args
        match action.kind:
            case "audit":
                await self._audit(client, **given)
            case "squat":
                await self._squat(client, **given)
            case "terminate":
                await self._orders.steering.terminate(client, given["id"])
            case "suspend":
                await self._orders.steering.suspend(client, given["id"], given["seconds"])
            case "direct":
                await self._transfer(client, msgspec.convert(given, Transfer))
            case "signal" | "call":
                await self._let_send(client, action.kind, msgspec.convert(given, Transfer))
            case kind:
                order = msgspec.convert(given, Transfer)
                self._books.expect(order, kind)
                code = ORCHESTRATORS[kind]
                await self._orders.carry_out(client, code, f"bank-{order.id}", order)

    async def _audit(self, client: Client, id: str, keys: list[str], pause: float) -> None:
        looks = [*_looks(f"{id}.0?", keys), *_looks(f"{id}.0!", keys)]
        self._books.looks[f"bank-{id}"] = looks
        await self._orders.carry_out(client, audit, f"bank-{id}", (id, keys, pause))

    async def _squat(
        self, client: Client, id: str, keys: list[str], limits: dict[str, float], seconds: float
    ) -> None:
        self._books.looks[f"bank-{id}"] = _looks(f"{id}.0?", keys[:1])
        given = (id, keys, limits, seconds)
        await self._orders.carry_out(client, squat, f"bank-{id}", given)

    async def _transfer(self, client: Client, order: Transfer) -> None:
        """Take and give as a client, by two calls."""
        take, give = order.operations()
        self._books.expect(order, "direct")
        told = await self._call(client, take.key, Account.take, take.id, take.amount)
        if not told.refused:
            await self._call(client, give.key, Account.give, give.id, give.amount)

    async def _let_send(self, client: Client, how: str, order: Transfer) -> None:
        take, give = order.operations()
        self._books.expect(order, "sent")
        if how == "call":
            await self._call(client, take.key, Account.send, take.id, take.amount, give.key)
            return
        call = self._begin(take.key, "send", take.id, take.amount)
        handle = client.entity(Account.entity_id(take.key), request_id=self.stage.new_id())
        await self.stage.persist(
            lambda: handle.signal(Account.send, take.id, take.amount, give.key)
        )
        call.accepted = self.stage.tick()
        call.is_certain = True

    async def _call(
        self, client: Client, key: str, operation: Any, id: str, amount: int, *more: str
    ) -> Told:
        call = self._begin(key, operation.__name__, id, amount)
        handle = client.entity(Account.entity_id(key), request_id=self.stage.new_id())
        try:
            told: Told = await self.stage.persist(lambda: handle.call(operation, id, amount, *more))
        except EntityOperationFailedError as error:
            told = told_by(id, error.failure)
        hear(call, told, self.stage.tick())
        return told

    def _begin(self, key: str, operation: str, id: str, amount: int) -> Call:
        call = Call(id, operation, amount, begun=self.stage.tick(), is_certain=False)
        self._books.calls.setdefault(key, []).append(call)
        return call

    # -- afterwards

    async def wind_up(self, client: Client) -> None:
        """Resume what was left suspended."""
        await self._orders.steering.wind_up(client)

    async def check(self, hub: TaskHub) -> None:
        """Look at orders, locks and books."""
        await self._orders.settle(hub)
        await check_clean(hub)
        kept: dict[str, Book] = {}
        async for found in hub.client.query_entities(Account, name=Account):
            await check_unlocked(hub, found.entity_id)
            kept[found.entity_id.key] = found.state or Book()
        self._books.note(self._orders)
        self._books.check(
            {key: book.noted for key, book in kept.items()},
            {key: book.balance for key, book in kept.items()},
        )


def _action(chance: random.Random, kind: str, given: dict[str, Any]) -> Action:
    at = round(chance.uniform(0, SECONDS), 3)
    return Action(at, chance.randint(1, 2), Bank.name, kind, given)


def _draw_transfer(chance: random.Random, keys: list[str], id: str) -> Action:
    kind = chance.choice(
        ["locked", "locked", "locked", "locked_steps", "plain", "sent", "direct", "signal", "call"]
    )
    takers = chance.randint(1, 2) if kind in ("locked", "locked_steps", "plain") else 1
    hows = ["approve", "pause", "fail at once", "slowly", "fail", "return", "again", "leave"]
    given = {
        "id": id,
        "keys": chance.sample(keys[: chance.choice([4, 8])], 1 + takers),
        "amount": chance.randint(1, 60),
        "how": chance.choice(hows) if kind == "locked" else chance.choice(["pause", "leave"]),
    }
    return _action(chance, kind, given)


def _draw_squatter(chance: random.Random, keys: list[str], id: str) -> Action:
    given = {
        "id": id,
        "keys": chance.sample(keys, chance.randint(1, 4)),
        "limits": chance.choice([{}, {}, {"timeout": 0.3}, {"hold": 0.3}, {"hold": 3}]),
        "seconds": chance.choice([0.05, 1, 6]),
    }
    return _action(chance, "squat", given)
