"""Entities: they begin with a letter, hold one state, and take letters in order."""

from __future__ import annotations

import asyncio

import anyio
import anyio.lowlevel
import pytest

from durable_async.errors import FencedError
from durable_async.model.history import ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import Abandon, Answer, Delivery, Park
from durable_async.model.status import Status

from .base import ConformanceBase, Opener, StoreClock
from .driver import (
    ENTITY,
    EVERY_BYTE,
    HOSTILE_IDS,
    ORCHESTRATOR,
    SECOND_US,
    Driver,
    bodies,
    deliver,
    entity,
    entity_turn,
    history_of,
    ids,
    letter,
    letters_of,
    new,
    operation,
    read_entity,
    release,
    restart,
    start,
    turn,
)

HOSTILE_KEYS = (*(key for key in HOSTILE_IDS if len(key) < 200), "a@b", "@", "@counter@a")


class EntityOpeningConformance(ConformanceBase):
    """An entity is there with the first letter that opens it."""

    async def test_a_claim_carries_all_that_its_first_turn_needs(self, worker: Driver) -> None:
        """Running from the first, with neither history nor state."""
        claimed = await worker.open("a", EVERY_BYTE)
        assert (claimed.instance_id, claimed.name) == (entity("a"), ENTITY)
        assert (claimed.status, claimed.version) == (Status.RUNNING, None)
        assert (claimed.execution, claimed.attempts) == (1, 1)
        assert (claimed.start_at_us, claimed.parent) == (0, None)
        assert (claimed.history, claimed.more_history) == ((), False)
        assert (claimed.state, claimed.queued) == (None, ())
        assert [(m.execution, m.letter) for m in claimed.mail] == [(None, EVERY_BYTE)]

    async def test_a_turn_opens_as_a_client_does(self, worker: Driver, clock: StoreClock) -> None:
        """Once for all its letters, and for those of the turns beside it."""
        await start(worker.backend, "one", "two")
        one, two = await worker.claim()
        clock.advance(5)
        await worker.commit(
            turn(one, outbox=(operation("a", b"1"), operation("b", b"2"), operation("a", b"3"))),
            turn(two, outbox=(operation("a", b"4"),)),
        )
        claims = {one.instance_id: one for one in await worker.claim()}
        assert set(claims) == {entity("a"), entity("b")}
        assert bodies(claims[entity("a")].mail) == [b"1", b"3", b"4"]
        assert (claims[entity("b")].status, claims[entity("b")].execution) == (Status.RUNNING, 1)
        assert (await read_entity(worker.backend, "a")).created_at_us >= clock.now_us() - SECOND_US

    async def test_other_letters_open_nothing(self, worker: Driver) -> None:
        """Neither a client's nor a turn's."""
        assert await worker.backend.send([letter(entity("a"))]) == [Delivery.NOT_FOUND]
        claimed = await worker.start("sender")
        await worker.restate(claimed, outbox=(letter(entity("a")),))
        assert await worker.backend.read_entities([entity("a")]) == [None]
        assert (await worker.backend.statistics()).entities == 0

    async def test_one_that_is_there_is_not_opened_again(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Whatever the letters say, it keeps its state, its owner and its age."""
        claimed = await worker.open("a")
        taken = tuple(one.id for one in claimed.mail)
        await worker.commit(entity_turn(claimed, state=b"state", consumed=taken))
        before = await read_entity(worker.backend, "a")
        clock.advance(5)
        await deliver(worker.backend, operation("a", b"1"), letter(entity("a"), b"2"))
        assert bodies(await worker.fetch_mail()) == [b"1", b"2"]
        after = await read_entity(worker.backend, "a")
        assert (after.state, after.owner) == (before.state, before.owner) == (b"state", "worker-1")
        assert (after.created_at_us, after.updated_at_us) == (
            before.created_at_us,
            before.updated_at_us,
        )

    async def test_two_at_once_open_one(self, worker: Driver, rival: Driver) -> None:
        """Two clients and two workers: one entity, and nobody's letter is lost."""
        mine = await worker.start("mine")
        theirs = await rival.start("theirs")
        for number in range(1, 9):
            key = f"k{number}"
            await asyncio.gather(
                worker.commit(turn(mine, number, outbox=(operation(key, b"1"),))),
                rival.commit(turn(theirs, number, outbox=(operation(key, b"2"),))),
                deliver(worker.backend, operation(key, b"3")),
                deliver(rival.backend, operation(key, b"4")),
            )
            one, two = await asyncio.gather(worker.claim(), rival.claim())
            [claimed] = one + two
            assert sorted(bodies(claimed.mail)) == [b"1", b"2", b"3", b"4"]
            assert claimed.execution == 1

    async def test_many_at_once_in_any_order_open_each(self, worker: Driver, rival: Driver) -> None:
        """Batches that open the same ones the other way round do not wait for each other for ever."""
        mine = await worker.start("mine")
        theirs = await rival.start("theirs")
        for number in range(1, 5):
            keys = [f"k{number}.{at}" for at in range(10)]
            letters = tuple(operation(key) for key in keys)
            await asyncio.gather(
                worker.commit(turn(mine, number, outbox=letters)),
                rival.commit(turn(theirs, number, outbox=letters[::-1])),
                deliver(worker.backend, *letters[5:], *letters[:5]),
            )
            claimed = await worker.claim()
            assert sorted(ids(claimed)) == sorted(entity(key) for key in keys)
            assert {len(one.mail) for one in claimed} == {3}

    async def test_only_workers_that_register_it_claim_it(self, worker: Driver) -> None:
        """By its kind, whose name no orchestrator has."""
        await deliver(worker.backend, operation("a"), operation("b", name="@other"))
        assert (await worker.fetch(names=frozenset({ORCHESTRATOR, "counter"}))).claimed == ()
        assert ids(await worker.claim()) == [entity("a")]
        late = await worker.fetch(names=frozenset({"@other"}))
        assert ids(late.claimed) == [entity("b", "@other")]

    async def test_hostile_keys_come_through_unharmed(self, worker: Driver) -> None:
        """Each has its own letters and its own state."""
        await deliver(worker.backend, *[operation(key, key.encode()) for key in HOSTILE_KEYS])
        claimed = await worker.claim()
        assert sorted(ids(claimed)) == sorted(entity(key) for key in HOSTILE_KEYS)
        await worker.commit(*[entity_turn(one, state=one.mail[0].letter) for one in claimed])
        records = await worker.backend.read_entities([entity(key) for key in HOSTILE_KEYS])
        assert [one and one.state for one in records] == [key.encode() for key in HOSTILE_KEYS]

    async def test_a_turn_that_is_dropped_opens_nothing(
        self, worker: Driver, rival: Driver
    ) -> None:
        """As it does nothing else."""
        claimed = await worker.start("sender")
        late = turn(claimed, outbox=(operation("a"),))
        assert (await rival.commit(late)).dropped == frozenset({"sender"})
        assert await worker.backend.read_entities([entity("a")]) == [None]

    async def test_a_repeated_request_opens_once(self, worker: Driver) -> None:
        """Not even when what it opened is gone again."""
        first = operation("a", request_id="r")
        await deliver(worker.backend, first, first)
        claimed = await worker.claim_one()
        assert len(claimed.mail) == 1
        await worker.commit(entity_turn(claimed, consumed=(claimed.mail[0].id,)))
        assert await worker.backend.discard_entities([entity("a")]) == [entity("a")]
        await deliver(worker.backend, first)
        assert await worker.backend.read_entities([entity("a")]) == [None]

    async def test_the_bound_of_the_mailbox_holds_from_the_beginning(self, opened: Opener) -> None:
        """For clients; a refused request may be repeated, and turns always get in."""
        worker = await Driver.register(await opened(letters_max=2), "w")
        full, ok = Delivery.FULL, Delivery.DELIVERED
        late = operation("a", b"3", request_id="r")
        letters = [operation("a", b"1"), operation("a", b"2"), late, operation("b", b"4")]
        assert await worker.backend.send(letters) == [ok, ok, full, ok]
        assert await worker.backend.send([late]) == [full]
        claimed = {one.instance_id: one for one in await worker.claim()}[entity("a")]
        sender = await worker.start("sender")
        await worker.restate(sender, outbox=(operation("a", b"5"),))
        taken = tuple(one.id for one in claimed.mail)
        await worker.commit(entity_turn(claimed, consumed=taken))
        assert await worker.backend.send([late, late]) == [ok, ok]
        assert await letters_of(worker.backend, entity("a")) == [b"5", b"3"]

    @pytest.mark.parametrize("policy", list(ReusePolicy))
    async def test_no_orchestration_takes_its_place(
        self, worker: Driver, policy: ReusePolicy
    ) -> None:
        """Under any policy the id is taken by what runs."""
        await deliver(worker.backend, operation("a", b"kept"))
        outcome = await restart(worker.backend, entity("a"), policy)
        assert (outcome.created, outcome.status, outcome.execution) == (False, Status.RUNNING, 1)
        assert bodies((await worker.claim_one()).mail) == [b"kept"]

    async def test_nor_does_a_child(self, worker: Driver) -> None:
        """Its parent is told that the id is taken."""
        await worker.open("a")
        parent = await worker.start("parent")
        link = ParentLink("parent", 1, 1)
        child = new(entity("a"), parent=link, reuse=ReusePolicy.REPLACE, refusal=b"taken")
        await worker.restate(parent, children=(child,))
        assert await letters_of(worker.backend, "parent") == [b"taken"]
        assert (await read_entity(worker.backend, "a")).owner == "worker-1"


class EntityStateConformance(ConformanceBase):
    """A turn replaces the state, or leaves it."""

    async def test_a_state_comes_back_as_it_was(self, worker: Driver, rival: Driver) -> None:
        """Byte for byte, to the next owner and to clients."""
        for state in (EVERY_BYTE, b"null", b"0", b"\x00", b"x" * 1_000_000):
            claimed = await worker.open("a")
            taken = tuple(one.id for one in claimed.mail)
            await worker.commit(
                entity_turn(claimed, state=state, consumed=taken),
                release(entity("a"), wake_at_us=1),
            )
            again = await rival.claim_one()
            assert (again.state, again.history, again.mail) == (state, (), ())
            assert (await read_entity(worker.backend, "a")).state == state
            await rival.commit(release(entity("a")))

    async def test_a_turn_may_leave_it_or_take_it_away(self, worker: Driver) -> None:
        """``None`` leaves it, nothing is no state, and there may be one again."""
        claimed = await worker.open("a")
        for given, expected in (
            (None, None),
            (b"one", b"one"),
            (None, b"one"),
            (b"", None),
            (None, None),
            (b"two", b"two"),
        ):
            await worker.commit(entity_turn(claimed, state=given))
            assert (await read_entity(worker.backend, "a")).state == expected
        await worker.commit(entity_turn(claimed, state=b""), release(entity("a"), wake_at_us=1))
        assert (await worker.claim_one()).state is None

    async def test_it_has_no_history(self, worker: Driver) -> None:
        """So no number of a turn is ever taken."""
        claimed = await worker.open("a")
        for state in (b"1", b"2"):
            result = await worker.commit(entity_turn(claimed, number=1, state=state))
            assert result.dropped == frozenset()
        assert await history_of(worker.backend, entity("a")) == []
        assert (await read_entity(worker.backend, "a")).state == b"2"

    async def test_when_it_last_changed_is_on_record(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Letters and turns without a new state are no change."""
        claimed = await worker.open("a")
        born = await read_entity(worker.backend, "a")
        assert born.updated_at_us == born.created_at_us
        clock.advance(5)
        await worker.commit(entity_turn(claimed, state=b"state"))
        changed = await read_entity(worker.backend, "a")
        assert changed.created_at_us == born.created_at_us
        assert changed.updated_at_us - born.updated_at_us >= 5 * SECOND_US
        clock.advance(5)
        await deliver(worker.backend, operation("a"))
        taken = tuple(one.id for one in claimed.mail)
        await worker.commit(entity_turn(claimed, consumed=taken), release(entity("a")))
        assert (await read_entity(worker.backend, "a")).updated_at_us == changed.updated_at_us

    async def test_a_dropped_turn_changes_nothing(self, worker: Driver, rival: Driver) -> None:
        """Somebody else's."""
        claimed = await worker.open("a")
        taken = tuple(one.id for one in claimed.mail)
        late = entity_turn(claimed, state=b"never", consumed=taken)
        assert (await rival.commit(late)).dropped == frozenset({entity("a")})
        record = await read_entity(worker.backend, "a")
        assert (record.state, record.letters) == (None, 1)

    async def test_one_turn_does_it_all_at_once(self, worker: Driver) -> None:
        """Takes letters, changes the state, answers, writes to entities and orchestrations, starts some."""
        await start(worker.backend, "caller")
        await worker.claim()
        claimed = await worker.open("a", b"1", b"2")
        await worker.commit(
            entity_turn(
                claimed,
                state=b"state",
                consumed=(claimed.mail[0].id,),
                answers=(Answer(request_id="r", answer=b"answer"),),
                outbox=(operation("b", b"signal"), letter("caller", b"result", execution=1)),
                children=(new("started"),),
            )
        )
        assert await worker.backend.read_answers(["r"]) == [b"answer"]
        assert await letters_of(worker.backend, entity("a")) == [b"2"]
        work = await worker.fetch()
        assert {one.instance_id: bodies(one.mail) for one in work.claimed} == {
            entity("b"): [b"signal"],
            "started": [],
        }
        assert b"result" in bodies(work.mail)
        assert (await read_entity(worker.backend, "a")).state == b"state"


class EntityMailboxConformance(ConformanceBase):
    """What a turn does not take stays in line."""

    async def test_letters_that_were_not_taken_come_again_in_order(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Seen, and let go: it rests until the next one arrives; then all are there."""
        claimed = await worker.open("a", b"1", b"2", b"3")
        await worker.commit(
            entity_turn(claimed, state=b"locked", consumed=(claimed.mail[1].id,)),
            release(entity("a"), claimed.mail),
        )
        assert await worker.claim() == ()
        await deliver(worker.backend, operation("a", b"4"))
        again = await rival.claim_one()
        assert (bodies(again.mail), again.state) == ([b"1", b"3", b"4"], b"locked")

    async def test_they_come_again_after_the_owner_died(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """With the state of the last turn that was written; the dead one writes no other."""
        claimed = await worker.open("a", b"1", b"2", b"3")
        await worker.commit(entity_turn(claimed, state=b"one", consumed=(claimed.mail[0].id,)))
        clock.advance(31)
        await rival.backend.take_over(rival.fence)
        again = await rival.claim_one()
        assert (bodies(again.mail), again.state, again.attempts) == ([b"2", b"3"], b"one", 1)
        with pytest.raises(FencedError):
            await worker.commit(entity_turn(claimed, state=b"never"))
        record = await read_entity(rival.backend, "a")
        assert (record.state, record.letters, record.owner) == (b"one", 2, "worker-2")

    async def test_it_may_wake_at_a_time_for_those_that_wait(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """A delayed operation stays in the mailbox until it is due."""
        claimed = await worker.open("a", b"later")
        wake_at_us = clock.now_us() + 60 * SECOND_US
        await worker.commit(release(entity("a"), claimed.mail, wake_at_us=wake_at_us))
        work = await worker.fetch()
        assert (work.claimed, work.next_ready_us) == ((), wake_at_us)
        clock.advance(61)
        assert bodies((await worker.claim_one()).mail) == [b"later"]

    async def test_letters_of_one_sender_keep_their_order(
        self, worker: Driver, rival: Driver
    ) -> None:
        """A client's from call to call, an orchestration's from turn to turn."""
        sender = await worker.start("sender")
        for number in range(1, 9):
            await asyncio.gather(
                worker.commit(
                    turn(
                        sender,
                        number,
                        outbox=tuple(
                            operation("a", b"t%d%s" % (number, one)) for one in (b"a", b"b")
                        ),
                    )
                ),
                deliver(
                    rival.backend, *[operation("a", b"c%d%s" % (number, x)) for x in (b"a", b"b")]
                ),
            )
        found = await letters_of(worker.backend, entity("a"))
        for who in (b"t", b"c"):
            expected = [b"%s%d%s" % (who, n, x) for n in range(1, 9) for x in (b"a", b"b")]
            assert [one for one in found if one.startswith(who)] == expected

    async def test_one_that_kills_its_workers_can_be_parked_and_put_back(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Whole, as an orchestration can; its mailbox goes on filling."""
        claimed = await worker.open("a", b"1")
        await worker.commit(entity_turn(claimed, state=b"state"))
        await worker.commit(Abandon(instance_id=entity("a"), retry_at_us=clock.now_us()))
        assert (await worker.claim_one()).attempts == 1
        await worker.commit(Abandon(instance_id=entity("a"), retry_at_us=clock.now_us()))
        assert (await worker.claim_one()).attempts == 2
        await worker.commit(Park(instance_id=entity("a"), reason="poison"))
        await deliver(worker.backend, operation("a", b"2"))
        assert await worker.claim() == ()
        record = await read_entity(worker.backend, "a")
        assert (record.parked, record.letters, record.owner) == ("poison", 2, None)
        assert await worker.backend.unpark([entity("a")]) == [entity("a")]
        again = await worker.claim_one()
        assert (bodies(again.mail), again.state, again.attempts) == ([b"1", b"2"], b"state", 1)

    async def test_what_caused_a_start_is_known_where_it_starts(
        self, worker: Driver, rival: Driver
    ) -> None:
        """A letter to an entity at hand, then an instance: who claims that one has heard of the letter."""
        claimed = await worker.open("a")
        taken = tuple(one.id for one in claimed.mail)
        await worker.commit(entity_turn(claimed, consumed=taken))
        await deliver(rival.backend, operation("a", b"1"))
        await start(rival.backend, "b")
        work = await worker.fetch()
        assert (ids(work.claimed), bodies(work.mail)) == (["b"], [b"1"])
        await worker.commit(release("b"))
        sender = await rival.start("sender")
        await rival.commit(
            turn(sender, outbox=(operation("a", b"2"), letter("b")), children=(new("c"),))
        )
        work = await worker.fetch()
        assert (sorted(ids(work.claimed)), bodies(work.mail)[-1:]) == (["b", "c"], [b"2"])

    async def test_no_start_overtakes_the_letter_that_caused_it(
        self, worker: Driver, rival: Driver
    ) -> None:
        """However the fetch falls between the two calls."""
        claimed = await worker.open("a")
        known = {one.id for one in claimed.mail}

        async def cause(number: int) -> None:
            await deliver(rival.backend, operation("a", b"%d" % number))
            await start(rival.backend, f"i{number:02}")

        for number in range(20):
            heard: list[bytes] = []
            async with anyio.create_task_group() as group:
                group.start_soon(cause, number)
                while True:
                    work = await worker.fetch()
                    heard += [one.letter for one in work.mail if one.id not in known]
                    known |= {one.id for one in work.mail}
                    if work.claimed:
                        break
                    await anyio.lowlevel.checkpoint()
            assert heard == [b"%d" % number]
