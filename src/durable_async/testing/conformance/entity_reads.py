"""Entities as clients see them: records, letters, queries, and how the empty ones are forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

from durable_async.backend import Backend
from durable_async.model.records import Abandon, Delivery, EntityFilter, InstanceFilter, Park
from durable_async.model.status import Status

from .base import ConformanceBase, Opener, StoreClock
from .driver import (
    ENTITY,
    EVERY_BYTE,
    IN_BYTE_ORDER,
    SECOND_US,
    Driver,
    bodies,
    deliver,
    entity,
    entity_turn,
    ids,
    letter,
    letters_of,
    operation,
    read_entity,
    read_one,
    release,
    start,
    turn,
)


async def all_entities(backend: Backend, limit: int = 3, **where: Any) -> list[str]:
    """Return the ids of a whole query, read page by page."""
    found: list[str] = []
    page: str | None = None
    while True:
        answer = await backend.query_entities(EntityFilter(**where), limit=limit, page=page)
        assert len(answer.items) <= limit
        assert not {*found} & {*ids(answer.items)}
        found += ids(answer.items)
        page = answer.next_page
        if page is None:
            return found
        assert answer.items


async def settle(worker: Driver, *keys: str, state: bytes = b"state") -> None:
    """Open entities, take their letters, give them a state, and let them go."""
    await deliver(worker.backend, *[operation(key) for key in keys])
    for claimed in await worker.claim():
        taken = tuple(one.id for one in claimed.mail)
        await worker.commit(
            entity_turn(claimed, state=state, consumed=taken), release(claimed.instance_id)
        )


class EntityReadConformance(ConformanceBase):
    """``read_entities`` and ``read_letters``, and what other verbs make of entities."""

    async def test_records_of_entities_stand_in_the_order_of_the_arguments(
        self, worker: Driver
    ) -> None:
        """With ``None`` for those that are not there, or are none, and doubles for doubles."""
        await deliver(worker.backend, operation("a"), operation("b"))
        await start(worker.backend, "a")
        asked = [entity("b"), entity("nobody"), "a", entity("a"), entity("b")]
        records = await worker.backend.read_entities(asked)
        assert [record and record.instance_id for record in records] == [
            entity("b"),
            None,
            None,
            entity("a"),
            entity("b"),
        ]
        assert await worker.backend.read_entities([]) == []

    async def test_a_record_tells_all_that_is_known(self, worker: Driver) -> None:
        """The same from a query."""
        claimed = await worker.open("a", b"1", b"2", b"3")
        await worker.commit(entity_turn(claimed, state=EVERY_BYTE, consumed=(claimed.mail[0].id,)))
        record = await read_entity(worker.backend, "a")
        assert (record.instance_id, record.name) == (entity("a"), ENTITY)
        assert (record.state, record.letters) == (EVERY_BYTE, 2)
        assert (record.owner, record.parked) == ("worker-1", None)
        page = await worker.backend.query_entities(EntityFilter(), limit=9, page=None)
        assert page.items == (record,)

    async def test_it_can_be_read_as_an_instance(self, worker: Driver) -> None:
        """One that runs, and had no input."""
        await worker.open("a")
        record = await read_one(worker.backend, entity("a"))
        assert (record.name, record.status, record.execution) == (ENTITY, Status.RUNNING, 1)
        assert (record.owner, record.started_events, record.output) == ("worker-1", None, None)

    async def test_letters_are_read_in_order_of_arrival(self, worker: Driver) -> None:
        """The first of them, with their ids; they stay where they are."""
        claimed = await worker.open("a", *[b"%d" % number for number in range(12)])
        read = await worker.backend.read_letters(entity("a"), limit=1000)
        assert read == list(claimed.mail)
        for limit in (1, 5, 12):
            read = await worker.backend.read_letters(entity("a"), limit=limit)
            assert read == list(claimed.mail[:limit])
        taken = tuple(one.id for one in claimed.mail[::2])
        await worker.commit(entity_turn(claimed, consumed=taken))
        assert await worker.backend.read_letters(entity("a"), limit=3) == list(claimed.mail[1:6:2])

    async def test_letters_of_orchestrations_are_read_too(self, worker: Driver) -> None:
        """With the execution that they are for; there are none where nobody is."""
        await start(worker.backend, "a")
        await deliver(worker.backend, letter("a", b"1", execution=1), letter("a", b"2"))
        mail = await worker.backend.read_letters("a", limit=9)
        assert [(m.instance_id, m.execution, m.letter) for m in mail] == [
            ("a", 1, b"1"),
            ("a", None, b"2"),
        ]
        assert await worker.backend.read_letters("nobody", limit=9) == []
        assert await worker.backend.read_letters(entity("nobody"), limit=9) == []

    async def test_queries_of_orchestrations_leave_them_out(self, worker: Driver) -> None:
        """Whatever is asked, and page by page."""
        await deliver(worker.backend, *[operation(key) for key in ("a", "b", "c")])
        await start(worker.backend, "i1", "i2")
        for where in (
            InstanceFilter(),
            InstanceFilter(statuses=(Status.RUNNING, Status.PENDING)),
            InstanceFilter(created_from_us=0),
            InstanceFilter(parked=False),
        ):
            found: list[str] = []
            page = await worker.backend.query(where, limit=1, page=None, payloads=True)
            found += ids(page.items)
            while page.next_page is not None:
                page = await worker.backend.query(
                    where, limit=1, page=page.next_page, payloads=False
                )
                found += ids(page.items)
            assert found == ["i1", "i2"]
        for where in (InstanceFilter(names=(ENTITY,)), InstanceFilter(id_prefix="@")):
            page = await worker.backend.query(where, limit=9, page=None, payloads=False)
            assert page.items == ()

    async def test_statistics_count_them_apart(self, worker: Driver) -> None:
        """Not by status; their letters, and those that are parked, count with the others."""
        await settle(worker, "a", "b")
        await worker.open("c", b"1", b"2")
        await worker.commit(Park(instance_id=entity("c"), reason="poison"))
        await worker.start("i")
        await worker.commit(Park(instance_id="i", reason="poison"))
        counts = await worker.backend.statistics()
        assert {status: n for status, n in counts.by_status.items() if n} == {Status.PENDING: 1}
        assert (counts.entities, counts.parked, counts.letters) == (3, 2, 2)

    async def test_they_cannot_be_purged(self, worker: Driver) -> None:
        """They never end."""
        await settle(worker, "a")
        assert await worker.backend.purge([entity("a")]) == []
        assert (await read_entity(worker.backend, "a")).state == b"state"

    async def test_hubs_never_see_each_others(self, opened: Opener) -> None:
        """The same ids, the same requests: two worlds."""
        left = await Driver.register(await opened(hub="left"), "w")
        right = await Driver.register(await opened(hub="right"), "w")
        await settle(left, "a", "b", state=b"left")
        await deliver(right.backend, operation("a", b"right"))
        assert await right.backend.discard_entities([entity("b")]) == []
        claimed = await right.claim_one()
        assert (claimed.state, claimed.execution, bodies(claimed.mail)) == (None, 1, [b"right"])
        assert await all_entities(right.backend) == [entity("a")]
        assert await all_entities(left.backend) == [entity("a"), entity("b")]
        assert await letters_of(left.backend, entity("a")) == []
        assert (await left.backend.statistics()).entities == 2
        assert (await right.backend.statistics()).entities == 1


class EntityQueryConformance(ConformanceBase):
    """Queries filter exactly and page without gaps or doubles."""

    async def test_in_byte_order_of_their_ids(self, worker: Driver) -> None:
        """That of UTF-8, not that of their age."""
        await deliver(worker.backend, *[operation(key) for key in reversed(IN_BYTE_ORDER)])
        await deliver(worker.backend, operation("z", name="@a"), operation("a", name="@z"))
        expected = [entity("z", "@a"), *map(entity, IN_BYTE_ORDER), entity("a", "@z")]
        for limit in (1, 2, 3, 8, 100):
            assert await all_entities(worker.backend, limit) == expected

    async def test_the_last_page_of_entities_says_so(self, worker: Driver) -> None:
        """Also if it is exactly full, and if there is nothing at all."""
        backend = worker.backend
        empty = await backend.query_entities(EntityFilter(), limit=2, page=None)
        assert (empty.items, empty.next_page) == ((), None)
        await deliver(backend, *[operation(key) for key in "abcd"])
        first = await backend.query_entities(EntityFilter(), limit=2, page=None)
        assert first.next_page is not None
        last = await backend.query_entities(EntityFilter(), limit=2, page=first.next_page)
        assert ids(first.items + last.items) == [entity(key) for key in "abcd"]
        assert last.next_page is None

    async def test_what_changes_between_pages_moves_no_entity(self, worker: Driver) -> None:
        """New ones come where they belong; those that were forgotten leave no gap."""
        await settle(worker, "b", "d", state=b"")
        await settle(worker, "f", "h")
        first = await worker.backend.query_entities(EntityFilter(), limit=2, page=None)
        assert len(await worker.backend.discard_entities([entity("b"), entity("d")])) == 2
        await deliver(worker.backend, operation("a"), operation("e"), operation("g"))
        rest = await worker.backend.query_entities(EntityFilter(), limit=9, page=first.next_page)
        assert ids(first.items) == [entity("b"), entity("d")]
        assert ids(rest.items) == [entity(key) for key in "efgh"]

    async def test_by_prefix_of_the_entitys_id(self, worker: Driver) -> None:
        """Literally: no wildcards, no folding of case; a kind, or a kind and how keys begin."""
        keys = ("a%b", "a_b", "axb", "A%b", "a", "a\U0010ffff!", "a@b", "@a", "a\\b", "it's")
        await deliver(worker.backend, *[operation(key) for key in keys])
        await deliver(worker.backend, operation("a", name="@count"), operation("a", name="@x_y"))
        await start(worker.backend, "i")

        async def found(prefix: str) -> set[str]:
            return set(await all_entities(worker.backend, id_prefix=prefix))

        assert await found("@counter@") == {entity(key) for key in keys}
        assert await found("@count@") == {"@count@a"}
        assert await found("@count") == {"@count@a", *map(entity, keys)}
        assert await found("@x_") == {"@x_y@a"}
        assert await found("@x%") == set()
        assert len(await found("@")) == 12
        for prefix in ("a%", "a_", "A", "a@", "@", "a\\", "it'", "a\U0010ffff"):
            expected = {entity(key) for key in keys if key.startswith(prefix)}
            assert expected
            assert await found(entity(prefix)) == expected

    async def test_by_the_time_of_the_last_change(self, worker: Driver, clock: StoreClock) -> None:
        """The beginning is included, the end is not."""
        times: dict[str, int] = {}
        for key in "cba":
            await settle(worker, key)
            times[key] = (await read_entity(worker.backend, key)).updated_at_us
            clock.advance(10)

        async def found(**where: Any) -> list[str]:
            return [one[-1] for one in await all_entities(worker.backend, **where)]

        assert await found(updated_from_us=times["b"]) == ["a", "b"]
        assert await found(updated_from_us=times["b"] + 1) == ["a"]
        assert await found(updated_to_us=times["b"]) == ["c"]
        assert await found(updated_from_us=times["c"], updated_to_us=times["a"]) == ["b", "c"]

    async def test_by_whether_it_has_a_state(self, worker: Driver) -> None:
        """Only those, only others, or both."""
        await settle(worker, "state")
        await settle(worker, "null", state=b"null")
        await settle(worker, "none", state=b"")
        await deliver(worker.backend, operation("new"))
        found = [await all_entities(worker.backend, has_state=one) for one in (True, False, None)]
        assert found == [
            [entity("null"), entity("state")],
            [entity("new"), entity("none")],
            [entity("new"), entity("none"), entity("null"), entity("state")],
        ]

    async def test_all_conditions_on_entities_together(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """They are joined by *and*, page by page."""
        begin = clock.now_us()
        for number in range(12):
            key = f"{'ab'[number % 2]}{number:02}"
            await settle(worker, key, state=b"" if number % 3 else b"state")
            clock.advance(10)
        found = await all_entities(
            worker.backend,
            limit=1,
            id_prefix=entity("a"),
            has_state=False,
            updated_from_us=begin + 15 * SECOND_US,
            updated_to_us=begin + 95 * SECOND_US,
        )
        assert found == [entity(key) for key in ("a02", "a04", "a08")]


class EntityDiscardConformance(ConformanceBase):
    """Those that hold nothing can be forgotten, and then nothing is left but a number."""

    async def test_only_those_that_hold_nothing_are_forgotten(self, worker: Driver) -> None:
        """Neither state nor letters; parked or not. Others are left out of the answer."""
        await settle(worker, "empty", state=b"")
        await settle(worker, "state")
        await settle(worker, "null", state=b"null")
        claimed = await worker.open("parked")
        await worker.commit(
            entity_turn(claimed, consumed=(claimed.mail[0].id,)),
            Park(instance_id=entity("parked"), reason="poison"),
        )
        await deliver(worker.backend, operation("letters"))
        await start(worker.backend, "orchestration")
        keys = ("empty", "state", "null", "parked", "letters", "nobody")
        asked = ["orchestration", *map(entity, keys)]
        discarded = await worker.backend.discard_entities(asked)
        assert sorted(discarded) == [entity("empty"), entity("parked")]
        left = [entity(key) for key in ("letters", "null", "state")]
        assert await all_entities(worker.backend) == left
        assert await worker.backend.discard_entities(asked) == []
        assert await worker.backend.discard_entities([]) == []
        assert (await read_one(worker.backend, "orchestration")).status is Status.PENDING

    async def test_a_forgotten_one_is_gone(self, worker: Driver) -> None:
        """From reads and counts; letters that do not open miss it."""
        await settle(worker, "a", state=b"")
        await worker.backend.discard_entities([entity("a")])
        assert await worker.backend.read_entities([entity("a")]) == [None]
        assert await worker.backend.read([entity("a")], payloads=True) == [None]
        assert (await worker.backend.statistics()).entities == 0
        assert await worker.backend.send([letter(entity("a"))]) == [Delivery.NOT_FOUND]
        assert await worker.claim() == ()

    async def test_a_later_life_goes_on_at_the_next_execution(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """However often, and whoever opens it; it is as old as its first letter."""
        sender = await worker.start("sender")
        for execution in range(1, 5):
            clock.advance(5)
            if execution % 2:
                await deliver(worker.backend, operation("a"))
            else:
                await worker.restate(sender, number=execution, outbox=(operation("a"),))
            claimed = await worker.claim_one()
            assert (claimed.execution, claimed.attempts, claimed.state) == (execution, 1, None)
            assert len(claimed.mail) == 1
            record = await read_entity(worker.backend, "a")
            assert record.created_at_us >= clock.now_us() - SECOND_US
            await worker.commit(entity_turn(claimed, consumed=(claimed.mail[0].id,)))
            assert await worker.backend.discard_entities([entity("a")]) == [entity("a")]

    async def test_the_owners_next_turn_is_dropped(self, worker: Driver, rival: Driver) -> None:
        """It was forgotten behind the owner's back; what was sent to it since is safe."""
        claimed = await worker.open("a")
        await worker.commit(entity_turn(claimed, consumed=(claimed.mail[0].id,)))
        assert await rival.backend.discard_entities([entity("a")]) == [entity("a")]
        late = entity_turn(claimed, state=b"never")
        assert (await worker.commit(late)).dropped == frozenset({entity("a")})
        assert await worker.backend.read_entities([entity("a")]) == [None]
        await deliver(rival.backend, operation("a", b"new life"))
        assert (await worker.commit(late)).dropped == frozenset({entity("a")})
        again = await worker.claim_one()
        assert (again.execution, again.state, bodies(again.mail)) == (2, None, [b"new life"])
        assert (await worker.commit(late)).dropped == frozenset({entity("a")})
        await worker.commit(
            Abandon(instance_id=entity("a"), retry_at_us=1, execution=1),
            entity_turn(again, state=b"state"),
        )
        assert (await read_entity(worker.backend, "a")).state == b"state"

    async def test_one_that_gets_a_letter_at_the_same_time_loses_nothing(
        self, worker: Driver, rival: Driver
    ) -> None:
        """It stays for the letter, or begins again with it."""
        sender = await rival.start("sender")
        claimed = await worker.open("a")
        for number in range(1, 21):
            taken = tuple(one.id for one in claimed.mail)
            await worker.commit(entity_turn(claimed, consumed=taken), release(entity("a")))
            out = operation("a", b"%d" % number)
            if number % 2:
                sent = rival.commit(turn(sender, number, outbox=(out,)))
                await asyncio.gather(worker.backend.discard_entities([entity("a")]), sent)
            else:
                delivered = deliver(rival.backend, out)
                await asyncio.gather(worker.backend.discard_entities([entity("a")]), delivered)
            claimed = await worker.claim_one()
            assert bodies(claimed.mail) == [b"%d" % number]

    async def test_one_that_gets_a_state_at_the_same_time_is_one_or_the_other(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Written and kept, or dropped and forgotten."""
        for number in range(10):
            key = f"k{number}"
            claimed = await worker.open(key)
            await worker.commit(entity_turn(claimed, consumed=(claimed.mail[0].id,)))
            result, discarded = await asyncio.gather(
                worker.commit(entity_turn(claimed, state=b"state")),
                rival.backend.discard_entities([entity(key)]),
            )
            assert result.dropped == frozenset(discarded)
            [record] = await worker.backend.read_entities([entity(key)])
            assert (record is None) == (discarded == [entity(key)])
