"""How long something takes from one process to another: a hop of a ball between two entities, of a child, of a call of an entity.

python -m benchmarks.ours.hops ball 200       two entities signal each other, each in a process of its own
python -m benchmarks.ours.hops child 200      a parent here, and one child after the other there: there and back are two hops
python -m benchmarks.ours.hops call 200       an orchestration here calls an entity there: there and back are two hops
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from itertools import pairwise

from benchmarks.companions import Companion, attend, companion
from benchmarks.samples import emit
from benchmarks.sequential import milliseconds
from benchmarks.server import DSN_VARIABLE, counts, database
from durable_async import (
    Client,
    Entity,
    EntityId,
    OrchestrationContext,
    Registry,
    TaskHub,
    entity_context,
)

WARM_UP = 20
PATIENCE_SECONDS = 120.0

log = logging.getLogger("benchmarks.hops")
here, there = Registry(), Registry()


class Stamps(logging.Handler):
    """When what is measured came by here; an orchestrator says so by its log, for it must not look at the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note one."""
        self.times.append(time.perf_counter())


stamps = Stamps()
played = asyncio.Event()


@here.entity
class Ping(Entity[int]):
    """One of the players; it begins, and counts down."""

    def initial_state(self) -> int:
        """Return how often it had the ball."""
        return 0

    def hit(self, left: int) -> None:
        """Play the ball to the other one, so many times."""
        stamps.times.append(time.perf_counter())
        self.state += 1
        if left:
            entity_context().signal_entity(Pong.entity_id("pong"), Pong.hit, left)
        else:
            played.set()


@there.entity
class Pong(Entity[int]):
    """The other one."""

    def initial_state(self) -> int:
        """Return how often it had the ball."""
        return 0

    def hit(self, left: int) -> None:
        """Play it back."""
        self.state += 1
        entity_context().signal_entity(Ping.entity_id("ping"), Ping.hit, left - 1)


@there.entity
class Counter(Entity[int]):
    """What is called."""

    def initial_state(self) -> int:
        """Return what it begins with."""
        return 0

    def add(self, amount: int) -> int:
        """Add, and return the sum."""
        self.state += amount
        return self.state


@there.orchestrator
async def child(ctx: OrchestrationContext, number: int) -> int:
    """Return at once."""
    return number


@here.orchestrator
async def parent(ctx: OrchestrationContext, children: int) -> int:
    """Start one child after the other."""
    told = ctx.logger(log)
    told.info("begin")
    total = 0
    for _ in range(children):
        total += await ctx.call_sub_orchestrator(child, 1)
        told.info("one has ended")
    return total


@here.orchestrator
async def caller(ctx: OrchestrationContext, calls: int) -> int:
    """Call an entity again and again."""
    told = ctx.logger(log)
    told.info("begin")
    total = 0
    for _ in range(calls):
        total = await ctx.call_entity(Counter.entity_id("counter"), Counter.add, 1)
        told.info("it has answered")
    return total


async def ball(client: Client, rounds: int) -> None:
    """Let the ball go to and fro."""
    await client.signal_entity(Ping.entity_id("ping"), Ping.hit, rounds)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await played.wait()
        await _reached(client, Pong.entity_id("pong"), rounds)
        await _reached(client, Ping.entity_id("ping"), rounds + 1)


async def _reached(client: Client, entity: EntityId, state: int) -> None:
    while True:
        found = await client.get_entity(entity, int)
        if found is not None and found.state == state:
            return
        await asyncio.sleep(0.02)  # the last operation is not committed yet


async def play(client: Client, what: str, rounds: int) -> None:
    """Go there and back so many times."""
    if what == "ball":
        await ball(client, rounds)
        return
    handle = await client.start(parent if what == "child" else caller, rounds)
    assert await handle.wait() == rounds


async def work(dsn: str) -> None:
    """Be the other process."""
    async with TaskHub.open(dsn, registry=there) as hub, hub.worker():
        await attend(lambda: {"cpu_seconds": time.process_time()})


async def _cpu_seconds(other: Companion) -> float:
    """Return the CPU that both processes have used."""
    return time.process_time() + (await other.figures())["cpu_seconds"]


async def main(what: str, rounds: int) -> None:
    """Measure and print."""
    log.addHandler(stamps)
    log.setLevel(logging.INFO)
    log.propagate = False
    everything = rounds + WARM_UP
    async with (
        database() as (dsn, watcher),
        companion(dsn, "benchmarks.ours.hops", "work") as other,
        TaskHub.open(dsn, registry=here) as hub,
        hub.worker(),
    ):
        await hub.client.get("nobody")  # a connection, and its plans
        before, cpu = await counts(watcher), await _cpu_seconds(other)
        await play(hub.client, what, everything)
        after, cpu = await counts(watcher), await _cpu_seconds(other) - cpu
    times = stamps.times
    assert len(times) == everything + 1, f"{len(times)} instead of {everything + 1}"
    seconds = [(later - earlier) / 2 for earlier, later in pairwise(times)]
    emit(
        milliseconds(seconds[WARM_UP:])
        | {
            "commits_per_hop": (after.transactions - before.transactions) / everything / 2,
            "wal_bytes_per_hop": (after.wal_bytes - before.wal_bytes) / everything / 2,
            "cpu_us_per_hop": cpu / everything / 2 * 1e6,
        }
    )


if __name__ == "__main__":
    if sys.argv[1] == "work":
        asyncio.run(work(os.environ[DSN_VARIABLE]))
    else:
        asyncio.run(main(sys.argv[1], int(sys.argv[2])))
