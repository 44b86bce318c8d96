"""Entities that many open at once: nobody waits for ever, nothing is lost, and no turn of one leaves a new version of its row in an index."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest

from durable_async.backends.postgres import PostgresBackend, link
from durable_async.model.records import CommitItem, Outgoing
from durable_async.testing.conformance.driver import (
    Driver,
    bodies,
    deliver,
    entity_turn,
    ids,
    new,
    operation,
    release,
    turn,
)

from .schemas import connected, opened

PATIENCE = 60.0
SENDERS = 8
ROUNDS = 30
KEYS_A_ROUND = 30

DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"
UPDATES = "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where schemaname = 'durable_async' and relname = 'instances'"


class Crowd:
    """Senders that open the same entities at the same time in any order, and one that takes what they sent and discards what is empty.

    Each entity is opened again in the next round, in which it may just be discarded.

    Attributes:
        sent: What every letter says: its sender, the sender's count, its receiver.
        received: The same, in the order in which it was taken.
    """

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.done = asyncio.Event()
        self._chance = random.Random(7)
        self._together = asyncio.Barrier(SENDERS)

    async def _letters(self, who: str, number: int) -> list[Outgoing]:
        await self._together.wait()
        keys = self._chance.sample(keys_of(number) + keys_of(number - 1), KEYS_A_ROUND)
        letters = [operation(key, f"{who} {number} {key}".encode()) for key in keys]
        self.sent += [one.letter for one in letters]
        return letters

    async def client(self, backend: PostgresBackend, who: str) -> None:
        for number in range(1, ROUNDS + 1):
            await deliver(backend, *await self._letters(who, number))

    async def orchestration(self, driver: Driver, who: str) -> None:
        [claimed] = (await driver.fetch(names=frozenset({who}))).claimed
        for number in range(1, ROUNDS + 1):
            letters = await self._letters(who, number)
            await driver.commit(turn(claimed, number, outbox=tuple(letters)))

    async def take(self, driver: Driver) -> None:
        is_last = False
        while not is_last:
            is_last = self.done.is_set()
            claims = await driver.claim()
            items: list[CommitItem] = []
            for claimed in claims:
                self.received += bodies(claimed.mail)
                taken = tuple(mail.id for mail in claimed.mail)
                items += [
                    entity_turn(claimed, consumed=taken),
                    release(claimed.instance_id, claimed.mail),
                ]
            await driver.commit(*items)
            await driver.backend.discard_entities(ids(claims))
            is_last = is_last and not claims


def keys_of(number: int) -> list[str]:
    return [f"{number}-{key}" for key in range(KEYS_A_ROUND)]


@pytest.fixture
def eager_after_collisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is rolled back because an entity was discarded meanwhile is tried again until it is done. A deadlock counts all the same."""
    monkeypatch.setattr(link, "_COLLISIONS_MAX", 1_000)
    monkeypatch.setattr(link, "_COLLISION_PAUSE_SECONDS", 0.0001)


@pytest.mark.usefixtures("eager_after_collisions")
async def test_many_open_and_send_to_overlapping_sets(postgres_database: str) -> None:
    """No two wait for each other, every letter is taken once, and those of one sender to one entity in their order."""
    crowd = Crowd()
    names = [f"sender-{number}" for number in range(SENDERS)]
    async with AsyncExitStack() as stack:
        hubs = [await stack.enter_async_context(opened(postgres_database)) for _ in range(SENDERS)]
        taker = await Driver.register(hubs[0], "taker")
        await hubs[0].create([new(name, name=name) for name in names[::2]])
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as all_of_them:
            all_of_them.create_task(crowd.take(taker))
            async with asyncio.TaskGroup() as senders:
                for name, hub in zip(names[::2], hubs[::2], strict=True):
                    driver = await Driver.register(hub, f"worker of {name}")
                    senders.create_task(crowd.orchestration(driver, name))
                for name, hub in zip(names[1::2], hubs[1::2], strict=True):
                    senders.create_task(crowd.client(hub, name))
            crowd.done.set()
        async with connected(postgres_database) as connection:
            assert await connection.fetchval(DEADLOCKS) == 0
    assert sorted(crowd.received) == sorted(crowd.sent)
    in_order = [tuple(one.decode().split()) for one in crowd.received]
    for pair in {(who, key) for who, _, key in in_order}:
        counts = [int(number) for who, number, key in in_order if (who, key) == pair]
        assert counts == sorted(counts)


async def test_a_new_state_is_a_new_version_of_the_row_alone(postgres_database: str) -> None:
    """No index is touched, however many turns an entity has."""
    async with opened(postgres_database) as one:
        driver = await Driver.register(one, "worker")
        claimed = await driver.open("a")
        async with connected(postgres_database) as connection:
            before = await updates(connection)
        for number in range(50):
            await driver.commit(entity_turn(claimed, state=b"x" * (100 + number)))
    async with asyncio.timeout(PATIENCE), connected(postgres_database) as connection:
        while (after := await updates(connection))[0] < before[0] + 50:
            await asyncio.sleep(0.01)  # the session that was closed reports when it ends
    assert after[0] - after[1] <= 3  # those that opened and claimed it


async def updates(connection: Any) -> tuple[int, int]:
    """Return how many rows were updated, and how many of them without an index."""
    await connection.execute("select pg_stat_clear_snapshot()")
    row = await connection.fetchrow(UPDATES)
    return row["n_tup_upd"], row["n_tup_hot_upd"]
