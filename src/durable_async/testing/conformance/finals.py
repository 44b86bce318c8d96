"""Final letters: they end their receiver, so that any worker may claim it for them."""

from __future__ import annotations

from typing import Any

from durable_async.model.policy import ReusePolicy
from durable_async.model.records import (
    Abandon,
    ClaimedInstance,
    Delivery,
    NextExecution,
    Outgoing,
    Park,
    Rewrite,
)
from durable_async.model.status import Status

from .base import ConformanceBase, StoreClock
from .driver import (
    SECOND_US,
    Driver,
    bodies,
    deliver,
    ids,
    letter,
    read_one,
    release,
    restart,
    start,
    turn,
)

UNREGISTERED = "known to nobody"


def final(instance_id: str, body: bytes = b"end", **fields: Any) -> Outgoing:
    """Describe a letter that ends its receiver."""
    return letter(instance_id, body, final=True, **fields)


async def claim_any(worker: Driver) -> tuple[ClaimedInstance, ...]:
    """Claim what a worker may claim that registers no orchestrator at all."""
    return (await worker.fetch(names=frozenset())).claimed


async def park(worker: Driver, instance_id: str) -> ClaimedInstance:
    """Create an instance and park it."""
    claimed = await worker.start(instance_id)
    await worker.commit(Park(instance_id=instance_id, reason="poison"))
    return claimed


class FinalLetterConformance(ConformanceBase):
    """Whoever is free and holds a final letter is claimed for it, whatever stands in the way."""

    async def test_a_parked_instance_is_claimed_for_it(self, worker: Driver, rival: Driver) -> None:
        """With all its mail; the claim counts as an attempt, and takes the park off."""
        await park(worker, "a")
        await deliver(worker.backend, letter("a", b"plain"), letter("a", b"soon", urgent=True))
        assert await worker.claim() == ()
        await deliver(worker.backend, final("a"))
        assert (await read_one(worker.backend, "a")).parked == "poison"
        [claimed] = await claim_any(rival)
        assert bodies(claimed.mail) == [b"plain", b"soon", b"end"]
        assert claimed.attempts == 2
        record = await read_one(worker.backend, "a")
        assert (record.parked, record.owner) == (None, "worker-2")
        assert await worker.backend.unpark(["a"]) == []
        await rival.restate(claimed, status=Status.TERMINATED)
        assert (await worker.backend.statistics()).parked == 0

    async def test_a_name_that_nobody_registers_is_no_hindrance(self, worker: Driver) -> None:
        """Other letters wait for a worker that registers it."""
        await start(worker.backend, "a", "b", name=UNREGISTERED)
        await deliver(worker.backend, letter("a", urgent=True), letter("b"))
        assert await worker.claim() == ()
        await deliver(worker.backend, final("a"))
        [claimed] = await worker.claim()
        assert (claimed.instance_id, claimed.name) == ("a", UNREGISTERED)
        assert await claim_any(worker) == ()

    async def test_they_are_claimed_with_the_others_in_order(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Oldest first, up to the quota."""
        for instance_id, name in (("c", UNREGISTERED), ("a", "checkout"), ("b", UNREGISTERED)):
            await start(worker.backend, instance_id, name=name)
            clock.advance(1)
        await deliver(worker.backend, final("b"), final("c"))
        assert await worker.claim(instances=0) == ()
        assert ids(await worker.claim(instances=2)) == ["c", "a"]
        assert ids(await worker.claim()) == ["b"]

    async def test_it_does_not_wait_for_a_back_off(self, worker: Driver, clock: StoreClock) -> None:
        """And the back-off is over with the claim."""
        claimed = await worker.start("a")
        await worker.commit(Abandon(instance_id="a", retry_at_us=clock.now_us() + 60 * SECOND_US))
        await deliver(worker.backend, letter("a", b"plain", urgent=True))
        assert await worker.claim() == ()
        await deliver(worker.backend, final("a"))
        claimed = await worker.claim_one()
        assert bodies(claimed.mail) == [b"plain", b"end"]
        await worker.restate(claimed, consumed=tuple(mail.id for mail in claimed.mail))
        await worker.commit(release("a"))
        await deliver(worker.backend, letter("a", b"afterwards"))
        assert bodies((await worker.claim_one()).mail) == [b"afterwards"]

    async def test_it_does_not_wait_for_the_start(self, worker: Driver, clock: StoreClock) -> None:
        """As urgent ones; those that come after it change nothing."""
        start_at_us = clock.now_us() + 60 * SECOND_US
        await start(worker.backend, "a", start_at_us=start_at_us, name=UNREGISTERED)
        await deliver(worker.backend, final("a"), letter("a", b"plain"))
        work = await worker.fetch()
        assert [bodies(one.mail) for one in work.claimed] == [[b"end", b"plain"]]
        assert work.next_ready_us is None

    async def test_a_released_instance_wakes(self, worker: Driver, rival: Driver) -> None:
        """It was at rest, and its workers may be gone by now."""
        claimed = await worker.start("a", name="checkout")
        await worker.restate(claimed)
        await worker.commit(release("a"))
        await deliver(worker.backend, final("a"))
        [again] = await claim_any(rival)
        assert [row.turn for row in again.history] == [0, 1]

    async def test_it_reaches_an_owner_as_any_letter(self, worker: Driver, rival: Driver) -> None:
        """Nobody else gets the instance."""
        claimed = await worker.start("a")
        await deliver(worker.backend, final("a"))
        assert await claim_any(rival) == ()
        mail = await worker.fetch_mail()
        assert bodies(mail) == [b"end"]
        await worker.restate(claimed, consumed=(mail[0].id,), status=Status.TERMINATED)
        assert await claim_any(rival) == ()

    async def test_from_a_turns_outbox_it_is_the_same(self, worker: Driver, rival: Driver) -> None:
        """As parents end their children."""
        await park(worker, "parked")
        await start(worker.backend, "unknown", name=UNREGISTERED)
        parent = await worker.start("parent")
        await worker.restate(parent, outbox=(final("parked"), final("unknown"), final("absent")))
        assert sorted(ids(await claim_any(rival))) == ["parked", "unknown"]

    async def test_a_repeated_request_ends_once(self, worker: Driver) -> None:
        """What was delivered, claimed and consumed is over."""
        await park(worker, "a")
        again = final("a", request_id="r")
        await deliver(worker.backend, again)
        claimed = await worker.claim_one()
        await worker.restate(claimed, consumed=(claimed.mail[0].id,))
        await worker.commit(Park(instance_id="a", reason="again"))
        await deliver(worker.backend, again)
        assert await worker.claim() == ()


class HeldFinalLetterConformance(ConformanceBase):
    """The effect lasts as long as the letter is held, through every way of losing its owner."""

    async def test_until_it_is_consumed(self, worker: Driver, rival: Driver) -> None:
        """Then the instance is like any other: for those that register it, and parked for good."""
        await park(worker, "a")
        await deliver(worker.backend, final("a"), letter("a", b"plain"))
        claimed = await worker.claim_one()
        await worker.restate(claimed, consumed=(claimed.mail[0].id,))
        await worker.commit(release("a"))
        assert await claim_any(rival) == ()
        again = await worker.claim_one()
        assert bodies(again.mail) == [b"plain"]
        await worker.commit(Park(instance_id="a", reason="again"))
        await deliver(worker.backend, letter("a", urgent=True))
        assert await worker.claim() == ()

    async def test_until_the_last_one_is_consumed(self, worker: Driver, rival: Driver) -> None:
        """Somebody may order the end twice."""
        claimed = await worker.start("a")
        await deliver(worker.backend, final("a", b"1"), final("a", b"2"), letter("a", b"3"))
        first, second, _ = await worker.fetch_mail()
        await worker.restate(claimed, consumed=(first.id,))
        await worker.commit(release("a"))
        [claimed] = await claim_any(rival)
        assert bodies(claimed.mail) == [b"2", b"3"]
        await rival.restate(claimed, number=2, consumed=(second.id,))
        await rival.commit(release("a"))
        assert await claim_any(rival) == ()

    async def test_consumed_and_let_go_in_one_commit(self, worker: Driver, rival: Driver) -> None:
        """The items of a batch see what those before them did."""
        claimed = await worker.start("a")
        await deliver(worker.backend, final("a"))
        [mail] = await worker.fetch_mail()
        await worker.commit(
            turn(claimed, consumed=(mail.id,)), Park(instance_id="a", reason="poison")
        )
        assert await claim_any(rival) == ()
        assert (await read_one(worker.backend, "a")).parked == "poison"

    async def test_sent_and_let_go_in_one_commit(self, worker: Driver, rival: Driver) -> None:
        """Also a letter of the same batch counts."""
        claimed = await worker.start("a")
        await worker.commit(
            turn(claimed, outbox=(final("a"),)), Park(instance_id="a", reason="poison")
        )
        assert ids(await claim_any(rival)) == ["a"]

    async def test_a_takeover_keeps_it(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Whether the dead owner had heard of it or not."""
        await start(worker.backend, "told", "untold")
        await worker.claim()
        await deliver(worker.backend, final("told"))
        await worker.fetch_mail()
        await deliver(worker.backend, final("untold"))
        clock.advance(31)
        assert await rival.backend.take_over(rival.fence) == 2
        assert ids(await claim_any(rival)) == ["told", "untold"]

    async def test_a_retirement_keeps_it(self, worker: Driver, rival: Driver) -> None:
        """What is handed back is claimed for it by whoever is there."""
        await park(worker, "a")
        await deliver(worker.backend, final("a"))
        await worker.claim_one()
        await worker.backend.retire_worker(worker.fence)
        [claimed] = await claim_any(rival)
        assert (bodies(claimed.mail), claimed.attempts) == ([b"end"], 2)

    async def test_a_release_keeps_it(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Ready when the release says so, and then for anybody."""
        await worker.start("a")
        await deliver(worker.backend, final("a"))
        mail = await worker.fetch_mail()
        await worker.commit(release("a", mail, wake_at_us=clock.now_us() + SECOND_US))
        assert await claim_any(rival) == ()
        clock.advance(2)
        assert ids(await claim_any(rival)) == ["a"]

    async def test_parking_in_vain(self, worker: Driver, rival: Driver) -> None:
        """An owner that cannot go on need not have understood the letter, or seen it."""
        await start(worker.backend, "told", "untold")
        await worker.claim()
        await deliver(worker.backend, final("told"))
        await worker.fetch_mail()
        await deliver(worker.backend, final("untold"))
        await worker.commit(
            Park(instance_id="told", reason="poison"), Park(instance_id="untold", reason="poison")
        )
        assert (await read_one(worker.backend, "told")).parked == "poison"
        assert ids(await claim_any(rival)) == ["told", "untold"]

    async def test_abandoned_by_who_was_not_told(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """As if it had arrived a moment later."""
        await worker.start("a")
        await deliver(worker.backend, final("a"))
        await worker.commit(Abandon(instance_id="a", retry_at_us=clock.now_us() + 60 * SECOND_US))
        assert ids(await claim_any(rival)) == ["a"]

    async def test_abandoned_by_who_was_told(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Who has tried and failed to end it is to be believed about when to try again."""
        await park(worker, "a")
        await deliver(worker.backend, final("a"))
        await worker.claim_one()
        retry_at_us = clock.now_us() + 60 * SECOND_US
        await worker.commit(Abandon(instance_id="a", retry_at_us=retry_at_us))
        work = await rival.fetch()
        assert (work.claimed, work.next_ready_us) == ((), retry_at_us)
        clock.advance(61)
        assert ids(await claim_any(rival)) == ["a"]


class FinalLetterInVainConformance(ConformanceBase):
    """Nothing is claimed for a letter whose receiver has ended, or is another by now."""

    async def test_nothing_is_claimed_that_has_ended(self, worker: Driver, rival: Driver) -> None:
        """Neither for a letter that came too late, nor for one that was not consumed."""
        claimed = await worker.start("a")
        await deliver(worker.backend, final("a"))
        await worker.restate(claimed, status=Status.COMPLETED, outbox=(final("a"),))
        assert await worker.backend.send([final("a")]) == [Delivery.TERMINAL]
        work = await rival.fetch()
        assert (work.claimed, work.mail, work.next_ready_us) == ((), (), None)

    async def test_not_for_another_execution(self, worker: Driver) -> None:
        """The letter vanishes, the park stays."""
        await park(worker, "a")
        assert await worker.backend.send([final("a", execution=2)]) == [Delivery.NOT_FOUND]
        assert await worker.claim() == ()

    async def test_continue_as_new_lets_go_of_it(self, worker: Driver, rival: Driver) -> None:
        """If it was for the execution that is over; one for whichever is current goes on."""
        await start(worker.backend, "over", "current")
        claims = {one.instance_id: one for one in await worker.claim()}
        await deliver(worker.backend, final("over", execution=1), final("current"))
        following = NextExecution(events=b"next", version=None)
        await worker.commit(
            turn(claims["over"], next_execution=following),
            turn(claims["current"], next_execution=following),
            Park(instance_id="over", reason="poison"),
            Park(instance_id="current", reason="poison"),
        )
        assert ids(await claim_any(rival)) == ["current"]

    async def test_a_later_life_is_spared(self, worker: Driver, rival: Driver) -> None:
        """A replaced instance takes the letter along."""
        await park(worker, "a")
        await deliver(worker.backend, final("a"))
        await restart(worker.backend, "a", ReusePolicy.REPLACE)
        assert await claim_any(rival) == ()
        assert (await worker.claim_one()).mail == ()

    async def test_a_rewritten_instance_is_spared(self, worker: Driver, rival: Driver) -> None:
        """It had failed, with the letter in its mailbox."""
        claimed = await worker.start("a")
        await deliver(worker.backend, final("a"))
        await worker.restate(claimed, status=Status.FAILED)
        rewrite = Rewrite(instance_id="a", execution=1, events=b"again", parent=None)
        assert await worker.backend.rewrite([rewrite])
        assert await claim_any(rival) == ()
        assert (await worker.claim_one()).mail == ()

    async def test_an_unparked_instance_is_still_to_end(
        self, worker: Driver, rival: Driver
    ) -> None:
        """To unpark it does not call the letter back."""
        await park(worker, "a")
        await deliver(worker.backend, final("a"))
        assert await worker.backend.unpark(["a"]) == ["a"]
        [claimed] = await claim_any(rival)
        assert (bodies(claimed.mail), claimed.attempts) == ([b"end"], 1)
