"""A start that comes alone goes a shorter way than several, and leaves the same."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from durable_async.backends.postgres import PostgresBackend
from durable_async.model.history import ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import ClaimedInstance, NewInstance
from durable_async.model.status import Status
from durable_async.testing.conformance.driver import Driver, entity, letter, new, operation, turn
from durable_async.testing.postgres import PostgresLab

from .schemas import connected

TABLES = (
    "id, name, version, execution, status, ready_at_us is null, ready_at_us = start_at_us, start_at_us, is_entity or created_at_us = 1700000000000000 from durable_async.instances",
    "id, owner, fetched_in < 0, attempts, marked, ending, is_entity, parent_id, parked, tags, output, will_to from durable_async.instances",
    "i.id, h.execution, h.turn, h.events from durable_async.history h join durable_async.instances i using (hub, key)",
    "id, answer from durable_async.requests",
    "id, execution from durable_async.tombstones",
)
LATER = 2**60

STARTS = st.builds(
    lambda instance_id, fields, events: new(instance_id, events=events, **fields),
    st.sampled_from(["a", "b", entity("e")]),
    st.fixed_dictionaries(
        {},
        optional={
            "reuse": st.sampled_from(ReusePolicy),
            "request_id": st.sampled_from(["r1", "r2"]),
            "start_at_us": st.just(LATER),
            "tags": st.just({"k": "v"}),
            "version": st.just("2"),
            "parent": st.just(ParentLink("parent", 1, 1)),
        },
    ),
    st.sampled_from([b"one", b"other"]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.one_of(STARTS, st.just(new("a")), st.just(new("b")))),
        st.tuples(
            st.sampled_from(["end", "purge", "offer", "take back", "doubt", "fetch", "open"])
        ),
    ),
    max_size=15,
)


class LongWay(PostgresBackend):
    """Starts by the function for any number."""

    async def _start(self, instances: Any, new: Any) -> list[Any]:
        return []


class Taker:
    """A worker's offer to take whatever may begin at once."""

    def __init__(self) -> None:
        self.taken: list[tuple[ClaimedInstance, bool]] = []

    def choose(self, instances: Any) -> list[bool]:
        return [one.start_at_us == 0 and one.parent is None for one in instances]

    def take(self, claimed: ClaimedInstance, *, is_told: bool) -> None:
        self.taken.append((claimed, is_told))


class World:
    """A hub, with a worker in the process that starts."""

    def __init__(self, backend: PostgresBackend) -> None:
        self.backend = backend
        self.taker = Taker()
        self.hints: list[Any] = []

    async def begin(self) -> None:
        await self.backend.open()
        self.driver = await Driver.register(self.backend, "worker")
        give = self.backend._ears.give

        def noting(brought_work: bool, *changed: Any, **more: Any) -> None:
            self.hints.append((bool(brought_work), *changed, more))
            give(brought_work, *changed, **more)

        self.backend._ears.give = noting  # type: ignore[method-assign]

    async def do(self, step: tuple[Any, ...]) -> Any:
        match step:
            case ["start", NewInstance() as one]:
                return await self.backend.create([one])
            case ["end"]:
                return await self.end()
            case ["purge"]:
                return await self.backend.purge(["a", "b"])
            case ["open"]:
                return await self.backend.send([operation("e"), letter("a")])
            case ["fetch"]:
                return len(await self.driver.fetch_mail())
            case [change]:
                return self.change(change)
        return None

    async def end(self) -> list[str]:
        """End what can be claimed."""
        work = await self.driver.fetch(instances=9)
        for one in work.claimed:
            if not one.instance_id.startswith("@"):
                await self.driver.commit(turn(one, 1, status=Status.COMPLETED))
        return sorted(one.instance_id for one in work.claimed)

    def change(self, what: str) -> Any:
        """Change what the process knows."""
        match what:
            case "offer":
                return self.backend._near.offer(self.driver.fence, self.taker)
            case "take back":
                return self.backend._near.take_back("worker")
            case _:
                return self.backend._near.doubt()

    async def look(self, dsn: str) -> list[Any]:
        hub = self.backend._hub
        async with connected(dsn) as connection:
            return [
                sorted(map(repr, await connection.fetch(f"select {rows} where hub = $1", hub)))
                for rows in TABLES
            ]


@settings(max_examples=30)
@given(STEPS)
def test_both_ways_leave_the_same(postgres_lab: PostgresLab, steps: list[tuple[Any, ...]]) -> None:
    async def live() -> None:
        dsn = postgres_lab.dsn
        kinds = (PostgresBackend, LongWay)
        worlds = [World(kind(dsn, hub=f"start{os.urandom(6).hex()}")) for kind in kinds]
        try:
            for world in worlds:
                await world.begin()
            for step in steps:
                short, long = [await world.do(step) for world in worlds]
                assert short == long
            short, long = [await world.look(dsn) for world in worlds]
            assert short == long
            assert worlds[0].hints == worlds[1].hints
            assert worlds[0].taker.taken == worlds[1].taker.taken
        finally:
            for world in worlds:
                await world.backend.close()

    asyncio.run(live())


async def test_one_that_is_new_is_one_statement(
    postgres_lab: PostgresLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = PostgresBackend(postgres_lab.dsn, hub=f"start{os.urandom(6).hex()}")
    await backend.open()
    asked: list[str] = []
    ask = backend._ask

    async def noting(name: str, *values: Any) -> list[Any]:
        asked.append(name)
        return await ask(name, *values)

    monkeypatch.setattr(backend, "_ask", noting)
    try:
        await backend.create([new("a")])
        assert asked == ["start_instance"]
        await backend.create([new("a")])
        assert asked[1:] == ["start_instance", "create_instances"]
    finally:
        await backend.close()
