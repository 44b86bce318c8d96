"""Signals to entities and transfers under lock on Postgres, with client and worker in one process.

python -m benchmarks.entities_postgres '{"one": [50, 1, 10000]}'     senders, entities, signals
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import asyncpg

from benchmarks.samples import emit
from benchmarks.server import counts, database, deadlocks
from durable_async import (
    Client,
    Entity,
    EntityId,
    OrchestrationContext,
    Registry,
    TaskHub,
    Worker,
)

registry = Registry()


@registry.entity
class Counter(Entity[int]):
    """What the peer's counter is."""

    def initial_state(self) -> int:
        """Return what it begins with."""
        return 0

    def add(self, amount: int) -> int:
        """Add, and return the sum."""
        self.state += amount
        return self.state


@registry.entity
class Account(Entity[int]):
    """Money."""

    def initial_state(self) -> int:
        """Return what it is opened with."""
        return 100

    def balance(self) -> int:
        """Return what is there."""
        return self.state

    def move(self, amount: int) -> None:
        """Put in, or take out."""
        self.state += amount


@registry.orchestrator
async def transfer(ctx: OrchestrationContext, pair: list[str]) -> bool:
    """Take from one, give to the other, if there is enough."""
    source, target = (Account.entity_id(key) for key in pair)
    async with ctx.lock_entities([source, target]):
        if await ctx.call_entity(source, Account.balance) < 1:
            return False
        await ctx.call_entity(source, Account.move, -1)
        await ctx.call_entity(target, Account.move, 1)
    return True


async def _applied(client: Client, ids: list[EntityId], each: int) -> None:
    for one in ids:
        while True:
            found = await client.get_entity(one, Counter)
            if found is not None and (found.state or 0) >= each:
                break
            await asyncio.sleep(0.005)


async def signals(client: Client, name: str, senders: int, entities: int, total: int) -> float:
    """Let senders signal, each waiting for its signal to be durable; return the seconds until all are carried out."""
    ids = [Counter.entity_id(f"{name}-{n}") for n in range(entities)]

    async def sender(number: int) -> None:
        for n in range(total // senders):
            await client.signal_entity(ids[(number + n * senders) % entities], Counter.add, 1)

    started = time.perf_counter()
    await asyncio.gather(*(sender(number) for number in range(senders)))
    await _applied(client, ids, total // entities)
    return time.perf_counter() - started


async def transfers(client: Client, total: int, at_once: int) -> float:
    """Let transfers run, some at once, between 100 accounts; return the seconds."""
    limit = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with limit:
            pair = [str(number % 100), str((number * 7 + 1) % 100)]
            await (await client.start(transfer, pair)).wait()

    started = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(total)))
    return time.perf_counter() - started


async def _commits(dsn: str, worker: Worker) -> int:
    """Return how often the worker has committed."""
    connection = await asyncpg.connect(dsn)
    try:
        query = "select seq from durable_async.workers where id = $1"
        return int(await connection.fetchval(query, worker.worker_id))
    finally:
        await connection.close()


async def main(cases: dict[str, list[int]]) -> None:
    """Run one round, and print its figures."""
    async with database() as (dsn, watcher):
        figures: dict[str, float] = {}
        async with TaskHub.open(dsn, registry=registry) as hub, hub.worker() as worker:
            await signals(hub.client, "warm", 1, 1, 50)
            await transfers(hub.client, 200, 10)
            for name, case in cases.items():
                seq = await _commits(dsn, worker)
                before = await counts(watcher)
                cpu = time.process_time()
                if name.startswith("transfer"):
                    total = case[0]
                    seconds = await transfers(hub.client, total, case[1])
                else:
                    total = case[2]
                    seconds = await signals(hub.client, name, *case)
                cpu = time.process_time() - cpu
                after = await counts(watcher)
                seq = await _commits(dsn, worker) - seq
                figures |= {
                    f"{name}_per_second": total / seconds,
                    f"{name}_commits": (after.transactions - before.transactions) / total,
                    f"{name}_worker_commits": seq / total,
                    f"{name}_cpu_us": cpu / total * 1e6,
                    f"{name}_server_cpu_us": (after.cpu_seconds - before.cpu_seconds) / total * 1e6,
                    f"{name}_wal_bytes": (after.wal_bytes - before.wal_bytes) / total,
                }
        figures["deadlocks"] = await deadlocks(watcher, dsn)
    emit(figures)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
