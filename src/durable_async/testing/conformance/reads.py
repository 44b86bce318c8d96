"""Reading: single instances, histories, queries in pages."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from durable_async.backend import Backend
from durable_async.errors import InstanceNotFoundError, ValidationError
from durable_async.failure import FailureDetails
from durable_async.model.history import ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import InstanceFilter, InstanceRecord, Park, QueryOrder, Rewrite
from durable_async.model.status import Status

from .base import ConformanceBase, StoreClock
from .driver import (
    EVERY_BYTE,
    HOSTILE_IDS,
    IN_BYTE_ORDER,
    SECOND_US,
    Driver,
    ids,
    new,
    read_one,
    restart,
    start,
    turn,
)


async def all_pages(
    backend: Backend, limit: int = 3, order: QueryOrder = QueryOrder.CREATED, **where: Any
) -> list[str]:
    """Return the ids of a whole query, read page by page."""
    found: list[str] = []
    page: str | None = None
    while True:
        answer = await backend.query(
            InstanceFilter(**where), limit=limit, page=page, payloads=False, order=order
        )
        assert len(answer.items) <= limit
        found += ids(answer.items)
        page = answer.next_page
        if page is None:
            return found
        assert answer.items


class ReadConformance(ConformanceBase):
    """``read`` and ``read_history``."""

    async def test_records_stand_in_the_order_of_the_arguments(self, worker: Driver) -> None:
        """With ``None`` for those that are not there, and doubles for doubles."""
        await start(worker.backend, "a", "b")
        records = await worker.backend.read(["b", "nobody", "a", "b"], payloads=False)
        assert [record.instance_id if record else None for record in records] == [
            "b",
            None,
            "a",
            "b",
        ]
        assert await worker.backend.read([], payloads=True) == []

    async def test_without_payloads_input_and_output_are_left_out(self, worker: Driver) -> None:
        """Everything else is the same."""
        claimed = await worker.start("a", events=EVERY_BYTE)
        failure = FailureDetails(error_type="E", message="m")
        await worker.restate(
            claimed, status=Status.FAILED, output=b"out", failure=failure, custom_status=b"c"
        )
        [full] = await worker.backend.read(["a"], payloads=True)
        [lean] = await worker.backend.read(["a"], payloads=False)
        assert isinstance(full, InstanceRecord)
        assert isinstance(lean, InstanceRecord)
        assert (full.started_events, full.output) == (EVERY_BYTE, b"out")
        assert (lean.started_events, lean.output) == (None, None)
        assert (lean.failure, lean.custom_status) == (failure, b"c")
        [found] = (
            await worker.backend.query(InstanceFilter(), limit=1, page=None, payloads=True)
        ).items
        assert found == full
        [found] = (
            await worker.backend.query(InstanceFilter(), limit=1, page=None, payloads=False)
        ).items
        assert found == lean

    async def test_history_in_pages(self, worker: Driver) -> None:
        """Bounded by bytes, at least one row, no gap and no double."""
        claimed = await worker.start("a")
        sizes = (10, 500, 10, 10, 2000, 10)
        for number, size in enumerate(sizes, start=1):
            await worker.restate(claimed, number=number, events=b"x" * size)
        turns: list[int] = []
        after, more = -1, True
        while more:
            page = await worker.backend.read_history("a", after_turn=after, bytes_max=100)
            assert page.execution == 1
            assert page.rows
            assert len(page.rows) == 1 or sum(len(row.events) for row in page.rows) <= 100
            turns += [row.turn for row in page.rows]
            after, more = turns[-1], page.more
        assert turns == list(range(7))
        beyond = await worker.backend.read_history("a", after_turn=6, bytes_max=100)
        assert (beyond.rows, beyond.more) == ((), False)

    async def test_a_history_begins_after_a_turn(self, worker: Driver) -> None:
        """Whoever holds the first rows asks for the rest only."""
        claimed = await worker.start("a")
        await worker.commit(*[turn(claimed, number) for number in range(1, 5)])
        page = await worker.backend.read_history(
            "a", execution=1, after_turn=2, bytes_max=1_000_000
        )
        assert [(row.turn, row.events) for row in page.rows] == [(3, b"turn 3"), (4, b"turn 4")]

    async def test_no_instance_no_history(self, backend: Backend) -> None:
        """That is an error, not an empty history."""
        with pytest.raises(InstanceNotFoundError) as caught:
            await backend.read_history("nobody", bytes_max=100)
        assert caught.value.instance_id == "nobody"


class QueryConformance(ConformanceBase):
    """Queries filter exactly and page without gaps or doubles."""

    async def test_in_order_of_creation_then_id(self, backend: Backend) -> None:
        """The id decides by its UTF-8 bytes."""
        await start(backend, "later", created_at_us=3)
        await start(backend, *reversed(IN_BYTE_ORDER), created_at_us=2)
        await start(backend, "zero", created_at_us=1)
        expected = ["zero", *IN_BYTE_ORDER, "later"]
        for limit in (1, 2, 3, 8, 100):
            assert await all_pages(backend, limit) == expected
            assert await all_pages(backend, limit, QueryOrder.NEWEST) == expected[::-1]

    async def test_the_last_page_says_so(self, backend: Backend) -> None:
        """Also if it is exactly full, and if there is nothing at all."""
        empty = await backend.query(InstanceFilter(), limit=2, page=None, payloads=False)
        assert (empty.items, empty.next_page) == ((), None)
        await start(backend, "a", "b", "c", "d")
        first = await backend.query(InstanceFilter(), limit=2, page=None, payloads=False)
        assert first.next_page is not None
        last = await backend.query(InstanceFilter(), limit=2, page=first.next_page, payloads=False)
        assert ids(first.items + last.items) == ["a", "b", "c", "d"]
        assert last.next_page is None

    async def test_what_changes_between_pages_moves_nobody(self, worker: Driver) -> None:
        """New ones come at the end; those that were purged leave no gap."""
        await start(worker.backend, "a", "b", "c", "d", created_at_us=5)
        await worker.commit(*[turn(c, status=Status.COMPLETED) for c in await worker.claim()])
        first = await worker.backend.query(InstanceFilter(), limit=2, page=None, payloads=False)
        await worker.backend.purge(["a", "b"])
        await start(worker.backend, "0", created_at_us=6)
        rest = await worker.backend.query(
            InstanceFilter(), limit=10, page=first.next_page, payloads=False
        )
        assert ids(first.items) == ["a", "b"]
        assert ids(rest.items) == ["c", "d", "0"]

    async def test_the_newest_first_goes_back_from_where_it_began(self, backend: Backend) -> None:
        """What is started meanwhile is not on the pages that follow."""
        await start(backend, "a", "b", "c", created_at_us=5)
        order, every = QueryOrder.NEWEST, InstanceFilter()
        first = await backend.query(every, limit=2, page=None, payloads=False, order=order)
        await start(backend, "bb", "d", created_at_us=6)
        page = first.next_page
        rest = await backend.query(every, limit=2, page=page, payloads=True, order=order)
        assert (ids(first.items), ids(rest.items)) == (["c", "b"], ["a"])
        assert rest.items[0].started_events == b"started a"
        assert rest.next_page is None

    async def test_by_status_and_name(self, worker: Driver) -> None:
        """Any of the given ones."""
        await start(worker.backend, "p")
        await start(worker.backend, "n1", name="other")
        await start(worker.backend, "n2", name="Checkout")
        [claimed] = await worker.claim()
        assert await all_pages(worker.backend, statuses=(Status.PENDING,)) == ["n1", "n2", "p"]
        await worker.restate(claimed, status=Status.RUNNING)
        assert await all_pages(worker.backend, statuses=(Status.RUNNING,)) == ["p"]
        both = (Status.RUNNING, Status.PENDING)
        assert await all_pages(worker.backend, statuses=both) == ["n1", "n2", "p"]
        assert await all_pages(worker.backend, statuses=(Status.FAILED,)) == []
        assert await all_pages(worker.backend, names=("checkout",)) == ["p"]
        assert await all_pages(worker.backend, names=("checkout", "other")) == ["n1", "p"]
        assert await all_pages(worker.backend, names=("other",), statuses=(Status.RUNNING,)) == []

    async def test_by_prefix_of_the_id(self, backend: Backend) -> None:
        """Literally: no wildcards, no folding of case."""
        await start(backend, "a%b", "a_b", "axb", "A%b", "a", "a\U0010ffff!", "b", *HOSTILE_IDS)
        assert await all_pages(backend, id_prefix="a%") == ["a%b"]
        assert await all_pages(backend, id_prefix="a_") == ["a_b"]
        assert await all_pages(backend, id_prefix="A") == ["A%b"]
        assert await all_pages(backend, id_prefix="a\U0010ffff") == ["a\U0010ffff!"]
        assert set(await all_pages(backend, id_prefix="a")) == {
            "a%b",
            "a_b",
            "axb",
            "a",
            "a\U0010ffff!",
        }
        for instance_id in HOSTILE_IDS:
            assert instance_id in await all_pages(backend, id_prefix=instance_id)

    async def test_by_time_of_creation(self, backend: Backend) -> None:
        """The beginning is included, the end is not."""
        for at in (10, 20, 30):
            await start(backend, f"i{at}", created_at_us=at)
        assert await all_pages(backend, created_from_us=20) == ["i20", "i30"]
        assert await all_pages(backend, created_to_us=20) == ["i10"]
        assert await all_pages(backend, created_from_us=10, created_to_us=30) == ["i10", "i20"]
        newest = QueryOrder.NEWEST
        assert await all_pages(backend, 1, newest, created_from_us=20) == ["i30", "i20"]
        assert await all_pages(backend, 1, newest, created_to_us=30) == ["i20", "i10"]

    async def test_by_time_of_completion(self, worker: Driver, clock: StoreClock) -> None:
        """Those that have not ended are not among them."""
        times: list[int] = []
        for instance_id in ("a", "b"):
            await worker.restate(await worker.start(instance_id), status=Status.COMPLETED)
            [record] = await worker.backend.read([instance_id], payloads=False)
            assert record is not None
            assert record.completed_at_us is not None
            times.append(record.completed_at_us)
            clock.advance(1)
        await start(worker.backend, "going")
        one, two = times
        backend = worker.backend
        assert await all_pages(backend, completed_from_us=0) == ["a", "b"]
        assert await all_pages(backend, completed_from_us=one, completed_to_us=two) == ["a"]
        assert await all_pages(backend, completed_from_us=two) == ["b"]
        assert await all_pages(backend, completed_to_us=one) == []

    async def test_by_tags(self, backend: Backend) -> None:
        """Each given key must have its value; others may be there."""
        await start(backend, "a", tags={"team": "x", "odd'\"$.key": "\N{PARTY POPPER}"})
        await start(backend, "b", tags={"team": "x", "env": "1"})
        await start(backend, "c", tags={"team": "y"})
        await start(backend, "d")
        assert await all_pages(backend, tags={"team": "x"}) == ["a", "b"]
        assert await all_pages(backend, tags={"team": "x", "env": "1"}) == ["b"]
        assert await all_pages(backend, tags={"odd'\"$.key": "\N{PARTY POPPER}"}) == ["a"]
        assert await all_pages(backend, tags={"env": "y"}) == []
        assert await all_pages(backend, tags={"team": "X"}) == []

    async def test_by_parent(self, backend: Backend) -> None:
        """Direct children only, of any execution of the parent."""
        await start(backend, "one", parent=ParentLink("boss", 1, 1))
        await start(backend, "two", parent=ParentLink("boss", 2, 9))
        await start(backend, "grandchild", parent=ParentLink("one", 1, 1))
        await start(backend, "boss")
        assert await all_pages(backend, parent_id="boss") == ["one", "two"]
        assert await all_pages(backend, parent_id="one") == ["grandchild"]
        assert await all_pages(backend, parent_id="grandchild") == []

    async def test_by_whether_it_is_parked(self, worker: Driver) -> None:
        """Only those, only others, or both."""
        await worker.start("parked")
        await worker.commit(Park(instance_id="parked", reason="poison"))
        await start(worker.backend, "well")
        assert await all_pages(worker.backend, parked=True) == ["parked"]
        assert await all_pages(worker.backend, parked=False) == ["well"]
        assert await all_pages(worker.backend, parked=None) == ["parked", "well"]

    async def test_all_conditions_together(self, backend: Backend) -> None:
        """They are joined by *and*, page by page."""
        for number in range(40):
            await backend.create(
                [
                    new(
                        f"{'ab'[number % 2]}{number:02}",
                        created_at_us=number * SECOND_US,
                        tags={"third": str(number % 3)},
                    )
                ]
            )
        found = await all_pages(
            backend,
            limit=2,
            id_prefix="a",
            tags={"third": "0"},
            created_from_us=5 * SECOND_US,
            created_to_us=36 * SECOND_US,
            statuses=(Status.PENDING,),
        )
        assert found == ["a06", "a12", "a18", "a24", "a30"]


class CompletionOrderConformance(ConformanceBase):
    """Those that have ended can be gone through in the order in which they did."""

    async def end(self, worker: Driver, *instance_ids: str, **fields: Any) -> int:
        """Start instances and end them in one batch; returns when."""
        await start(worker.backend, *instance_ids, **fields)
        claimed = await worker.claim()
        await worker.commit(*[turn(one, status=Status.COMPLETED) for one in claimed])
        record = await read_one(worker.backend, instance_ids[0])
        assert record.completed_at_us is not None
        return record.completed_at_us

    async def test_in_order_of_completion_then_id(self, worker: Driver, clock: StoreClock) -> None:
        """Whenever they were created; what has not ended is not among them, nor is an entity."""
        await self.end(worker, "young", created_at_us=9)
        clock.advance(1)
        await worker.open("k")
        await self.end(worker, *reversed(IN_BYTE_ORDER), created_at_us=8)
        clock.advance(1)
        await self.end(worker, "old", created_at_us=1)
        await start(worker.backend, "going", created_at_us=0)
        expected = ["young", *IN_BYTE_ORDER, "old"]
        for limit in (1, 2, 3, 8, 100):
            assert await all_pages(worker.backend, limit, QueryOrder.COMPLETED) == expected
            assert await all_pages(worker.backend, limit, QueryOrder.LATEST) == expected[::-1]
        assert (await all_pages(worker.backend))[:2] == ["going", "old"]

    async def test_conditions_hold_in_this_order_too(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Bounds of the time of completion, and all others."""
        parent = ParentLink("boss", 1, 1)
        times: list[int] = []
        for number in range(6):
            fields: dict[str, Any] = {"tags": {"third": str(number % 3)}}
            if number % 2:
                fields["parent"] = parent
            instance_id = f"{'ab'[number % 2]}{9 - number}"
            times.append(await self.end(worker, instance_id, created_at_us=100 - number, **fields))
            clock.advance(1)
        assert times == sorted(set(times))
        cases: list[tuple[dict[str, Any], list[str]]] = [
            ({"completed_from_us": times[4]}, ["a5", "b4"]),
            ({"completed_from_us": times[1], "completed_to_us": times[3]}, ["b8", "a7"]),
            ({"created_from_us": 98, "id_prefix": "a"}, ["a9", "a7"]),
            ({"created_to_us": 97}, ["a5", "b4"]),
            ({"tags": {"third": "1"}}, ["b8", "a5"]),
            ({"parent_id": "boss"}, ["b8", "b6", "b4"]),
            ({"parent_id": "boss", "completed_from_us": times[2]}, ["b6", "b4"]),
            ({"statuses": (Status.FAILED,)}, []),
            ({"names": ("checkout",), "completed_to_us": times[1]}, ["a9"]),
        ]
        for where, expected in cases:
            for limit in (1, 10):
                found = await all_pages(worker.backend, limit, QueryOrder.COMPLETED, **where)
                assert found == expected, where
                found = await all_pages(worker.backend, limit, QueryOrder.LATEST, **where)
                assert found == expected[::-1], where

    async def test_what_ends_between_pages_comes_at_the_end(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """And what is purged leaves no gap."""
        await self.end(worker, "a", "b", "c")
        clock.advance(1)
        order = QueryOrder.COMPLETED
        every = InstanceFilter()
        first = await worker.backend.query(every, limit=2, page=None, payloads=False, order=order)
        assert ids(first.items) == ["a", "b"]
        await worker.backend.purge(["a", "b"])
        await self.end(worker, "0", created_at_us=1)
        page = first.next_page
        rest = await worker.backend.query(every, limit=9, page=page, payloads=True, order=order)
        assert ids(rest.items) == ["c", "0"]
        assert rest.items[0].started_events == b"started c"
        assert rest.next_page is None

    async def test_what_goes_on_after_all_is_no_longer_among_them(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """It takes its place anew when it ends again: rewritten, or started again under its id."""
        await self.end(worker, "other", "again")
        clock.advance(1)
        failed = await worker.start("failed")
        await worker.restate(failed, status=Status.FAILED, failure=FailureDetails("E", "m"))
        order = QueryOrder.COMPLETED
        assert await all_pages(worker.backend, order=order) == ["again", "other", "failed"]
        rewrite = Rewrite(instance_id="failed", execution=1, events=b"rewritten", parent=None)
        assert await worker.backend.rewrite([rewrite])
        await restart(worker.backend, "again", ReusePolicy.REPLACE_TERMINAL)
        assert await all_pages(worker.backend, order=order) == ["other"]
        clock.advance(1)
        claimed = await worker.claim()
        await worker.commit(*[turn(one, status=Status.COMPLETED) for one in claimed])
        assert await all_pages(worker.backend, order=order) == ["other", "again", "failed"]

    async def test_a_page_belongs_to_its_order(self, worker: Driver) -> None:
        """That of another order is refused, not misread."""
        await self.end(worker, "a", "b", "c")
        pages = {}
        for order in QueryOrder:
            page = await worker.backend.query(
                InstanceFilter(), limit=1, page=None, payloads=False, order=order
            )
            pages[order] = page.next_page
        for order, other in itertools.permutations(QueryOrder, 2):
            with pytest.raises(ValidationError, match="page"):
                await worker.backend.query(
                    InstanceFilter(), limit=1, page=pages[other], payloads=False, order=order
                )
