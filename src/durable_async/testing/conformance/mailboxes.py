"""Mailboxes: letters are rows until consumed, and no wake-up is ever lost."""

from __future__ import annotations

import asyncio

from durable_async.model.status import Status

from .base import ConformanceBase, StoreClock
from .driver import (
    SECOND_US,
    Driver,
    bodies,
    deliver,
    letter,
    release,
    start,
    turn,
)


class MailboxConformance(ConformanceBase):
    """Exactly what was consumed goes; everything else is reported until it is."""

    async def test_exactly_the_consumed_letters_are_deleted(self, worker: Driver) -> None:
        """Not those before, not those after, not those in between."""
        claimed = await worker.start("a")
        await deliver(worker.backend, *[letter("a", body) for body in (b"1", b"2", b"3", b"4")])
        mail = await worker.fetch_mail()
        assert bodies(mail) == [b"1", b"2", b"3", b"4"]
        await worker.restate(claimed, consumed=(mail[1].id, mail[3].id))
        await worker.commit(release("a"))
        assert bodies((await worker.claim_one()).mail) == [b"1", b"3"]

    async def test_ids_of_letters_grow_in_order_of_arrival(self, worker: Driver) -> None:
        """Across calls and mailboxes; no id is used twice."""
        await start(worker.backend, "a", "b")
        claimed = await worker.claim()
        await deliver(worker.backend, letter("a", b"1"), letter("b", b"2"))
        await deliver(worker.backend, letter("a", b"3"))
        mail = await worker.fetch_mail()
        by_id = sorted(mail, key=lambda one: one.id)
        assert bodies(by_id) == [b"1", b"2", b"3"]
        await worker.commit(*[turn(c, consumed=tuple(m.id for m in mail)) for c in claimed])
        await deliver(worker.backend, letter("a", b"4"))
        [fresh] = await worker.fetch_mail()
        assert fresh.id not in {one.id for one in mail}

    async def test_a_turn_deletes_letters_of_its_own_instance_only(self, worker: Driver) -> None:
        """An id of another mailbox is no business of this turn."""
        await start(worker.backend, "a", "b")
        a, _ = await worker.claim()
        await deliver(worker.backend, letter("b", b"stays"))
        [mail] = await worker.fetch_mail()
        await worker.restate(a, consumed=(mail.id,))
        await worker.commit(release("b"))
        assert bodies((await worker.claim_one()).mail) == [b"stays"]

    async def test_consumed_letters_never_come_again(self, worker: Driver) -> None:
        """What was fed to a turn that is durable is gone for good."""
        claimed = await worker.start("a")
        for number in range(1, 6):
            await deliver(worker.backend, letter("a", b"%d" % number))
            [mail] = await worker.fetch_mail()
            assert mail.letter == b"%d" % number
            await worker.restate(claimed, number=number, consumed=(mail.id,))

    async def test_a_letter_between_fetch_and_commit_survives(self, worker: Driver) -> None:
        """It was not in the turn's hands, so the turn cannot delete it, and it is reported."""
        claimed = await worker.start("a")
        await deliver(worker.backend, letter("a", b"first"))
        [first] = await worker.fetch_mail()
        await deliver(worker.backend, letter("a", b"second"))
        await worker.restate(claimed, consumed=(first.id,))
        assert bodies(await worker.fetch_mail()) == [b"second"]

    async def test_letters_not_consumed_are_there_for_the_next_owner(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Fetched, even seen, is not consumed."""
        await worker.start("a")
        await deliver(worker.backend, letter("a", b"1"), letter("a", b"2"))
        await worker.fetch_mail()
        clock.advance(31)
        await rival.backend.take_over(rival.fence)
        assert bodies((await rival.claim_one()).mail) == [b"1", b"2"]

    async def test_mail_goes_to_the_owner_only(self, worker: Driver, rival: Driver) -> None:
        """Another worker's fetch does not take the mark off."""
        await worker.start("a")
        await deliver(worker.backend, letter("a", b"mine"))
        assert await rival.fetch_mail() == ()
        assert bodies(await worker.fetch_mail()) == [b"mine"]

    async def test_mail_does_not_follow_who_let_go(self, worker: Driver, rival: Driver) -> None:
        """It is the next owner's, whole, and the former one hears nothing of it."""
        await worker.start("a")
        await deliver(worker.backend, letter("a", b"mail"))
        await worker.commit(release("a"))
        assert bodies((await rival.claim_one()).mail) == [b"mail"]
        await deliver(worker.backend, letter("a", b"more"))
        assert await worker.fetch_mail() == ()
        assert bodies(await rival.fetch_mail())[-1:] == [b"more"]

    async def test_many_senders_lose_nothing(self, worker: Driver, rival: Driver) -> None:
        """Letters that arrive while others are being consumed are each fed exactly once."""
        claimed = await worker.start("a")
        sent = [b"%d" % number for number in range(60)]
        taken: list[bytes] = []
        number = 0
        for body in sent:
            _, mail = await asyncio.gather(
                deliver(rival.backend, letter("a", body)), worker.fetch_mail()
            )
            if mail:
                number += 1
                taken += bodies(mail)
                await worker.restate(claimed, number=number, consumed=tuple(one.id for one in mail))
        taken += bodies(await worker.fetch_mail())
        assert taken == sent


class WakeUpConformance(ConformanceBase):
    """An instance that is let go is ready exactly when it has reason to be."""

    async def test_without_letters_it_rests(self, worker: Driver, clock: StoreClock) -> None:
        """No wake time and nothing in the mailbox: it is not claimed, however late."""
        await worker.start("a")
        await worker.commit(release("a"))
        clock.advance(10**6)
        work = await worker.fetch()
        assert (work.claimed, work.next_ready_us) == ((), None)

    async def test_it_wakes_at_its_time(self, worker: Driver, clock: StoreClock) -> None:
        """Not before, and ``next_ready_us`` tells when."""
        await worker.start("a")
        wake_at_us = clock.now_us() + 60 * SECOND_US
        await worker.commit(release("a", wake_at_us=wake_at_us))
        work = await worker.fetch()
        assert (work.claimed, work.next_ready_us) == ((), wake_at_us)
        clock.advance(61)
        assert (await worker.claim_one()).instance_id == "a"

    async def test_a_letter_that_was_not_seen_makes_it_ready_at_once(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """It arrived after the owner's last look."""
        await worker.start("a")
        await deliver(worker.backend, letter("a", b"seen"))
        seen = await worker.fetch_mail()
        await deliver(worker.backend, letter("a", b"unseen"))
        await worker.commit(release("a", seen, wake_at_us=clock.now_us() + 60 * SECOND_US))
        assert bodies((await worker.claim_one()).mail) == [b"seen", b"unseen"]

    async def test_a_letter_that_was_seen_does_not(self, worker: Driver, clock: StoreClock) -> None:
        """An event that nobody waits for yet may lie there for ever."""
        await worker.start("a")
        await deliver(worker.backend, letter("a", b"1"), letter("a", b"2"))
        seen = await worker.fetch_mail()
        await worker.commit(release("a", seen))
        clock.advance(60)
        assert await worker.claim() == ()
        await deliver(worker.backend, letter("a", b"3"))
        assert bodies((await worker.claim_one()).mail) == [b"1", b"2", b"3"]

    async def test_a_letter_that_a_turn_consumed_does_not(self, worker: Driver) -> None:
        """Turn and release may stand in one batch."""
        claimed = await worker.start("a")
        await deliver(worker.backend, letter("a"))
        [mail] = await worker.fetch_mail()
        await worker.commit(turn(claimed, consumed=(mail.id,)), release("a"))
        assert await worker.claim() == ()

    async def test_a_letter_of_the_same_batch_wakes(self, worker: Driver) -> None:
        """Before or after the release of its receiver."""
        await start(worker.backend, "early", "late", "sender")
        claimed = {one.instance_id: one for one in await worker.claim()}
        await worker.commit(
            release("early"),
            turn(claimed["sender"], outbox=(letter("early", b"1"), letter("late", b"2"))),
            release("late"),
        )
        again = await worker.claim()
        assert sorted((one.instance_id, one.mail[0].letter) for one in again) == [
            ("early", b"1"),
            ("late", b"2"),
        ]

    async def test_a_letter_wakes_a_sleeper_early(self, worker: Driver, clock: StoreClock) -> None:
        """Time is not waited for when there is mail."""
        await worker.start("a")
        await worker.commit(release("a", wake_at_us=clock.now_us() + 3600 * SECOND_US))
        await deliver(worker.backend, letter("a", b"now"))
        assert bodies((await worker.claim_one()).mail) == [b"now"]

    async def test_a_release_racing_a_letter_loses_no_wake_up(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Whichever comes first, the letter finds somebody to read it."""
        await worker.start("a")
        for number in range(20):
            body = b"%d" % number
            await asyncio.gather(
                worker.commit(release("a")), deliver(rival.backend, letter("a", body))
            )
            claimed = await worker.claim_one()
            assert bodies(claimed.mail) == [body]
            consumed = tuple(one.id for one in claimed.mail)
            await worker.restate(claimed, number=number + 1, consumed=consumed)

    async def test_the_next_due_is_the_earliest_of_those_nobody_owns(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Whatever its name; those that are ready already or owned do not count."""
        now = clock.now_us()
        await start(worker.backend, "c", start_at_us=now + 30 * SECOND_US, name="unknown")
        await start(worker.backend, "d", start_at_us=now + 40 * SECOND_US)
        await start(worker.backend, "ready", name="unknown")
        await worker.start("owned", start_at_us=now - SECOND_US)
        assert (await rival.fetch()).next_ready_us == now + 30 * SECOND_US
        clock.advance(35)
        assert (await rival.fetch()).next_ready_us == now + 40 * SECOND_US


class DelayedStartConformance(ConformanceBase):
    """An instance may be told to start later."""

    async def test_it_is_not_claimed_before(self, worker: Driver, clock: StoreClock) -> None:
        """And then it is."""
        start_at_us = clock.now_us() + 60 * SECOND_US
        await start(worker.backend, "a", start_at_us=start_at_us)
        work = await worker.fetch()
        assert (work.claimed, work.next_ready_us) == ((), start_at_us)
        clock.advance(61)
        claimed = await worker.claim_one()
        assert (claimed.start_at_us, claimed.status) == (start_at_us, Status.PENDING)

    async def test_plain_letters_wait_with_it(self, worker: Driver, clock: StoreClock) -> None:
        """They lie in the mailbox until it starts."""
        await start(worker.backend, "a", start_at_us=clock.now_us() + 60 * SECOND_US)
        await deliver(worker.backend, letter("a", b"early"))
        assert await worker.claim() == ()
        clock.advance(61)
        assert bodies((await worker.claim_one()).mail) == [b"early"]

    async def test_an_urgent_letter_wakes_it(self, worker: Driver, clock: StoreClock) -> None:
        """To be terminated it need not have started."""
        start_at_us = clock.now_us() + 60 * SECOND_US
        await start(worker.backend, "a", start_at_us=start_at_us)
        await deliver(worker.backend, letter("a", b"plain"), letter("a", b"urgent", urgent=True))
        claimed = await worker.claim_one()
        assert claimed.start_at_us == start_at_us
        assert bodies(claimed.mail) == [b"plain", b"urgent"]
        await worker.commit(release("a", claimed.mail, wake_at_us=start_at_us))
        await deliver(worker.backend, letter("a", b"more"))
        assert await worker.claim() == ()
        clock.advance(61)
        assert len((await worker.claim_one()).mail) == 3

    async def test_a_plain_letter_does_not_undo_an_urgent_one(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """What was woken stays awake until it is claimed."""
        await start(worker.backend, "a", start_at_us=clock.now_us() + 60 * SECOND_US)
        await deliver(worker.backend, letter("a", b"urgent", urgent=True))
        await deliver(worker.backend, letter("a", b"plain"))
        assert bodies((await worker.claim_one()).mail) == [b"urgent", b"plain"]

    async def test_a_start_in_the_past_is_at_once(self, worker: Driver, clock: StoreClock) -> None:
        """Late is not never."""
        await start(worker.backend, "a", start_at_us=clock.now_us() - SECOND_US)
        assert (await worker.claim_one()).instance_id == "a"
