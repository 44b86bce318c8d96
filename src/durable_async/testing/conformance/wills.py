"""Wills: what an instance leaves is sent with its end, whoever ends it, and once."""

from __future__ import annotations

from typing import Any

import pytest

from durable_async.model.policy import ReusePolicy
from durable_async.model.records import (
    NO_WILL,
    Abandon,
    ClaimedInstance,
    NextExecution,
    Park,
    Release,
    Rewrite,
    Will,
)
from durable_async.model.status import Status

from .base import ConformanceBase, Opener, StoreClock
from .driver import (
    Driver,
    bodies,
    deliver,
    entity,
    entity_turn,
    letter,
    letters_of,
    new,
    operation,
    release,
    restart,
    start,
    turn,
)

WILL = Will(receivers=(entity("a"), entity("b")), letter=b"will")
FOLLOWING = NextExecution(events=b"next", version=None)

ENDS: dict[str, dict[str, Any]] = {
    "completes": {"status": Status.COMPLETED},
    "fails": {"status": Status.FAILED},
    "is terminated": {"status": Status.TERMINATED},
    "goes on as new": {"next_execution": FOLLOWING},
}
"""What a turn says of its instance's end."""


async def testator(worker: Driver, **fields: Any) -> ClaimedInstance:
    """Let an instance leave a will to two entities whose mailboxes are empty."""
    for key in "ab":
        claimed = await worker.open(key)
        taken = tuple(one.id for one in claimed.mail)
        await worker.commit(entity_turn(claimed, consumed=taken))
    claimed = await worker.start("holder")
    fields.setdefault("will", WILL)
    await worker.restate(claimed, **fields)
    return claimed


async def left(worker: Driver) -> list[list[bytes]]:
    """Return what lies in the mailboxes of the two entities."""
    return [await letters_of(worker.backend, entity(key)) for key in "ab"]


NOTHING: list[list[bytes]] = [[], []]
ONCE = [[b"will"], [b"will"]]


class WillConformance(ConformanceBase):
    """Each way to end sends the will."""

    @pytest.mark.parametrize("end", ENDS)
    async def test_a_turn_that_ends_the_instance_sends_it(self, worker: Driver, end: str) -> None:
        """After the letters of the turn itself."""
        claimed = await testator(worker)
        assert await left(worker) == NOTHING
        own = (operation("a", b"own"), operation("a", b"last"))
        await worker.restate(claimed, number=2, outbox=own, **ENDS[end])
        assert await left(worker) == [[b"own", b"last", b"will"], [b"will"]]

    @pytest.mark.parametrize("end", ENDS)
    async def test_what_the_last_turn_leaves_counts(self, worker: Driver, end: str) -> None:
        """A new will in place of the old one, or none."""
        claimed = await testator(worker)
        changed = Will(receivers=(entity("b"),), letter=b"changed")
        await worker.restate(claimed, number=2, will=changed, **ENDS[end])
        assert await left(worker) == [[], [b"changed"]]

    @pytest.mark.parametrize("end", ENDS)
    async def test_the_last_turn_may_revoke_it(self, worker: Driver, end: str) -> None:
        """Nothing is sent but what it sends itself."""
        claimed = await testator(worker)
        await worker.restate(
            claimed, number=2, will=NO_WILL, outbox=(operation("a", b"own"),), **ENDS[end]
        )
        assert await left(worker) == [[b"own"], []]

    async def test_the_only_turn_may_leave_it(self, worker: Driver) -> None:
        """And end."""
        await testator(worker, status=Status.COMPLETED)
        assert await left(worker) == ONCE

    async def test_another_worker_that_ends_the_instance_sends_it(
        self, worker: Driver, rival: Driver
    ) -> None:
        """One that knows nothing of the will, nor of its name."""
        claimed = await testator(worker)
        await worker.commit(release("holder"))
        await deliver(rival.backend, letter("holder", b"end", final=True))
        [taken] = (await rival.fetch(names=frozenset())).claimed
        assert taken.instance_id == claimed.instance_id
        await rival.restate(taken, number=2, status=Status.TERMINATED)
        assert await left(worker) == ONCE

    async def test_a_park_sends_it(self, worker: Driver) -> None:
        """Once: neither what comes after it nor another park does it again."""
        claimed = await testator(worker)
        await worker.commit(Park(instance_id="holder", reason="poison"))
        assert await left(worker) == ONCE
        assert await worker.backend.unpark(["holder"]) == ["holder"]
        await worker.claim_one()
        await worker.commit(Park(instance_id="holder", reason="poison"))
        await worker.backend.unpark(["holder"])
        await worker.claim_one()
        await worker.restate(claimed, number=2, status=Status.FAILED)
        assert await left(worker) == ONCE

    async def test_a_park_after_the_turn_that_leaves_it_sends_it(self, worker: Driver) -> None:
        """In the same batch, after what the turn itself sends."""
        claimed = await testator(worker, will=NO_WILL)
        await worker.commit(
            turn(claimed, 2, will=WILL, outbox=(operation("a", b"own"),)),
            Park(instance_id="holder", reason="poison", execution=1),
        )
        assert await left(worker) == [[b"own", b"will"], [b"will"]]

    async def test_a_replacement_sends_it(self, worker: Driver, rival: Driver) -> None:
        """By a client, while it is owned; its owner's next turn leaves nothing."""
        claimed = await testator(worker)
        assert (await restart(rival.backend, "holder", ReusePolicy.REPLACE)).created
        assert await left(worker) == ONCE
        late = turn(claimed, 2, will=WILL, status=Status.COMPLETED)
        assert (await worker.commit(late)).dropped == frozenset({"holder"})
        assert await left(worker) == ONCE

    async def test_a_replacement_by_a_child_sends_it(self, worker: Driver) -> None:
        """In the commit of the turn that starts the child."""
        await testator(worker)
        await worker.commit(release("holder"))
        parent = await worker.start("parent")
        child = new("holder", events=b"child", reuse=ReusePolicy.REPLACE)
        await worker.restate(parent, children=(child,))
        assert await left(worker) == ONCE
        assert (await worker.claim_one()).execution == 2

    @pytest.mark.parametrize(
        "policy", [one for one in ReusePolicy if one is not ReusePolicy.REPLACE]
    )
    async def test_a_start_that_replaces_nothing_sends_nothing(
        self, worker: Driver, policy: ReusePolicy
    ) -> None:
        """The id was taken."""
        await testator(worker)
        assert not (await restart(worker.backend, "holder", policy)).created
        assert await left(worker) == NOTHING

    async def test_a_replaced_one_that_was_parked_sends_nothing_again(self, worker: Driver) -> None:
        """Its will was executed then."""
        await testator(worker)
        await worker.commit(Park(instance_id="holder", reason="poison"))
        assert (await restart(worker.backend, "holder", ReusePolicy.REPLACE)).created
        assert await left(worker) == ONCE


class WillInVainConformance(ConformanceBase):
    """A will waits for the end, and is forgotten with it."""

    async def test_the_last_one_counts(self, worker: Driver) -> None:
        """A turn that says nothing of it leaves it as it is."""
        claimed = await testator(worker)
        changed = Will(receivers=(entity("a"),), letter=b"changed")
        await worker.restate(claimed, number=2, will=changed)
        await worker.restate(claimed, number=3, status=Status.RUNNING)
        await worker.restate(claimed, number=4, status=Status.COMPLETED)
        assert await left(worker) == [[b"changed"], []]

    async def test_a_revoked_one_is_not_sent(self, worker: Driver) -> None:
        """However it ends."""
        claimed = await testator(worker)
        await worker.restate(claimed, number=2, will=NO_WILL)
        await worker.commit(Park(instance_id="holder", reason="poison"))
        assert await left(worker) == NOTHING

    async def test_a_letter_that_is_not_sent_opens_nobody_for_it(
        self, worker: Driver, rival: Driver
    ) -> None:
        """The turn that would have sent one, in the same batch, is dropped."""
        others = await rival.start("theirs")
        claimed = await worker.start("holder")
        will = Will(receivers=(entity("absent"),), letter=b"will")
        result = await worker.commit(
            turn(claimed, status=Status.COMPLETED, will=will),
            turn(others, outbox=(operation("absent"),)),
        )
        assert result.dropped == {"theirs"}
        assert await worker.backend.read_entities([entity("absent")]) == [None]
        assert (await worker.backend.statistics()).letters == 0

    @pytest.mark.parametrize(
        "let_go",
        [
            release("holder", wake_at_us=1),
            Abandon(instance_id="holder", retry_at_us=1),
        ],
    )
    async def test_to_be_let_go_is_no_end(
        self, worker: Driver, rival: Driver, let_go: Release | Abandon
    ) -> None:
        """It still stands when the next owner ends it."""
        await testator(worker)
        await worker.commit(let_go)
        assert await left(worker) == NOTHING
        again = await rival.claim_one()
        await rival.restate(again, number=2, status=Status.COMPLETED)
        assert await left(worker) == ONCE

    async def test_the_end_of_its_owner_is_none(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Whether it retires or is taken over."""
        await testator(worker)
        await worker.backend.retire_worker(worker.fence)
        successor = await Driver.register(worker.backend, "successor")
        assert len(await successor.claim()) >= 1
        clock.advance(31)
        await rival.backend.take_over(rival.fence)
        assert await left(worker) == NOTHING
        claims = {one.instance_id: one for one in await rival.claim()}
        await rival.restate(claims["holder"], number=2, status=Status.FAILED)
        assert await left(worker) == ONCE

    async def test_to_be_suspended_is_none(self, worker: Driver) -> None:
        """It goes on, some day."""
        claimed = await testator(worker)
        await worker.restate(claimed, number=2, status=Status.SUSPENDED)
        assert await left(worker) == NOTHING

    async def test_the_next_execution_begins_without(self, worker: Driver) -> None:
        """What the last one left was sent."""
        claimed = await testator(worker)
        await worker.restate(claimed, number=2, next_execution=FOLLOWING)
        await worker.commit(
            turn(claimed, execution=2, status=Status.COMPLETED),
        )
        assert await left(worker) == ONCE

    async def test_later_lives_begin_without(self, worker: Driver) -> None:
        """After a replacement, a purge, a rewrite."""
        await testator(worker)
        await restart(worker.backend, "holder", ReusePolicy.REPLACE)
        second = await worker.claim_one()
        await worker.restate(second, status=Status.FAILED)
        rewrite = Rewrite(instance_id="holder", execution=2, events=b"again", parent=None)
        assert await worker.backend.rewrite([rewrite])
        third = await worker.claim_one()
        await worker.restate(third, status=Status.COMPLETED)
        assert await worker.backend.purge(["holder"]) == ["holder"]
        fourth = await worker.start("holder")
        await worker.restate(fourth, status=Status.COMPLETED)
        assert (fourth.execution, await left(worker)) == (4, ONCE)

    async def test_a_dropped_turn_leaves_none(self, worker: Driver, rival: Driver) -> None:
        """Nor does it take one back, or end anything."""
        claimed = await testator(worker)
        forged = Will(receivers=(entity("a"),), letter=b"forged")
        late = turn(claimed, 2, will=forged, status=Status.COMPLETED)
        assert (await rival.commit(late)).dropped == frozenset({"holder"})
        taken = turn(claimed, 1, will=NO_WILL, status=Status.COMPLETED)
        assert (await worker.commit(taken)).dropped == frozenset({"holder"})
        await worker.restate(claimed, number=2, status=Status.COMPLETED)
        assert await left(worker) == ONCE

    async def test_letting_a_former_life_go_leaves_the_will_of_the_next(
        self, worker: Driver
    ) -> None:
        """A park that comes too late is not its end."""
        await testator(worker, will=NO_WILL)
        await restart(worker.backend, "holder", ReusePolicy.REPLACE)
        current = await worker.claim_one()
        await worker.restate(current, will=WILL)
        await worker.commit(Park(instance_id="holder", reason="late", execution=1))
        assert await left(worker) == NOTHING
        await worker.restate(current, number=2, status=Status.COMPLETED)
        assert await left(worker) == ONCE


class WillDeliveryConformance(ConformanceBase):
    """A will's letter is delivered as a turn's is."""

    async def test_it_reaches_receivers_whoever_owns_them(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Free ones become ready, owned ones get mail; entities or not."""
        theirs = await rival.open("theirs")
        await rival.commit(entity_turn(theirs, consumed=(theirs.mail[0].id,)))
        free = await rival.open("free")
        await rival.commit(
            entity_turn(free, consumed=(free.mail[0].id,)), release(free.instance_id)
        )
        await worker.start("mine")
        claimed = await worker.start("holder")
        receivers = (entity("theirs"), entity("free"), "mine")
        will = Will(receivers=receivers, letter=b"will")
        await worker.restate(claimed, will=will, status=Status.COMPLETED)
        assert bodies(await rival.fetch_mail()) == [b"will"]
        work = await worker.fetch()
        assert bodies(work.mail) == [b"will"]
        [woken] = work.claimed
        assert (woken.instance_id, bodies(woken.mail)) == (entity("free"), [b"will"])
        assert [one.execution for one in woken.mail] == [None]

    async def test_it_opens_nobody(self, worker: Driver) -> None:
        """Who is absent or has ended does not hear of it."""
        await worker.restate(await worker.start("ended"), status=Status.COMPLETED)
        claimed = await worker.start("holder")
        will = Will(receivers=(entity("absent"), "ended", "nobody"), letter=b"will")
        await worker.restate(claimed, will=will, status=Status.COMPLETED)
        assert await worker.backend.read_entities([entity("absent")]) == [None]
        counts = await worker.backend.statistics()
        assert (counts.letters, counts.entities) == (0, 0)

    async def test_it_reaches_whom_the_last_turn_opens(self, worker: Driver) -> None:
        """For it follows what that turn sends."""
        claimed = await worker.start("holder")
        will = Will(receivers=(entity("a"),), letter=b"will")
        own = (operation("a", b"own"),)
        await worker.restate(claimed, will=will, outbox=own, status=Status.COMPLETED)
        assert await letters_of(worker.backend, entity("a")) == [b"own", b"will"]

    async def test_no_bound_holds_it_back(self, opened: Opener) -> None:
        """It must not be lost because clients were busy."""
        worker = await Driver.register(await opened(letters_max=1), "w")
        await worker.open("a", b"in the way")
        claimed = await worker.start("holder")
        will = Will(receivers=(entity("a"),), letter=b"will")
        await worker.restate(claimed, will=will, status=Status.COMPLETED)
        assert await letters_of(worker.backend, entity("a")) == [b"in the way", b"will"]

    async def test_many_that_end_at_once_send_theirs(self, worker: Driver) -> None:
        """One letter each, in one batch, to receivers that they share."""
        await testator(worker, will=NO_WILL)
        names = [f"i{number}" for number in range(10)]
        await start(worker.backend, *names)
        claims = await worker.claim()
        await worker.commit(
            *[
                turn(one, will=Will(receivers=WILL.receivers, letter=one.instance_id.encode()))
                for one in claims
            ]
        )
        await worker.commit(*[turn(one, 2, status=Status.COMPLETED) for one in claims[:7]])
        await worker.commit(*[Park(instance_id=one.instance_id, reason="x") for one in claims[7:]])
        assert [sorted(one) for one in await left(worker)] == [[n.encode() for n in names]] * 2
