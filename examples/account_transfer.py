"""Account transfer: entities that are locked together are nobody else's until the end of the block.

Fifty transfers go back and forth between the same accounts while audits lock all of them: no money is ever on its way, nothing deadlocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from durable_async import (
    Entity,
    EntityOperationFailedError,
    OrchestrationContext,
    TaskHub,
    entity,
    orchestrator,
)

NAMES = ["Ada", "Alan", "Barbara", "Edsger"]


@entity
class Account(Entity[int]):
    def initial_state(self) -> int:
        return 100

    def balance(self) -> int:
        return self.state

    def deposit(self, amount: int) -> None:
        self.state += amount

    def withdraw(self, amount: int) -> None:
        if amount > self.state:
            raise ValueError(f"{self.state} is not enough")
        self.state -= amount


@dataclass
class Payment:
    payer: str
    payee: str
    amount: int


@orchestrator
async def transfer(ctx: OrchestrationContext, payment: Payment) -> str:
    payer, payee = Account.entity_id(payment.payer), Account.entity_id(payment.payee)
    async with ctx.lock_entities([payer, payee]):
        try:
            await ctx.call_entity(payer, Account.withdraw, payment.amount)
        except EntityOperationFailedError as error:
            return f"refused: {error.failure.message}"
        await ctx.call_entity(payee, Account.deposit, payment.amount)
    return "done"


@orchestrator
def transfer_with_yield(ctx: OrchestrationContext, payment: Payment) -> Generator[Any, Any, str]:
    payer, payee = Account.entity_id(payment.payer), Account.entity_id(payment.payee)
    with (yield ctx.lock_entities([payer, payee])):
        try:
            yield ctx.call_entity(payer, Account.withdraw, payment.amount)
        except EntityOperationFailedError as error:
            return f"refused: {error.failure.message}"
        yield ctx.call_entity(payee, Account.deposit, payment.amount)
    return "done"


@orchestrator
async def audit(ctx: OrchestrationContext) -> int:
    accounts = [Account.entity_id(name) for name in NAMES]
    async with ctx.lock_entities(accounts):  # in any order: whoever asks first is first everywhere
        return sum(
            await asyncio.gather(*(ctx.call_entity(one, Account.balance) for one in accounts))
        )


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        client = hub.client
        for way in (transfer, transfer_with_yield):
            for amount in (30, 1000):
                handle = await client.start(way, Payment("Ada", "Alan", amount))
                print(f"{way.name} {amount}: {await handle.wait()}")

        async def pay(n: int) -> str:
            payment = Payment(NAMES[n % 4], NAMES[(n + 1 + n % 3) % 4], 7)
            return await (await client.start(transfer, payment)).wait()

        async def look() -> int:
            return await (await client.start(audit)).wait()

        async with asyncio.TaskGroup() as group:
            payments = [group.create_task(pay(n)) for n in range(50)]
            audits = [group.create_task(look()) for _ in range(5)]
        print(f"payments that came to an end: {len(payments)}")
        print(f"audits: {[one.result() for one in audits]}")
        print(f"locks left behind: {len((await client.clean_entities()).orphaned_locks)}")


if __name__ == "__main__":
    asyncio.run(main())
