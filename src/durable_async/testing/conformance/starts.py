"""Starts: creation, reuse of ids, repetition of requests."""

from __future__ import annotations

import asyncio

import pytest

from durable_async.model.history import ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import Delivery, Park, StartOutcome
from durable_async.model.status import Status

from .base import ConformanceBase, StoreClock
from .driver import (
    EVERY_BYTE,
    HOSTILE_IDS,
    SECOND_US,
    Driver,
    bodies,
    deliver,
    history_of,
    ids,
    letter,
    new,
    queued,
    read_one,
    restart,
    start,
    turn,
)

CREATED = StartOutcome(created=True, status=Status.PENDING, execution=1)


class StartConformance(ConformanceBase):
    """What is created is there, whole, when the call returns."""

    async def test_a_new_instance_is_on_record(self, worker: Driver, clock: StoreClock) -> None:
        """Everything that was asked for can be read back."""
        parent = ParentLink("boss", 2, 5, 3)
        wanted = new(
            "a",
            version="1.0",
            events=EVERY_BYTE,
            created_at_us=123_456_789,
            start_at_us=clock.now_us() + SECOND_US,
            tags={"k\N{PARTY POPPER}": "v'\"", "empty": ""},
            parent=parent,
        )
        assert await worker.backend.create([wanted]) == [CREATED]
        record = await read_one(worker.backend, "a")
        assert (record.instance_id, record.name, record.version) == ("a", wanted.name, "1.0")
        assert (record.status, record.execution) == (Status.PENDING, 1)
        assert (record.created_at_us, record.start_at_us) == (123_456_789, wanted.start_at_us)
        assert (record.tags, record.parent) == (wanted.tags, parent)
        assert record.started_events == EVERY_BYTE
        assert (record.output, record.failure, record.custom_status) == (None, None, None)
        assert (record.completed_at_us, record.parked, record.owner) == (None, None, None)
        assert await history_of(worker.backend, "a") == [(0, EVERY_BYTE)]

    async def test_many_at_once_answer_in_order(self, worker: Driver) -> None:
        """Each by itself: a taken id does not hinder the others."""
        await worker.restate(await worker.start("b"), status=Status.COMPLETED)
        outcomes = await start(worker.backend, "c", "b", "a")
        taken = StartOutcome(created=False, status=Status.COMPLETED, execution=1)
        assert outcomes == [CREATED, taken, CREATED]
        assert sorted(ids(await worker.claim())) == ["a", "c"]
        assert await worker.backend.create([]) == []

    async def test_the_same_id_twice_in_one_call(self, worker: Driver) -> None:
        """The first one wins, as if they had come one after the other."""
        outcomes = await worker.backend.create([new("a", events=b"1"), new("a", events=b"2")])
        assert [outcome.created for outcome in outcomes] == [True, False]
        assert await history_of(worker.backend, "a") == [(0, b"1")]

    async def test_hostile_ids_do_not_collide(self, worker: Driver) -> None:
        """Case, composition and width distinguish ids."""
        assert await start(worker.backend, *HOSTILE_IDS) == [CREATED] * len(HOSTILE_IDS)
        records = await worker.backend.read(HOSTILE_IDS, payloads=True)
        assert [record.instance_id if record else None for record in records] == list(HOSTILE_IDS)

    async def test_starts_that_race_create_once(self, worker: Driver, rival: Driver) -> None:
        """Of several processes that start one id, one succeeds."""
        outcomes = await asyncio.gather(
            *[start(one.backend, "a") for one in (worker, rival) for _ in range(5)]
        )
        assert sum(outcome.created for [outcome] in outcomes) == 1


class ReuseConformance(ConformanceBase):
    """What happens if the id is taken."""

    @pytest.mark.parametrize("policy", list(ReusePolicy))
    async def test_a_free_id_is_created_under_any_policy(
        self, worker: Driver, policy: ReusePolicy
    ) -> None:
        """Policies are about ids that are taken."""
        assert await restart(worker.backend, "a", policy) == CREATED

    @pytest.mark.parametrize(
        ("policy", "while_running", "after_end"),
        [
            (ReusePolicy.REJECT, False, False),
            (ReusePolicy.RETURN_EXISTING, False, False),
            (ReusePolicy.REPLACE_TERMINAL, False, True),
            (ReusePolicy.REPLACE, True, True),
        ],
    )
    async def test_the_table_of_policies(
        self, worker: Driver, policy: ReusePolicy, while_running: bool, after_end: bool
    ) -> None:
        """Whether an id is reused, by what has become of it."""
        await worker.restate(await worker.start("running"), status=Status.RUNNING)
        outcome = await restart(worker.backend, "running", policy)
        expect = (True, Status.PENDING, 2) if while_running else (False, Status.RUNNING, 1)
        assert (outcome.created, outcome.status, outcome.execution) == expect
        await worker.claim()
        for status in (Status.COMPLETED, Status.FAILED, Status.TERMINATED):
            instance_id = status.value
            await worker.restate(await worker.start(instance_id), status=status)
            outcome = await restart(worker.backend, instance_id, policy)
            expect = (True, Status.PENDING, 2) if after_end else (False, status, 1)
            assert (outcome.created, outcome.status, outcome.execution) == expect
            history = await history_of(worker.backend, instance_id)
            assert history[0] == (0, b"again" if after_end else b"started " + instance_id.encode())
            await worker.claim()

    async def test_nothing_of_the_former_life_remains(self, worker: Driver) -> None:
        """Neither output nor custom status, history, letters, tags, parent or attempts."""
        link = ParentLink("boss", 1, 1)
        claimed = await worker.start("a", tags={"k": "v"}, parent=link, version="1")
        await worker.restate(claimed, custom_status=b"c", queued=(queued(claimed),))
        await deliver(worker.backend, letter("a", b"old"))
        await worker.restate(claimed, number=2, status=Status.COMPLETED, output=b"out")
        await restart(worker.backend, "a", ReusePolicy.REPLACE_TERMINAL)
        record = await read_one(worker.backend, "a")
        assert (record.output, record.custom_status, record.version) == (None, None, None)
        assert (record.tags, record.parent, record.completed_at_us) == ({}, None, None)
        assert await history_of(worker.backend, "a") == [(0, b"again")]
        again = await worker.claim_one()
        assert (again.mail, again.attempts, again.execution) == ((), 1, 2)

    async def test_replacing_a_running_instance_frees_it_from_its_owner(
        self, worker: Driver, rival: Driver
    ) -> None:
        """The owner's next turn is dropped; the new execution belongs to who claims it."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=(queued(claimed),))
        await deliver(worker.backend, letter("a", b"old event"))
        outcome = await restart(rival.backend, "a", ReusePolicy.REPLACE)
        assert outcome == StartOutcome(created=True, status=Status.PENDING, execution=2)
        late = turn(claimed, 2, status=Status.COMPLETED, output=b"never")
        assert (await worker.commit(late)).dropped == frozenset({"a"})
        assert (await read_one(worker.backend, "a")).status is Status.PENDING
        work = await rival.fetch(activities=10)
        assert [(one.instance_id, one.execution) for one in work.claimed] == [("a", 2)]
        assert (work.claimed[0].mail, work.activities) == ((), ())
        assert [row.events for row in work.claimed[0].history] == [b"again"]

    async def test_the_former_owner_may_claim_the_replacement(self, worker: Driver) -> None:
        """Even then, turns of the old execution are left out."""
        old = await worker.start("a")
        await restart(worker.backend, "a", ReusePolicy.REPLACE)
        fresh = await worker.claim_one()
        assert (await worker.commit(turn(old))).dropped == frozenset({"a"})
        await worker.restate(fresh)

    async def test_replacing_a_parked_instance_sets_it_going(self, worker: Driver) -> None:
        """The reason to park it went with it."""
        await worker.start("a")
        await worker.commit(Park(instance_id="a", reason="poison"))
        await restart(worker.backend, "a", ReusePolicy.REPLACE)
        assert (await worker.claim_one()).execution == 2
        assert (await read_one(worker.backend, "a")).parked is None

    async def test_a_replacement_may_have_another_name(self, worker: Driver) -> None:
        """It is claimed under the new one, and no longer under the old."""
        await start(worker.backend, "a", name="former")
        await worker.fetch(names=frozenset({"neither"}))
        await restart(worker.backend, "a", ReusePolicy.REPLACE)
        assert (await worker.fetch(names=frozenset({"former"}))).claimed == ()
        assert (await worker.claim_one()).execution == 2

    async def test_a_replaced_childs_parent_is_not_told(self, worker: Driver) -> None:
        """Its parent goes on waiting: whoever replaced it decides what is said."""
        parent = await worker.start("parent")
        link = ParentLink("parent", parent.execution, 1)
        await worker.restate(parent, children=(new("child", parent=link),))
        await worker.claim_one()
        await restart(worker.backend, "child", ReusePolicy.REPLACE)
        assert await worker.fetch_mail() == ()

    async def test_executions_go_on_after_a_purge(self, worker: Driver) -> None:
        """A tombstone keeps the number, however often."""
        for execution in (1, 2, 3):
            claimed = await worker.start("a")
            assert claimed.execution == execution
            await worker.restate(claimed, status=Status.COMPLETED)
            assert await worker.backend.purge(["a"]) == ["a"]

    async def test_a_start_may_be_delayed_again(self, worker: Driver, clock: StoreClock) -> None:
        """The replacement has its own start time."""
        await worker.restate(await worker.start("a"), status=Status.COMPLETED)
        later = new("a", reuse=ReusePolicy.REPLACE, start_at_us=clock.now_us() + 60 * SECOND_US)
        await worker.backend.create([later])
        assert await worker.claim() == ()
        clock.advance(61)
        assert (await worker.claim_one()).execution == 2


class StartRequestConformance(ConformanceBase):
    """A client repeats a call whose answer it did not get."""

    async def test_a_repeated_start_gets_the_same_answer(self, worker: Driver) -> None:
        """Whatever happened to the instance in between."""
        wanted = new("a", request_id="r1", reuse=ReusePolicy.REPLACE)
        assert await worker.backend.create([wanted]) == [CREATED]
        assert await worker.backend.create([wanted]) == [CREATED]
        claimed = await worker.claim_one()
        assert claimed.execution == 1
        await worker.restate(claimed, status=Status.COMPLETED)
        assert await worker.backend.create([wanted]) == [CREATED]
        assert (await read_one(worker.backend, "a")).status is Status.COMPLETED

    async def test_a_repeated_refusal_stays_one(self, worker: Driver) -> None:
        """Also after the id became free."""
        claimed = await worker.start("a")
        again = new("a", request_id="r1")
        refused = await worker.backend.create([again])
        assert [outcome.created for outcome in refused] == [False]
        await worker.restate(claimed, status=Status.COMPLETED)
        await worker.backend.purge(["a"])
        assert await worker.backend.create([again]) == refused
        assert await worker.backend.read(["a"], payloads=False) == [None]

    async def test_requests_are_remembered_across_processes(
        self, worker: Driver, rival: Driver
    ) -> None:
        """The retry may come through another connection, at the same time."""
        wanted = new("a", request_id="r1", reuse=ReusePolicy.REPLACE)
        answers = await asyncio.gather(
            *[one.backend.create([wanted]) for one in (worker, rival, worker, rival)]
        )
        assert answers == [[CREATED]] * 4
        assert (await worker.claim_one()).execution == 1

    async def test_a_storm_of_repetitions_gets_the_same_answers(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Also those that come while the first attempt is being answered, and those about instances that are not there."""
        for number in range(60):
            wanted = new(f"a{number}", request_id=f"r{number}")
            stray = letter("nobody", request_id=f"r{number}")
            attempts = [one.backend for one in (worker, rival, worker, rival)]
            created, delivered = await asyncio.gather(
                asyncio.gather(*[one.create([wanted]) for one in attempts]),
                asyncio.gather(*[one.send([stray]) for one in attempts]),
            )
            assert created == [[CREATED]] * 4
            assert delivered == [[Delivery.NOT_FOUND]] * 4

    async def test_other_requests_are_other_starts(self, worker: Driver) -> None:
        """And none at all is always a new one."""
        for number, request_id in enumerate(("r1", "r2", None, None), start=1):
            [outcome] = await worker.backend.create(
                [new("a", request_id=request_id, reuse=ReusePolicy.REPLACE)]
            )
            assert outcome.execution == number

    async def test_a_batch_may_be_half_known(self, worker: Driver) -> None:
        """Known requests get their old answer, the others are done, in order."""
        await worker.backend.create([new("a", request_id="r1")])
        outcomes = await worker.backend.create(
            [
                new("b", request_id="r2"),
                new("a", request_id="r1"),
                new("c", request_id="r3"),
                new("c", request_id="r3"),
            ]
        )
        assert outcomes == [CREATED] * 4
        assert sorted(ids(await worker.claim())) == ["a", "b", "c"]

    async def test_a_replaced_instance_gets_letters_of_its_own_life(self, worker: Driver) -> None:
        """What was sent to the new execution is delivered, what was meant for the old is not."""
        await start(worker.backend, "a")
        await restart(worker.backend, "a", ReusePolicy.REPLACE)
        answers = await worker.backend.send(
            [letter("a", b"old", execution=1), letter("a", b"new", execution=2)]
        )
        assert answers == [Delivery.NOT_FOUND, Delivery.DELIVERED]
        assert bodies((await worker.claim_one()).mail) == [b"new"]
