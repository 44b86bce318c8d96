"""A bank: transfers that lock two or three of eight accounts, audits that lock them all, and squatters that are chased away.

Whatever happens to the workers, no audit ever sees another sum, nobody waits for ever, and at the end nobody holds a lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import anyio

from durable_async import (
    Client,
    Entity,
    EntityId,
    EntityLockTimeoutError,
    EntityOperationFailedError,
    OrchestrationContext,
    OrchestrationHandle,
    Registry,
    ReusePolicy,
    Status,
    activity_context,
)

from .entity_stage import SETTLE_SECONDS, Stage, persist, states, suspend_for_a_while

ACCOUNTS = [f"a{number}" for number in range(8)]
AT_FIRST = 100
SUM = AT_FIRST * len(ACCOUNTS)
TRANSFERS, AUDITS, SQUATTERS = 10, 3, 4

registry = Registry()


class OverdrawnError(Exception):
    """An account refuses to give what it has not."""


@registry.entity
class Account(Entity[int]):
    def initial_state(self) -> int:
        return AT_FIRST

    def balance(self) -> int:
        return self.state

    def move(self, amount: int) -> int:
        self.state += amount
        if self.state < 0:
            raise OverdrawnError(self.state)
        return self.state

    async def move_slowly(self, amount: int) -> int:
        await anyio.sleep(0.02)
        return self.move(amount)


@registry.activity
async def approve(amount: int) -> bool:
    await anyio.sleep(amount % 3 * 0.05)
    assert activity_context().instance_id
    return True


class DisapprovedError(Exception):
    """A transfer that fails while it holds its accounts."""


def accounts(keys: list[str]) -> list[EntityId]:
    return [Account.entity_id(key) for key in keys]


@registry.orchestrator
async def transfer(ctx: OrchestrationContext, order: dict[str, Any]) -> str:
    """Give from the first account to each of the others, and end in one of many ways."""
    giver, *takers = accounts(order["keys"])
    how, amount = order["how"], order["amount"]
    async with ctx.lock_entities([giver, *takers]):
        if how == "fail at once":
            raise DisapprovedError
        if how == "approve":
            await ctx.call_activity(approve, amount)
        if how == "pause":
            await asyncio.sleep(0.1)
        try:
            await ctx.call_entity(giver, Account.move, -amount * len(takers))
        except EntityOperationFailedError:
            return "overdrawn"
        move = Account.move_slowly if how == "slowly" else Account.move
        await asyncio.gather(*[ctx.call_entity(taker, move, amount) for taker in takers])
        if how == "fail":
            raise DisapprovedError
        if how == "return":
            return "returned"
        if how == "again" and order["rounds"]:
            ctx.continue_as_new({**order, "rounds": order["rounds"] - 1})
    return "left"


@registry.orchestrator
def transfer_in_steps(ctx: OrchestrationContext, order: dict[str, Any]) -> Generator[Any, Any, str]:
    """The same as a generator, in the usual way."""
    giver, *takers = accounts(order["keys"])
    with (yield ctx.lock_entities([giver, *takers])):
        balance = yield ctx.call_entity(giver, Account.balance)
        if balance < order["amount"] * len(takers):
            return "overdrawn"
        for taker in takers:
            yield ctx.call_entity(giver, Account.move, -order["amount"])
            yield ctx.call_entity(taker, Account.move, order["amount"])
    return "left"


@registry.orchestrator
async def audit(ctx: OrchestrationContext, pause: float) -> int:
    everything = accounts(ACCOUNTS)
    async with ctx.lock_entities(everything):
        before = await asyncio.gather(*[ctx.call_entity(a, Account.balance) for a in everything])
        await asyncio.sleep(pause)
        after = await asyncio.gather(*[ctx.call_entity(a, Account.balance) for a in everything])
        assert before == after, "somebody else was here"
    return sum(before)


@registry.orchestrator
async def squat(ctx: OrchestrationContext, order: dict[str, Any]) -> str:
    """Hold accounts, or wait for them, for long; change nothing."""
    entities = accounts(order["keys"])
    try:
        async with ctx.lock_entities(entities, **order["limits"]):
            await asyncio.sleep(order["seconds"])
            await ctx.call_entity(entities[0], Account.balance)
    except EntityLockTimeoutError:
        return "did not get them"
    except EntityOperationFailedError as error:
        if not error.failure.error_type.endswith("EntityLockLostError"):
            raise
        return "held them for too long"
    return "left"


class Bank:
    """The simulation."""

    registry = registry

    def __init__(self) -> None:
        self._sums: list[int] = []

    async def play(self, stage: Stage) -> None:
        async with anyio.create_task_group() as group:
            for number in range(TRANSFERS):
                group.start_soon(self._transfer, stage, f"t{number}")
            for number in range(AUDITS):
                group.start_soon(self._audit, stage, f"audit{number}")
            for number in range(SQUATTERS):
                group.start_soon(self._squat, stage, f"s{number}")

    async def _transfer(self, stage: Stage, name: str) -> None:
        client = await stage.client()
        await stage.pause(stage.chance.choice([0.05, 0.3, 1]))
        chance = stage.chance
        order = {
            "keys": chance.sample(ACCOUNTS[: chance.choice([4, 8])], chance.randint(2, 3)),
            "amount": chance.randint(1, 60),
            "how": chance.choice(
                ["approve", "pause", "fail at once", "slowly", "fail", "return", "again", "leave"]
            ),
            "rounds": 2,
        }
        orchestrator = transfer_in_steps if stage.toss(0.3) else transfer
        handle = await _start(stage, client, orchestrator, order, name)
        if stage.toss(0.2):
            await suspend_for_a_while(stage, client, handle)
        state = await _end(client, handle)
        if state.status is Status.FAILED:
            assert state.failure is not None
            assert state.failure.error_type.endswith("DisapprovedError"), state.failure
        else:
            assert state.status is Status.COMPLETED

    async def _audit(self, stage: Stage, name: str) -> None:
        client = await stage.client()
        await stage.pause(1)
        pause = stage.chance.choice([0.0, 0.2])
        handle = await _start(stage, client, audit, pause, name)
        if stage.toss(0.3):
            await stage.pause(0.5)
            await persist(lambda: client.terminate(handle))
        state = await _end(client, handle)
        if state.status is not Status.TERMINATED:
            assert state.output() == SUM
            self._sums.append(state.output())

    async def _squat(self, stage: Stage, name: str) -> None:
        client = await stage.client()
        chance = stage.chance
        for _ in range(2):
            await stage.pause(1)
            order = {
                "keys": chance.sample(ACCOUNTS, chance.randint(1, 4)),
                "limits": chance.choice([{}, {}, {"timeout": 0.3}, {"hold": 0.3}, {"hold": 3}]),
                "seconds": chance.choice([0.05, 1, 30]),
            }
            handle = await _start(stage, client, squat, order, name)  # instead of the last one
            await stage.pause(1)
            if stage.toss(0.3):
                await suspend_for_a_while(stage, client, handle)
        await persist(lambda: client.terminate(handle))
        state = await _end(client, handle)
        assert state.status in (Status.COMPLETED, Status.TERMINATED), state.failure
        if stage.toss(0.3):
            await persist(lambda: client.purge(handle))

    async def check(self, stage: Stage) -> None:
        hub = await stage.hub()
        last = await hub.client.start(audit, 0.0)
        assert await last.wait(timeout=SETTLE_SECONDS) == SUM
        found = await states(hub)
        balances = [AT_FIRST if one is None else one for one in found.values()]
        assert sum(balances) + AT_FIRST * (len(ACCOUNTS) - len(balances)) == SUM
        assert min(balances) >= 0
        cleaned = await hub.client.clean_entities()
        assert cleaned.orphaned_locks == ()


async def _start(
    stage: Stage, client: Client, orchestrator: Any, given: Any, name: str
) -> OrchestrationHandle[Any]:
    request = stage.new_id()
    return await persist(
        lambda: client.start(
            orchestrator, given, instance_id=name, reuse=ReusePolicy.REPLACE, request_id=request
        )
    )


async def _end(client: Client, handle: OrchestrationHandle[Any]) -> Any:
    return await persist(lambda: client.wait_for_end(handle, timeout=SETTLE_SECONDS))
