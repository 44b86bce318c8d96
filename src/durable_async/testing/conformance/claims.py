"""Claims: what ``fetch`` takes, in which order, with which history."""

from __future__ import annotations

import asyncio

from durable_async.backend import Backend
from durable_async.model.history import ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import Abandon, NextExecution, Park, Recount, Release
from durable_async.model.status import Status

from .base import ConformanceBase, StoreClock
from .driver import (
    EVERY_BYTE,
    HOSTILE_IDS,
    IN_BYTE_ORDER,
    ORCHESTRATOR,
    SECOND_US,
    Driver,
    bodies,
    deliver,
    entity,
    ids,
    letter,
    new,
    operation,
    read_one,
    release,
    restart,
    start,
    turn,
)


class ClaimConformance(ConformanceBase):
    """Ready instances are claimed once, oldest first, by name."""

    async def test_nothing_to_do(self, worker: Driver) -> None:
        """An empty hub gives empty work and no time to wake at."""
        work = await worker.fetch(activities=10)
        assert (work.claimed, work.mail, work.activities) == ((), (), ())
        assert work.next_ready_us is None

    async def test_a_claim_carries_all_that_a_turn_needs(self, worker: Driver) -> None:
        """Identity, status, parent, history from turn 0, mail."""
        parent = ParentLink("boss", 3, 7, 2)
        await worker.backend.create([new("a", version="1.2", events=EVERY_BYTE, parent=parent)])
        await deliver(worker.backend, letter("a", EVERY_BYTE))
        claimed = await worker.claim_one()
        assert (claimed.instance_id, claimed.name) == ("a", ORCHESTRATOR)
        assert (claimed.version, claimed.status) == ("1.2", Status.PENDING)
        assert (claimed.execution, claimed.attempts) == (1, 1)
        assert (claimed.start_at_us, claimed.parent) == (0, parent)
        assert [(row.turn, row.events) for row in claimed.history] == [(0, EVERY_BYTE)]
        assert not claimed.more_history
        assert [(m.instance_id, m.execution, m.letter) for m in claimed.mail] == [
            ("a", None, EVERY_BYTE)
        ]

    async def test_hostile_ids_come_through_unharmed(self, worker: Driver) -> None:
        """Quotes, marks of direction, case, composition and length all matter."""
        await start(worker.backend, *HOSTILE_IDS)
        await deliver(worker.backend, *[letter(i, i.encode()) for i in HOSTILE_IDS])
        claimed = {one.instance_id: one for one in await worker.claim()}
        assert set(claimed) == set(HOSTILE_IDS)
        for instance_id, one in claimed.items():
            assert bodies(one.mail) == [instance_id.encode()]
            assert one.history[0].events == b"started " + instance_id.encode()
        await worker.commit(
            *[turn(one, events=one.instance_id.encode()) for one in claimed.values()]
        )
        for instance_id in HOSTILE_IDS:
            page = await worker.backend.read_history(instance_id, after_turn=0, bytes_max=10_000)
            assert [row.events for row in page.rows] == [instance_id.encode()]

    async def test_the_quota_bounds_a_claim(self, worker: Driver) -> None:
        """No more than asked for, and the rest later."""
        await start(worker.backend, "a", "b", "c", "d", "e")
        first = await worker.claim(2)
        second = await worker.claim(2)
        third = await worker.claim(2)
        assert [len(first), len(second), len(third)] == [2, 2, 1]
        assert sorted(ids(first + second + third)) == ["a", "b", "c", "d", "e"]
        assert await worker.claim(0) == ()

    async def test_the_longest_ready_come_first(self, worker: Driver, clock: StoreClock) -> None:
        """By the time at which they became ready, not by id and not by creation."""
        base = clock.now_us()
        for instance_id, seconds in (("a", 30), ("b", 10), ("c", 20)):
            await start(worker.backend, instance_id, start_at_us=base + seconds * SECOND_US)
        clock.advance(60)
        claimed = [await worker.claim(1) for _ in range(3)]
        assert [ids(one) for one in claimed] == [["b"], ["c"], ["a"]]

    async def test_ties_are_broken_by_the_bytes_of_the_id(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """The order among equally old ones is that of UTF-8."""
        at = clock.now_us() + SECOND_US
        await start(worker.backend, *reversed(IN_BYTE_ORDER), start_at_us=at)
        clock.advance(60)
        claimed = [await worker.claim(1) for _ in IN_BYTE_ORDER]
        assert [one.instance_id for [one] in claimed] == list(IN_BYTE_ORDER)

    async def test_one_fetch_claims_in_the_same_order(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """A batch is sorted as single claims would be."""
        at = clock.now_us() + SECOND_US
        await start(worker.backend, "z", start_at_us=at)
        await start(worker.backend, *reversed(IN_BYTE_ORDER), start_at_us=at + SECOND_US)
        clock.advance(60)
        assert ids(await worker.claim()) == ["z", *IN_BYTE_ORDER]

    async def test_only_registered_names_are_claimed(self, worker: Driver) -> None:
        """An unknown name waits for a worker that has it, without hiding others."""
        await start(worker.backend, "a1", "a2", name="unknown")
        await start(worker.backend, "b")
        await start(worker.backend, "c", name="third")
        names = frozenset({ORCHESTRATOR, "third", "never used"})
        first = await worker.fetch(instances=2, names=names)
        assert sorted(ids(first.claimed)) == ["b", "c"]
        assert (await worker.fetch(names=frozenset())).claimed == ()
        late = await worker.fetch(names=frozenset({"unknown"}))
        assert ids(late.claimed) == ["a1", "a2"]

    async def test_without_names_any_is_claimed(self, worker: Driver, clock: StoreClock) -> None:
        """Orchestrations and entities of all names, in the order of all."""
        at = clock.now_us() + SECOND_US
        for number, name in enumerate(("x", "it's", "\N{PARTY POPPER}", "x")):
            at_us = at + number * SECOND_US
            await start(worker.backend, f"{9 - number}", name=name, start_at_us=at_us)
        clock.advance(60)
        await deliver(worker.backend, operation("k", name="@anything"))
        work = await worker.fetch(names=None, instances=3)
        assert ids(work.claimed) == ["9", "8", "7"]
        work = await worker.fetch(names=None, instances=3)
        assert ids(work.claimed) == ["6", entity("k", "@anything")]

    async def test_what_is_passed_over_is_left_to_others(
        self, worker: Driver, rival: Driver
    ) -> None:
        """By name and version both, and without hiding what comes after it."""
        versions = {"a": "1", "b": "2", "c": None, "d": "it's", "e": "1"}
        names = {"e": "third"}
        for instance_id, version in versions.items():
            name = names.get(instance_id, ORCHESTRATOR)
            await start(worker.backend, instance_id, name=name, version=version)
        passed_over = frozenset(
            {(ORCHESTRATOR, "1"), (ORCHESTRATOR, "it's"), ("third", ""), ("absent", "2")}
        )
        wanted = frozenset({ORCHESTRATOR, "third"})
        for names_wanted, expected in ((wanted, ["b", "c"]), (None, ["e"])):
            work = await worker.fetch(instances=2, names=names_wanted, passed_over=passed_over)
            assert sorted(ids(work.claimed)) == expected
        assert (await worker.fetch(names=None, passed_over=passed_over)).claimed == ()
        without = await rival.fetch(names=None, passed_over=frozenset({(ORCHESTRATOR, "")}))
        assert sorted(ids(without.claimed)) == ["a", "d"]

    async def test_no_version_is_passed_over_as_an_empty_one(self, worker: Driver) -> None:
        """Of a name that has others as well."""
        await start(worker.backend, "none")
        await start(worker.backend, "some", version="1")
        passed_over = frozenset({(ORCHESTRATOR, "")})
        assert ids((await worker.fetch(passed_over=passed_over)).claimed) == ["some"]
        assert ids((await worker.fetch()).claimed) == ["none"]

    async def test_the_version_of_the_current_execution_counts(self, worker: Driver) -> None:
        """Continue-as-new may change it."""
        await start(worker.backend, "a", version="1")
        old, new_one = frozenset({(ORCHESTRATOR, "1")}), frozenset({(ORCHESTRATOR, "2")})
        claimed = await worker.claim_one()
        following = NextExecution(events=b"again", version="2")
        await worker.commit(turn(claimed, next_execution=following), release("a", wake_at_us=1))
        assert (await worker.fetch(passed_over=new_one)).claimed == ()
        [again] = (await worker.fetch(passed_over=old)).claimed
        assert (again.execution, again.version) == (2, "2")

    async def test_what_is_to_end_is_passed_over_by_nobody(self, worker: Driver) -> None:
        """No code of its version is needed for that."""
        await start(worker.backend, "a", version="1")
        passed_over = frozenset({(ORCHESTRATOR, "1")})
        assert (await worker.fetch(passed_over=passed_over)).claimed == ()
        await deliver(worker.backend, letter("a", b"end", final=True))
        [claimed] = (await worker.fetch(passed_over=passed_over)).claimed
        assert bodies(claimed.mail) == [b"end"]

    async def test_many_may_be_passed_over(self, worker: Driver) -> None:
        """A thousand pairs, of which most stand for nothing that is there."""
        await start(worker.backend, "a", version="7")
        await start(worker.backend, "b", version="1000")
        passed_over = frozenset((ORCHESTRATOR, str(number)) for number in range(1000))
        assert ids((await worker.fetch(passed_over=passed_over)).claimed) == ["b"]

    async def test_what_is_handed_back_uncounted_is_ready_at_once(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Its claims before stand, the one that is handed back does not."""
        await start(worker.backend, "a", version="1")
        await worker.claim_one()
        await worker.commit(Abandon(instance_id="a", retry_at_us=clock.now_us()))
        claimed = await worker.claim_one()
        assert claimed.attempts == 2
        await worker.commit(
            Recount(instance_id="a", attempts=1, execution=claimed.execution),
            Abandon(instance_id="a", retry_at_us=clock.now_us(), execution=claimed.execution),
        )
        passed_over = frozenset({(ORCHESTRATOR, "1")})
        assert (await worker.fetch(passed_over=passed_over)).claimed == ()
        assert (await rival.claim_one()).attempts == 2

    async def test_the_longest_ready_come_first_among_names(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """No name is served before another."""
        base = clock.now_us()
        names = ("x", "y", "x", "z", "y")
        for number, name in enumerate(names):
            at = base + (10 - number) * SECOND_US
            await start(worker.backend, f"i{number}", name=name, start_at_us=at)
        clock.advance(60)
        order: list[str] = []
        for _ in names:
            work = await worker.fetch(instances=1, names=frozenset(names))
            order += ids(work.claimed)
        assert order == ["i4", "i3", "i2", "i1", "i0"]

    async def test_the_longest_ready_come_first_of_whatever_kind(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Names, versions, and what is to end though nobody asks for its name, take their turns by age, however few a claim takes."""
        base = clock.now_us()
        kinds = (("checkout", None), ("refund", "2"), ("unknown", None), ("checkout", "2"))
        everybody = [f"{n:02}" for n in range(24)]
        for n, instance_id in enumerate(everybody):
            name, version = kinds[n * n % 7 % 4]
            at = base + n * SECOND_US
            await start(worker.backend, instance_id, name=name, version=version, start_at_us=at)
        clock.advance(60)
        to_end = [
            one for one in everybody if (await read_one(worker.backend, one)).name == "unknown"
        ]
        await deliver(worker.backend, *[letter(one, b"end", final=True) for one in to_end])
        order: list[str] = []
        for _ in range(5):
            work = await worker.fetch(instances=5, names=frozenset({"checkout", "refund"}))
            order += ids(work.claimed)
        assert order == everybody

    async def test_a_letter_does_not_send_a_ready_one_to_the_end_of_the_line(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Otherwise, who gets much mail would wait for ever."""
        base = clock.now_us()
        await start(worker.backend, "first", start_at_us=base + 10 * SECOND_US)
        await start(worker.backend, "second", start_at_us=base + 20 * SECOND_US)
        clock.advance(60)
        assert (await worker.fetch(instances=0)).claimed == ()
        await deliver(worker.backend, letter("first"))
        assert ids(await worker.claim(1)) == ["first"]

    async def test_an_instance_has_one_owner(self, worker: Driver, rival: Driver) -> None:
        """Two workers that claim at the same time share without overlap and without gaps."""
        everybody = [f"i{number:02}" for number in range(60)]
        await start(worker.backend, *everybody)
        mine: list[str] = []
        theirs: list[str] = []
        for _ in range(6):
            one, two = await asyncio.gather(worker.claim(7), rival.claim(7))
            mine += ids(one)
            theirs += ids(two)
        assert sorted(mine + theirs) == everybody

    async def test_the_owner_is_on_record(self, worker: Driver) -> None:
        """A client sees who has an instance, and that nobody has it after its release."""
        claimed = await worker.start("a")
        [record] = await worker.backend.read(["a"], payloads=False)
        assert record is not None
        assert record.owner == "worker-1"
        await worker.commit(release(claimed.instance_id))
        [record] = await worker.backend.read(["a"], payloads=False)
        assert record is not None
        assert record.owner is None

    async def test_history_is_bounded_and_goes_on_with_read_history(self, worker: Driver) -> None:
        """A claim has at least one row, and tells whether there is more."""
        claimed = await worker.start("a")
        await worker.commit(*[turn(claimed, number, events=b"x" * 100) for number in range(1, 6)])
        await worker.commit(release("a", wake_at_us=1))
        [again] = (await worker.fetch(history_bytes_max=320)).claimed
        assert [row.turn for row in again.history] == [0, 1, 2, 3]
        assert again.more_history
        await worker.commit(release("a", wake_at_us=1))
        [least] = (await worker.fetch(history_bytes_max=1)).claimed
        assert [row.turn for row in least.history] == [0]
        assert least.more_history
        await worker.commit(release("a", wake_at_us=1))
        [whole] = (await worker.fetch(history_bytes_max=1_000_000)).claimed
        assert [row.turn for row in whole.history] == [0, 1, 2, 3, 4, 5]
        assert not whole.more_history


class AttemptsConformance(ConformanceBase):
    """Attempts are counted at the claim, so that a crash counts."""

    async def test_a_release_forgets_attempts(self, worker: Driver) -> None:
        """An instance that was let go in good order begins to count again."""
        await worker.start("a")
        await worker.commit(release("a", wake_at_us=1))
        assert (await worker.claim_one()).attempts == 1

    async def test_an_abandoned_instance_keeps_counting(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Each claim without a turn is one more."""
        await start(worker.backend, "a")
        for attempt in (1, 2, 3):
            assert (await worker.claim_one()).attempts == attempt
            await worker.commit(Abandon(instance_id="a", retry_at_us=clock.now_us()))

    async def test_a_written_turn_forgets_attempts(self, worker: Driver, clock: StoreClock) -> None:
        """Progress shows that the instance is not what kills its workers."""
        await worker.start("a")
        await worker.commit(Abandon(instance_id="a", retry_at_us=clock.now_us()))
        again = await worker.claim_one()
        assert again.attempts == 2
        await worker.restate(again)
        await worker.commit(Abandon(instance_id="a", retry_at_us=clock.now_us()))
        assert (await worker.claim_one()).attempts == 1

    async def test_a_crash_counts(self, backend: Backend, rival: Driver, clock: StoreClock) -> None:
        """Workers that die with an instance in their hands leave a trace on it; after the third claim they say themselves when."""
        await start(backend, "a")
        for number, attempt in enumerate((1, 2, 3, 3)):
            victim = await Driver.register(backend, f"victim-{number}", 10.0)
            assert (await victim.claim_one()).attempts == attempt
            clock.advance(11)
            assert await rival.backend.take_over(rival.fence) == 1
        assert (await rival.claim_one()).attempts == 3

    async def test_letting_a_former_life_go_leaves_the_next_with_its_owner(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """It was replaced and claimed anew, by the same worker, before it heard of that."""
        former = await worker.start("a")
        await restart(worker.backend, "a", ReusePolicy.REPLACE)
        current = await worker.claim_one()
        await worker.commit(
            Release(instance_id="a", wake_at_us=1, execution=former.execution),
            Abandon(instance_id="a", retry_at_us=1, execution=former.execution),
            Park(instance_id="a", reason="broken", execution=former.execution),
        )
        record = await read_one(worker.backend, "a")
        assert (record.owner, record.parked) == ("worker-1", None)
        await worker.commit(
            Abandon(instance_id="a", retry_at_us=clock.now_us(), execution=current.execution)
        )
        assert (await worker.claim_one()).execution == current.execution

    async def test_an_abandoned_instance_rests_whatever_arrives(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Letters, also urgent ones, do not shorten the back-off and are there afterwards."""
        await worker.start("a")
        retry_at_us = clock.now_us() + 60 * SECOND_US
        await worker.commit(Abandon(instance_id="a", retry_at_us=retry_at_us))
        await deliver(worker.backend, letter("a", b"1"), letter("a", b"2", urgent=True))
        work = await worker.fetch()
        assert work.claimed == ()
        assert work.next_ready_us == retry_at_us
        clock.advance(61)
        assert bodies((await worker.claim_one()).mail) == [b"1", b"2"]


class ParkConformance(ConformanceBase):
    """A parked instance is out of circulation and visible."""

    async def test_a_parked_instance_is_not_claimed(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Neither letters nor time bring it back."""
        await worker.start("a")
        await worker.commit(Park(instance_id="a", reason="why: \N{PARTY POPPER}"))
        await deliver(worker.backend, letter("a", urgent=True))
        clock.advance(3600)
        work = await worker.fetch()
        assert (work.claimed, work.mail, work.next_ready_us) == ((), (), None)
        [record] = await worker.backend.read(["a"], payloads=False)
        assert record is not None
        assert (record.parked, record.owner) == ("why: \N{PARTY POPPER}", None)
        assert record.status is Status.PENDING

    async def test_an_unparked_instance_begins_afresh(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Ready at once, with its history, its mail and no attempts counted."""
        claimed = await worker.start("a")
        await worker.restate(claimed)
        for _ in range(2):
            await worker.commit(Abandon(instance_id="a", retry_at_us=clock.now_us()))
            await worker.claim_one()
        await worker.commit(Park(instance_id="a", reason="poison"))
        await deliver(worker.backend, letter("a", b"kept"))
        assert await worker.backend.unpark(["a"]) == ["a"]
        again = await worker.claim_one()
        assert (again.attempts, bodies(again.mail)) == (1, [b"kept"])
        assert [row.turn for row in again.history] == [0, 1]
        [record] = await worker.backend.read(["a"], payloads=False)
        assert record is not None
        assert record.parked is None

    async def test_only_parked_ones_are_unparked(self, worker: Driver) -> None:
        """Others are left as they are, owned or absent."""
        claimed = await worker.start("owned")
        await start(worker.backend, "free")
        assert await worker.backend.unpark(["owned", "free", "absent"]) == []
        await worker.restate(claimed)
