"""Commits: what one turn makes durable."""

from __future__ import annotations

import pytest

from durable_async.errors import FencedError
from durable_async.failure import FailureDetails
from durable_async.model.history import ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import Abandon, Delivery, NextExecution, Park, TurnCommit
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
    read_one,
    release,
    restart,
    start,
    turn,
)

FAILURE = FailureDetails(
    error_type="shop.Declined",
    message="no money \N{PARTY POPPER} '\";--",
    stack_trace="line 1\nline 2",
    cause=FailureDetails(error_type="OSError", message="unplugged"),
    non_retryable=True,
)


class TurnConformance(ConformanceBase):
    """One turn: history, status, output; all of it, once."""

    async def test_turns_append_to_history(self, worker: Driver) -> None:
        """Rows come back in the order of turns, byte for byte."""
        claimed = await worker.start("a")
        await worker.restate(claimed, events=EVERY_BYTE)
        await worker.restate(claimed, number=2, events=b"\x00")
        assert await history_of(worker.backend, "a") == [
            (0, b"started a"),
            (1, EVERY_BYTE),
            (2, b"\x00"),
        ]

    async def test_several_turns_of_one_instance_in_one_batch(self, worker: Driver) -> None:
        """Items about one instance are applied in their order."""
        claimed = await worker.start("a")
        await worker.commit(
            turn(claimed, 1, status=Status.RUNNING),
            turn(claimed, 2, status=Status.SUSPENDED),
            release("a"),
        )
        record = await read_one(worker.backend, "a")
        assert (record.status, record.owner) == (Status.SUSPENDED, None)
        assert [number for number, _ in await history_of(worker.backend, "a")] == [0, 1, 2]

    async def test_no_events_no_row(self, worker: Driver) -> None:
        """A turn that only takes letters leaves no trace in history, and its number stays free."""
        claimed = await worker.start("a")
        await deliver(worker.backend, letter("a"))
        [mail] = await worker.fetch_mail()
        await worker.restate(claimed, events=b"", consumed=(mail.id,))
        assert await history_of(worker.backend, "a") == [(0, b"started a")]
        await worker.restate(claimed, number=1)
        await worker.commit(release("a", wake_at_us=1))
        assert (await worker.claim_one()).mail == ()

    async def test_a_turn_that_exists_is_left_out_whole(self, worker: Driver) -> None:
        """With what follows about that instance; the rest of the batch is written."""
        await start(worker.backend, "a", "b")
        a, b = await worker.claim()
        await worker.restate(a)
        result = await worker.commit(
            turn(a, events=b"other", status=Status.COMPLETED, outbox=(letter("b", b"never"),)),
            release("a", wake_at_us=1),
            turn(b),
        )
        assert result.dropped == frozenset({"a"})
        assert await history_of(worker.backend, "a") == [(0, b"started a"), (1, b"turn 1")]
        assert (await read_one(worker.backend, "a")).status is Status.PENDING
        assert await history_of(worker.backend, "b") == [(0, b"started b"), (1, b"turn 1")]
        assert await worker.fetch_mail() == ()
        assert await worker.claim() == ()
        await worker.restate(a, number=2)

    async def test_instances_of_others_are_not_touched(self, worker: Driver, rival: Driver) -> None:
        """Their turns are reported, everything else about them is ignored, one's own is written."""
        theirs = await rival.start("theirs")
        mine = await worker.start("mine")
        result = await worker.commit(
            turn(theirs, status=Status.FAILED, outbox=(letter("mine", b"never"),)),
            release("theirs", wake_at_us=1),
            Abandon(instance_id="theirs", retry_at_us=0),
            Park(instance_id="theirs", reason="never"),
            TurnCommit(instance_id="absent", execution=1, turn=1, events=b"never"),
            release("absent"),
            turn(mine),
        )
        assert result.dropped == frozenset({"theirs", "absent"})
        record = await read_one(worker.backend, "theirs")
        assert (record.status, record.owner) == (Status.PENDING, "worker-2")
        assert record.parked is None
        assert await worker.fetch_mail() == ()
        assert await worker.backend.read(["absent"], payloads=True) == [None]
        assert [number for number, _ in await history_of(worker.backend, "mine")] == [0, 1]
        await rival.restate(theirs)

    async def test_an_instance_let_go_is_no_longer_owned(self, worker: Driver) -> None:
        """A turn after the release is left out."""
        claimed = await worker.start("a")
        await worker.commit(release("a"))
        result = await worker.commit(turn(claimed))
        assert result.dropped == frozenset({"a"})
        assert await history_of(worker.backend, "a") == [(0, b"started a")]

    async def test_status_and_custom_status(self, worker: Driver) -> None:
        """``None`` leaves them as they are, ``b""`` clears the custom status."""
        claimed = await worker.start("a")
        await worker.restate(claimed, status=Status.RUNNING, custom_status=EVERY_BYTE)
        record = await read_one(worker.backend, "a")
        assert (record.status, record.custom_status) == (Status.RUNNING, EVERY_BYTE)
        await worker.restate(claimed, number=2)
        record = await read_one(worker.backend, "a")
        assert (record.status, record.custom_status) == (Status.RUNNING, EVERY_BYTE)
        await worker.restate(claimed, number=3, custom_status=b"")
        record = await read_one(worker.backend, "a")
        assert (record.status, record.custom_status) == (Status.RUNNING, None)

    async def test_the_time_of_a_change_is_the_stores(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """``updated_at_us`` follows the status, ``completed_at_us`` the end."""
        claimed = await worker.start("a")
        clock.advance(10)
        before = clock.now_us()
        await worker.restate(claimed, status=Status.RUNNING)
        running = await read_one(worker.backend, "a")
        assert before <= running.updated_at_us <= clock.now_us()
        assert running.completed_at_us is None
        clock.advance(10)
        before = clock.now_us()
        await worker.restate(claimed, number=2, status=Status.COMPLETED)
        ended = await read_one(worker.backend, "a")
        assert ended.completed_at_us is not None
        assert before <= ended.completed_at_us <= clock.now_us()
        assert ended.updated_at_us >= ended.completed_at_us

    async def test_a_refused_batch_writes_nothing(self, worker: Driver) -> None:
        """All or nothing: with a wrong fence, not even the first item."""
        await start(worker.backend, "a", "b")
        a, b = await worker.claim()
        outdated = worker.fence
        await worker.commit()
        batch = (
            turn(a, children=(new("child"),), outbox=(letter("b"),), status=Status.COMPLETED),
            turn(b, custom_status=b"x"),
            release("b", wake_at_us=1),
        )
        with pytest.raises(FencedError):
            await worker.backend.commit(outdated, batch)
        assert await worker.backend.read(["child"], payloads=True) == [None]
        assert (await read_one(worker.backend, "a")).status is Status.PENDING
        assert (await read_one(worker.backend, "b")).custom_status is None
        work = await worker.fetch()
        assert (work.claimed, work.mail) == ((), ())


class EndConformance(ConformanceBase):
    """A terminal status frees the instance, for good."""

    async def test_an_ended_instance_is_free_and_its_mailbox_empty(self, worker: Driver) -> None:
        """Letters not consumed go; nobody claims it again; later letters miss it."""
        claimed = await worker.start("a")
        await deliver(worker.backend, letter("a"), letter("a"))
        await worker.restate(claimed, status=Status.COMPLETED, output=EVERY_BYTE)
        record = await read_one(worker.backend, "a")
        assert (record.status, record.owner) == (Status.COMPLETED, None)
        assert (record.output, record.failure) == (EVERY_BYTE, None)
        assert (await worker.backend.statistics()).letters == 0
        assert await worker.backend.send([letter("a")]) == [Delivery.TERMINAL]
        work = await worker.fetch()
        assert (work.claimed, work.mail, work.next_ready_us) == ((), (), None)
        assert (await worker.commit(turn(claimed, 2))).dropped == frozenset({"a"})

    async def test_history_outlives_the_end(self, worker: Driver) -> None:
        """The last turn is there to be read."""
        claimed = await worker.start("a")
        await worker.restate(claimed, status=Status.TERMINATED, output=b"out")
        assert await history_of(worker.backend, "a") == [(0, b"started a"), (1, b"turn 1")]

    async def test_a_failure_comes_back_as_it_was(self, worker: Driver) -> None:
        """With type, message, stack, cause and whether it may be retried."""
        claimed = await worker.start("a")
        await worker.restate(claimed, status=Status.FAILED, failure=FAILURE)
        record = await read_one(worker.backend, "a")
        assert (record.status, record.failure, record.output) == (Status.FAILED, FAILURE, None)

    async def test_a_letter_to_oneself_in_the_last_turn_vanishes(self, worker: Driver) -> None:
        """Nobody will ever read it."""
        claimed = await worker.start("a")
        await worker.restate(claimed, status=Status.COMPLETED, outbox=(letter("a"),))
        assert (await worker.backend.statistics()).letters == 0


class ContinueAsNewConformance(ConformanceBase):
    """The next execution begins with a fresh history and the same mailbox."""

    async def test_the_next_execution_replaces_the_history(self, worker: Driver) -> None:
        """Turn 0 is the new start; version and execution move; the instance stays owned."""
        claimed = await worker.start("a", version="1")
        await worker.restate(
            claimed,
            status=Status.RUNNING,
            next_execution=NextExecution(events=b"next", version="2"),
        )
        assert await history_of(worker.backend, "a") == [(0, b"next")]
        record = await read_one(worker.backend, "a")
        assert (record.execution, record.version) == (2, "2")
        assert (record.status, record.owner) == (Status.RUNNING, "worker-1")
        assert record.started_events == b"next"
        assert record.completed_at_us is None
        old = await worker.backend.read_history("a", execution=1, bytes_max=1000)
        assert (old.execution, old.rows, old.more) == (1, (), False)
        result = await worker.commit(turn(claimed, 1, execution=2))
        assert result.dropped == frozenset()
        assert await history_of(worker.backend, "a") == [(0, b"next"), (1, b"turn 1")]

    async def test_a_turn_of_the_old_execution_is_left_out(self, worker: Driver) -> None:
        """It belongs to a history that is gone."""
        claimed = await worker.start("a")
        await worker.restate(claimed, next_execution=NextExecution(events=b"n", version=None))
        result = await worker.commit(turn(claimed, 2, custom_status=b"never"))
        assert result.dropped == frozenset({"a"})
        assert await history_of(worker.backend, "a") == [(0, b"n")]
        assert (await read_one(worker.backend, "a")).custom_status is None

    async def test_letters_that_were_not_consumed_stay(self, worker: Driver) -> None:
        """Except those for the execution that ended: their sender meant another one."""
        claimed = await worker.start("a")
        await deliver(
            worker.backend,
            letter("a", b"taken"),
            letter("a", b"old", execution=1),
            letter("a", b"event"),
        )
        taken, _, _ = await worker.fetch_mail()
        await deliver(worker.backend, letter("a", b"late event"))
        await worker.restate(
            claimed,
            consumed=(taken.id,),
            next_execution=NextExecution(events=b"n", version=None),
        )
        await deliver(worker.backend, letter("a", b"new", execution=2))
        assert await worker.backend.send([letter("a", b"old", execution=1)]) == [Delivery.NOT_FOUND]
        await worker.commit(release("a"))
        again = await worker.claim_one()
        assert (again.execution, again.attempts) == (2, 1)
        assert bodies(again.mail) == [b"event", b"late event", b"new"]
        assert [row.events for row in again.history] == [b"n"]


class ChildrenConformance(ConformanceBase):
    """Children are created, and letters sent, by the turn that wants them."""

    async def test_children_are_created_with_the_turn(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """They are ready at once, know their parent, and begin at turn 0."""
        parent = await worker.start("parent")
        link = ParentLink("parent", parent.execution, 4, 2)
        await worker.restate(
            parent,
            children=(
                new("child", parent=link, events=EVERY_BYTE, version="7", tags={"k": "v"}),
                new("later", start_at_us=clock.now_us() + 60 * SECOND_US),
            ),
        )
        child = await worker.claim_one()
        assert (child.instance_id, child.parent, child.version) == ("child", link, "7")
        assert [(row.turn, row.events) for row in child.history] == [(0, EVERY_BYTE)]
        assert (await read_one(worker.backend, "child")).tags == {"k": "v"}
        clock.advance(61)
        assert (await worker.claim_one()).instance_id == "later"

    async def test_a_letter_can_follow_a_child_in_the_same_turn(self, worker: Driver) -> None:
        """Children come before letters."""
        parent = await worker.start("parent")
        await worker.restate(parent, children=(new("child"),), outbox=(letter("child", b"hi"),))
        assert bodies((await worker.claim_one()).mail) == [b"hi"]

    async def test_a_taken_id_is_told_to_the_parent(self, worker: Driver) -> None:
        """The refusal is a letter in the parent's mailbox; the one that is there goes on."""
        await worker.start("child")
        parent = await worker.start("parent")
        link = ParentLink("parent", parent.execution, 1)
        before = await read_one(worker.backend, "child")
        await worker.restate(
            parent,
            children=(new("child", parent=link, events=b"mine", refusal=b"refused"),),
        )
        mail = await worker.fetch_mail()
        assert [(m.instance_id, m.execution, m.letter) for m in mail] == [
            ("parent", parent.execution, b"refused")
        ]
        assert await read_one(worker.backend, "child") == before

    async def test_a_refusal_misses_a_parent_that_went_on(self, worker: Driver) -> None:
        """With the next execution, the operation that asked is gone."""
        await worker.start("child")
        parent = await worker.start("parent")
        link = ParentLink("parent", parent.execution, 1)
        await worker.restate(
            parent,
            children=(new("child", parent=link, refusal=b"refused"),),
            next_execution=NextExecution(events=b"n", version=None),
        )
        assert await worker.fetch_mail() == ()
        assert (await worker.backend.statistics()).letters == 0

    async def test_a_child_may_replace_what_is_there(self, worker: Driver) -> None:
        """Children follow their reuse policy; nothing is refused then."""
        await worker.restate(await worker.start("child"), status=Status.COMPLETED)
        parent = await worker.start("parent")
        child = new(
            "child",
            parent=ParentLink("parent", 1, 1),
            reuse=ReusePolicy.REPLACE_TERMINAL,
            refusal=b"refused",
        )
        await worker.restate(parent, children=(child,))
        work = await worker.fetch()
        assert [(c.instance_id, c.execution) for c in work.claimed] == [("child", 2)]
        assert work.mail == ()

    async def test_letters_reach_instances_whoever_owns_them(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Free ones become ready, owned ones get mail, in the order of the outbox."""
        sender = await worker.start("sender")
        await rival.start("theirs")
        await rival.start("free")
        await rival.commit(release("free"))
        await worker.start("mine")
        await worker.restate(
            sender,
            outbox=tuple(
                letter(to, body) for body in (b"1", b"2") for to in ("mine", "theirs", "free")
            ),
        )
        work = await worker.fetch()
        assert [(m.instance_id, m.letter) for m in work.mail] == [("mine", b"1"), ("mine", b"2")]
        assert [(c.instance_id, bodies(c.mail)) for c in work.claimed] == [("free", [b"1", b"2"])]
        assert [(m.instance_id, m.letter) for m in await rival.fetch_mail()] == [
            ("theirs", b"1"),
            ("theirs", b"2"),
        ]

    async def test_letters_to_nowhere_vanish(self, worker: Driver) -> None:
        """Absent, ended, or at another execution: no ghost, no error."""
        await worker.restate(await worker.start("ended"), status=Status.COMPLETED)
        await start(worker.backend, "there")
        there = await worker.claim_one()
        sender = await worker.start("sender")
        await worker.restate(
            sender,
            outbox=(
                letter("absent"),
                letter("ended"),
                letter("there", execution=there.execution + 1),
                letter("there", execution=there.execution - 1),
                letter("there", b"right", execution=there.execution),
            ),
        )
        assert bodies(await worker.fetch_mail()) == [b"right"]
        assert (await worker.backend.statistics()).letters == 1
        assert await worker.backend.read(["absent"], payloads=True) == [None]

    async def test_a_letter_to_a_child_misses_a_stranger(self, worker: Driver) -> None:
        """Under the id that the child was to have; also in the turn that creates it."""
        await worker.start("stranger")
        sender = await worker.start("sender")
        own = ParentLink("sender", sender.execution, 7)
        others = ParentLink("sender", sender.execution, 8, 3)
        await worker.restate(
            sender,
            children=(
                new("child", parent=ParentLink("sender", sender.execution, 7, 2)),
                new("stranger", parent=own, refusal=b"taken"),
            ),
            outbox=tuple(
                letter(one, link_name, parent=link)
                for one in ("child", "stranger")
                for link_name, link in ((b"own", own), (b"others", others))
            ),
        )
        work = await worker.fetch()
        [child] = work.claimed
        assert (bodies(child.mail), bodies(work.mail)) == ([b"own"], [b"taken"])
        await worker.restate(sender, number=2, outbox=(letter("child", b"later", parent=own),))
        assert bodies(await worker.fetch_mail())[-1] == b"later"

    async def test_a_letter_to_an_earlier_life_misses_the_next(self, worker: Driver) -> None:
        """A reused id is another execution."""
        await worker.restate(await worker.start("a"), status=Status.COMPLETED)
        await worker.backend.purge(["a"])
        outcome = await restart(worker.backend, "a", ReusePolicy.REJECT)
        assert outcome.execution == 2
        await worker.claim_one()
        sender = await worker.start("sender")
        await worker.restate(sender, outbox=(letter("a", b"late", execution=1),))
        assert await worker.fetch_mail() == ()

    async def test_a_turn_with_everything_from_hostile_ids(self, worker: Driver) -> None:
        """Children and letters among strange ids arrive where they should."""
        sender = await worker.start("sender")
        await worker.restate(
            sender,
            children=tuple(new(one) for one in HOSTILE_IDS),
            outbox=tuple(letter(one, one.encode()) for one in HOSTILE_IDS),
        )
        claimed = await worker.claim()
        assert sorted(ids(claimed)) == sorted(HOSTILE_IDS)
        assert all(bodies(one.mail) == [one.instance_id.encode()] for one in claimed)
