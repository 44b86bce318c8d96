"""Expiry: what ended long ago is deleted, little by little, and nothing else is."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from durable_async.backend import Backend
from durable_async.model.history import ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import NextExecution, Park, Rewrite
from durable_async.model.status import TERMINAL, Status
from durable_async.model.upkeep import Expired, Expiry, Place

from .base import ConformanceBase, StoreClock
from .driver import (
    HOSTILE_IDS,
    SECOND_US,
    Driver,
    history_of,
    letters_of,
    new,
    restart,
    start,
    turn,
)

DAY_SECONDS = 86_400
DAY = Expiry(age_us=DAY_SECONDS * SECOND_US, statuses=tuple(TERMINAL))


class ExpiryConformance(ConformanceBase):
    """Only what has ended so long ago goes, with all that belongs to it."""

    async def test_an_age_counts_from_the_end_by_the_stores_clock(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """One that ended a moment too late stays."""
        await end(worker, "a")
        clock.advance(10)
        await end(worker, "b")
        clock.advance(DAY_SECONDS - 5)
        assert await expired(worker.backend) == {"a": "checkout"}
        assert await expired(worker.backend) == {}
        clock.advance(10)
        assert await expired(worker.backend) == {"b": "checkout"}

    async def test_nothing_that_has_not_ended_goes(self, worker: Driver, clock: StoreClock) -> None:
        """Pending, running, suspended, parked, about to go on as the next execution; nor any entity."""
        await worker.restate(await worker.start("running"), status=Status.RUNNING)
        await worker.restate(await worker.start("suspended"), status=Status.SUSPENDED)
        await worker.start("parked")
        await worker.commit(Park(instance_id="parked", reason="poison"))
        eternal = await worker.start("eternal")
        await worker.restate(eternal, next_execution=NextExecution(events=b"next", version=None))
        await worker.open("e")
        await start(worker.backend, "pending")
        clock.advance(400 * DAY_SECONDS)
        assert await expired(worker.backend) == {}
        kept = ["eternal", "parked", "pending", "running", "suspended", "@counter@e"]
        assert None not in await worker.backend.read(kept, payloads=False)

    async def test_what_goes_leaves_nothing_but_a_number(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """As after a purge: a later life goes on at the next execution, and finds nothing."""
        await end(worker, "a")
        clock.advance(DAY_SECONDS)
        assert await expired(worker.backend) == {"a": "checkout"}
        assert await worker.backend.read(["a"], payloads=False) == [None]
        again = await worker.start("a", events=b"fresh")
        assert again.execution == 2
        assert await history_of(worker.backend, "a") == [(0, b"fresh")]
        assert await letters_of(worker.backend, "a") == []

    async def test_names_and_statuses_say_which(self, worker: Driver, clock: StoreClock) -> None:
        """Of some names, of all others, that ended in some way."""
        for name in ("audit", "ping"):
            for status in TERMINAL:
                await end(worker, f"{name}-{status.value}", name=name, status=status)
        clock.advance(DAY_SECONDS)
        failed = expiry(statuses=(Status.FAILED,), other_than=("audit", "absent"))
        assert await expired(worker.backend, failed) == {"ping-failed": "ping"}
        done = expiry(statuses=(Status.COMPLETED, Status.TERMINATED), names=("ping", "absent"))
        assert sorted(await expired(worker.backend, done)) == ["ping-completed", "ping-terminated"]
        assert await expired(worker.backend, expiry(names=("ping",))) == {}
        assert len(await expired(worker.backend, expiry(other_than=("ping",)))) == 3

    async def test_a_child_stays_as_long_as_the_run_of_its_parent(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Until that ends, begins anew, or is gone; it is not looked for by its id alone."""
        parent = await worker.start("parent")
        link = ParentLink("parent", parent.execution, 1)
        children = (new("of-this-run", parent=link), new("of-another", parent=later(link)))
        await worker.restate(parent, children=(*children, new("of-nobody", parent=of_nobody())))
        for claimed in await worker.claim():
            await worker.restate(claimed, status=Status.COMPLETED)
        clock.advance(DAY_SECONDS)
        assert sorted(await expired(worker.backend)) == ["of-another", "of-nobody"]
        await worker.restate(parent, number=2, status=Status.COMPLETED)
        assert sorted(await expired(worker.backend)) == ["of-this-run"]

    async def test_a_child_of_one_that_failed_stays_with_it(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """However long that is kept: a rewind would ask for what the child returned."""
        parent = await worker.start("parent")
        child = new("child", name="leaf", parent=ParentLink("parent", parent.execution, 1))
        await worker.restate(parent, children=(child,), status=Status.FAILED)
        [claimed] = (await worker.fetch(names=frozenset({"leaf"}))).claimed
        await worker.restate(claimed, status=Status.COMPLETED)
        clock.advance(DAY_SECONDS)
        leaves = expiry(names=("leaf",))
        assert await expired(worker.backend, leaves) == {}
        assert await expired(worker.backend) == {"parent": "checkout"}
        assert await expired(worker.backend, leaves) == {"child": "leaf"}

    async def test_children_stay_for_a_parent_that_was_rewound(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """They belong to its next execution then, but for those of others and those that go on."""
        parent = await worker.start("parent")
        link = ParentLink("parent", parent.execution, 1, 3)
        children = (
            new("done", name="leaf", parent=link),
            new("of-another", name="leaf", parent=later(later(link))),
            new("rewound", parent=link),
            new("goes-on", name="slow", parent=link),
        )
        await worker.restate(parent, children=children, status=Status.FAILED)
        for claimed in (await worker.fetch(names=frozenset({"leaf"}))).claimed:
            await worker.restate(claimed, status=Status.COMPLETED)
        await worker.restate(await worker.claim_one(), status=Status.FAILED)
        rewrites = [
            Rewrite(instance_id="rewound", execution=1, events=b"again", parent=of_nobody()),
            Rewrite(instance_id="parent", execution=1, events=b"again", parent=None),
        ]
        assert await worker.backend.rewrite(rewrites)
        ids = [one.instance_id for one in children]
        records = await worker.backend.read(ids, payloads=False)
        links = [None if record is None else record.parent for record in records]
        assert links == [later(link), later(later(link)), of_nobody(), link]
        clock.advance(DAY_SECONDS)
        assert await expired(worker.backend) == {"of-another": "leaf"}
        for claimed in await worker.claim():
            await worker.restate(claimed, status=Status.COMPLETED)
        assert await expired(worker.backend) == {"done": "leaf"}

    async def test_one_that_began_again_is_young(self, worker: Driver, clock: StoreClock) -> None:
        """Replaced by another, or set going again."""
        await end(worker, "replaced")
        await end(worker, "rewound", status=Status.FAILED)
        clock.advance(DAY_SECONDS)
        await restart(worker.backend, "replaced", ReusePolicy.REPLACE_TERMINAL)
        rewrite = Rewrite(instance_id="rewound", execution=1, events=b"again", parent=None)
        assert await worker.backend.rewrite([rewrite])
        assert await expired(worker.backend) == {}
        for claimed in await worker.claim():
            await worker.restate(claimed, status=Status.COMPLETED)
        assert await expired(worker.backend) == {}
        clock.advance(DAY_SECONDS)
        assert sorted(await expired(worker.backend)) == ["replaced", "rewound"]

    async def test_it_goes_on_from_place_to_place(self, worker: Driver, clock: StoreClock) -> None:
        """A limit bounds what is looked at; those of one moment come in byte order, and none is missed."""
        names = ["keep", "go", "keep", "go", "go", "keep", "go"]
        await worker.backend.create([new(f"i{n}", name=name) for n, name in enumerate(names)])
        work = await worker.fetch(names=frozenset(names))
        await worker.commit(*[turn(one, status=Status.COMPLETED) for one in work.claimed])
        clock.advance(DAY_SECONDS)
        seen: list[list[str]] = []
        place: Place | None = None
        more = True
        while more:
            found = await look(worker.backend, expiry(names=("go",)), limit=2, after=place)
            seen.append(sorted(found.names))
            place, more = found.place, found.more
        assert seen == [["i1"], ["i3"], ["i4"], ["i6"]]
        after = await look(worker.backend, DAY, limit=2, after=place)
        assert (after.names, after.place, after.more) == ({}, place, False)
        assert sorted(await expired(worker.backend)) == ["i0", "i2", "i5"]

    async def test_a_look_deletes_nothing(self, worker: Driver, clock: StoreClock) -> None:
        """It tells what would go."""
        await end(worker, "a")
        clock.advance(DAY_SECONDS)
        for _ in range(2):
            found = await worker.backend.expire(DAY, limit=10, deletes=False)
            assert found.names == {"a": "checkout"}
        assert await expired(worker.backend) == {"a": "checkout"}

    @pytest.mark.parametrize("instance_id", HOSTILE_IDS)
    async def test_ids_are_only_ids(
        self, worker: Driver, clock: StoreClock, instance_id: str
    ) -> None:
        """Whatever they look like."""
        await end(worker, instance_id)
        await start(worker.backend, f"{instance_id[:100]} kept")
        clock.advance(DAY_SECONDS)
        found = await worker.backend.expire(DAY, limit=1)
        assert found.names == {instance_id: "checkout"}
        assert found.place is not None
        assert found.place[1] == instance_id
        assert (await look(worker.backend, DAY, limit=1, after=found.place)).names == {}

    async def test_two_who_delete_at_once_share_what_there_is(
        self, worker: Driver, second: Backend, clock: StoreClock
    ) -> None:
        """Each goes once, whoever tells of it; what one leaves to the other is gone soon after."""
        await start(worker.backend, *[f"i{number}" for number in range(40)])
        await worker.commit(*[turn(one, status=Status.COMPLETED) for one in await worker.claim()])
        clock.advance(DAY_SECONDS)
        told: list[str] = []
        for _ in range(3):
            found = await asyncio.gather(
                worker.backend.expire(DAY, limit=30), second.expire(DAY, limit=30)
            )
            told += [instance_id for one in found for instance_id in one.names]
        assert sorted(told) == sorted(f"i{number}" for number in range(40))

    async def test_an_empty_hub_has_nothing_to_tell(self, backend: Backend) -> None:
        """Nor a place to go on from."""
        assert await backend.expire(DAY, limit=5) == Expired(names={}, place=None, more=False)


def expiry(**conditions: Any) -> Expiry:
    """Return what is a day old, under more conditions."""
    return msgspec.structs.replace(DAY, **conditions)


def later(link: ParentLink) -> ParentLink:
    """Return the same operation in another execution of the parent."""
    return msgspec.structs.replace(link, execution=link.execution + 1)


def of_nobody() -> ParentLink:
    """Return a parent that is not there."""
    return ParentLink("absent", 1, 1)


async def look(backend: Backend, what: Expiry, *, limit: int, after: Place | None) -> Expired:
    """Delete of the next few."""
    return await backend.expire(what, limit=limit, after=after)


async def expired(backend: Backend, what: Expiry = DAY) -> dict[str, str]:
    """Delete whatever is old enough, from the beginning; return the names by id."""
    found = await backend.expire(what, limit=100)
    assert not found.more
    return found.names


async def end(
    worker: Driver, instance_id: str, *, name: str = "checkout", status: Status = Status.COMPLETED
) -> None:
    """Start an orchestration and end it."""
    await start(worker.backend, instance_id, name=name)
    [claimed] = (await worker.fetch(names=frozenset({name}))).claimed
    await worker.restate(claimed, status=status)
