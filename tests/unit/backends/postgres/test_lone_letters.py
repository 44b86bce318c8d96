"""A letter that comes alone goes a shorter way than several, and leaves the same."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from durable_async.backends.postgres import PostgresBackend
from durable_async.model.history import ParentLink
from durable_async.model.records import Abandon, Outgoing, Park
from durable_async.model.status import Status
from durable_async.testing.conformance.driver import (
    ENTITY,
    ORCHESTRATOR,
    Driver,
    entity,
    letter,
    new,
    release,
    turn,
)
from durable_async.testing.postgres import PostgresLab

from .schemas import connected

LETTERS_MAX = 3
TABLES = (
    "id, name, execution, attempts, marked, ending, owner, status, parked, ready_at_us is null, hold_until_us from durable_async.instances",
    "i.id, l.execution, l.urgent, final, letter, rank() over (order by l.id) from durable_async.letters l join durable_async.instances i using (hub, key)",
    "i.id, m.owner from durable_async.marks m join durable_async.instances i using (hub, key)",
    "id, answer from durable_async.requests",
)
COMPANY = letter("nobody", b"company")
STRANGER = ParentLink("stranger", 1, 1)

LETTERS = st.builds(
    lambda to, fields, body: letter(to, body, **fields),
    st.sampled_from(["o", entity("a")]),
    st.fixed_dictionaries(
        {},
        optional={
            "execution": st.sampled_from([1, 2]),
            "urgent": st.just(True),
            "final": st.booleans(),
            "parent": st.just(STRANGER),
            "request_id": st.sampled_from(["r1", "r2"]),
        },
    ),
    st.sampled_from([b"one", b"other"]),
)
PLAIN = st.sampled_from([letter("o"), letter(entity("a")), letter(entity("a"), opens=ENTITY)])
CHANGES = ["claim", "claim far", "release", "abandon", "park", "take", "doubt", "end"]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["send", "post"]), st.one_of(PLAIN, LETTERS)),
        st.tuples(st.sampled_from(CHANGES)),
    ),
    max_size=20,
)


class World:
    """A hub with an orchestration, perhaps an entity, their owners near and far, and a sender, whose letters go alone or in company."""

    def __init__(self, dsn: str, *, alone: bool) -> None:
        hub = f"alone{os.urandom(6).hex()}"
        self.dsn = dsn
        self.company = () if alone else (COMPANY,)
        self.near = PostgresBackend(dsn, hub=hub, letters_max=LETTERS_MAX)
        self.far = PostgresBackend(dsn, hub=hub, letters_max=LETTERS_MAX)
        self.turns = 0
        self.owned: dict[str, tuple[Driver, Any]] = {}

    async def begin(self) -> None:
        await self.near.open()
        await self.far.open()
        self.worker = await Driver.register(self.near, "near")
        self.stranger = await Driver.register(self.far, "far")
        self.sender = await self.worker.start("sender")
        await self.near.create([new("o", start_at_us=1)])

    async def end(self) -> None:
        await self.near.close()
        await self.far.close()

    async def do(self, what: str, out: Outgoing | None) -> Any:
        match what, out:
            case "send", Outgoing():
                return (await self.near.send([out, *self.company]))[0]
            case "post", Outgoing():
                self.turns += 1
                posted = turn(self.sender, self.turns, outbox=(out, *self.company))
                return (await self.worker.commit(posted)).dropped
            case "claim", _:
                return await self.claim(self.worker)
            case "claim far", _:
                return await self.claim(self.stranger)
            case "doubt", _:
                return self.near._near.doubt()
            case _:
                for one in sorted(self.owned):
                    await self.let_go(what, one)
        return None

    async def claim(self, driver: Driver) -> Any:
        work = await driver.fetch(names=frozenset({ORCHESTRATOR, ENTITY}))
        self.owned |= {one.instance_id: (driver, one) for one in work.claimed}
        told = [(mail.instance_id, mail.letter) for mail in work.mail]
        return sorted((one.instance_id, len(one.mail)) for one in work.claimed), told

    async def let_go(self, how: str, instance_id: str) -> None:
        driver, claimed = self.owned[instance_id]
        there = await self.far.read_letters(instance_id, limit=1)
        self.turns += 1
        match how:
            case "take":
                taken = tuple(one.id for one in there)
                await driver.commit(turn(claimed, self.turns, events=b"", consumed=taken))
                return
            case "end" if instance_id == "o":
                await driver.commit(turn(claimed, self.turns, status=Status.COMPLETED))
            case "abandon":
                await driver.commit(Abandon(instance_id=instance_id, retry_at_us=2**60))
            case "park":
                await driver.commit(Park(instance_id=instance_id, reason="why"))
            case _:
                await driver.commit(release(instance_id, there))
        del self.owned[instance_id]

    async def look(self) -> list[list[tuple[Any, ...]]]:
        hub = self.near._hub
        async with connected(self.dsn) as connection:
            return [
                sorted(
                    map(tuple, await connection.fetch(f"select {rows} where hub = $1", hub)),
                    key=repr,
                )
                for rows in TABLES
            ]


OPENS = ("send", letter(entity("a"), opens=ENTITY))
TO_A = ("send", letter(entity("a")))
TO_O = ("send", letter("o"))
LAST_TO_A = ("send", letter(entity("a"), final=True))
LAST_TO_O = ("send", letter("o", final=True))
BY_TURN = ("post", letter(entity("a")))

DAYS: dict[str, list[tuple[Any, ...]]] = {
    "full": [OPENS, TO_A, TO_A, TO_A, LAST_TO_A, LAST_TO_A, BY_TURN],
    "about to end": [OPENS, ("claim",), LAST_TO_A, TO_A, BY_TURN, ("claim",)],
    "far": [OPENS, ("claim far",), TO_A, BY_TURN, ("claim far",), LAST_TO_A],
    "in doubt": [OPENS, ("claim",), TO_A, ("doubt",), TO_A, BY_TURN, ("claim",), TO_A],
    "parked": [OPENS, ("claim",), ("park",), TO_A, TO_O, LAST_TO_A, LAST_TO_O],
    "held back": [
        *[OPENS, ("claim",), ("abandon",), TO_A, BY_TURN],
        ("send", letter("o", urgent=True)),
        *[LAST_TO_O, ("claim",)],
    ],
    "for others": [
        ("send", letter("o", execution=2)),
        ("send", letter("o", execution=1)),
        ("send", letter("o", parent=STRANGER)),
        *[("post", letter("o", execution=2)), TO_A],
    ],
    "too late": [("claim",), TO_O, ("end",), TO_O, LAST_TO_O, ("post", letter("o"))],
    "again": [
        ("send", letter("o", request_id="r1")),
        ("send", letter("o", request_id="r1")),
        ("send", letter("nobody else", request_id="r2")),
    ],
}


@pytest.mark.parametrize("day", sorted(DAYS))
async def test_on_a_day(postgres_lab: PostgresLab, day: str) -> None:
    await live(postgres_lab.dsn, DAYS[day])


@settings(max_examples=25)
@given(STEPS)
def test_on_any_day(postgres_lab: PostgresLab, steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(live(postgres_lab.dsn, steps))


async def live(dsn: str, steps: list[tuple[Any, ...]]) -> None:
    """Do the same in two hubs, and find the same."""
    worlds = [World(dsn, alone=alone) for alone in (True, False)]
    try:
        for world in worlds:
            await world.begin()
        for what, *letters in steps:
            out = letters[0] if letters else None
            alone, together = [await world.do(what, out) for world in worlds]
            assert alone == together
        alone, together = [await world.look() for world in worlds]
        assert alone == together
    finally:
        for world in worlds:
            await world.end()
