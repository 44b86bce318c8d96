"""Letters from clients: delivery, order, bounds, repetition."""

from __future__ import annotations

import asyncio

from durable_async.model.records import Abandon, Delivery
from durable_async.model.status import Status

from .base import ConformanceBase, Opener, StoreClock
from .driver import (
    EVERY_BYTE,
    HOSTILE_IDS,
    Driver,
    bodies,
    deliver,
    letter,
    release,
    start,
    turn,
)


class SendConformance(ConformanceBase):
    """Each letter gets its own answer, decided where the receiver stands."""

    async def test_answers_stand_in_the_order_of_the_letters(self, worker: Driver) -> None:
        """Delivered, absent, ended, another execution."""
        await worker.restate(await worker.start("ended"), status=Status.FAILED)
        await worker.start("owned")
        await start(worker.backend, "free")
        letters = [
            letter("absent"),
            letter("free", b"1"),
            letter("ended"),
            letter("owned", b"2"),
            letter("free", execution=2),
            letter("free", b"3", execution=1),
        ]
        assert await worker.backend.send(letters) == [
            Delivery.NOT_FOUND,
            Delivery.DELIVERED,
            Delivery.TERMINAL,
            Delivery.DELIVERED,
            Delivery.NOT_FOUND,
            Delivery.DELIVERED,
        ]
        work = await worker.fetch()
        assert bodies(work.mail) == [b"2"]
        assert [bodies(one.mail) for one in work.claimed] == [[b"1", b"3"]]
        assert await worker.backend.send([]) == []

    async def test_a_letter_comes_back_as_it_was(self, worker: Driver) -> None:
        """Byte for byte, with the execution it is for."""
        claimed = await worker.start("a")
        await deliver(
            worker.backend,
            letter("a", EVERY_BYTE),
            letter("a", b""),
            letter("a", b"x" * 1_000_000, execution=claimed.execution),
        )
        mail = await worker.fetch_mail()
        assert [(one.execution, one.letter) for one in mail] == [
            (None, EVERY_BYTE),
            (None, b""),
            (claimed.execution, b"x" * 1_000_000),
        ]

    async def test_letters_of_one_call_keep_their_order(self, worker: Driver) -> None:
        """For each receiver, also among many."""
        receivers = HOSTILE_IDS[:5]
        await start(worker.backend, *receivers)
        numbers = [b"%03d" % number for number in range(40)]
        await deliver(worker.backend, *[letter(to, n) for n in numbers for to in receivers])
        claimed = await worker.claim()
        assert len(claimed) == len(receivers)
        assert all(bodies(one.mail) == numbers for one in claimed)

    async def test_letters_of_calls_in_sequence_keep_their_order(
        self, worker: Driver, rival: Driver
    ) -> None:
        """What was acknowledged before comes before, whichever process took it."""
        await start(worker.backend, "a")
        for number in range(10):
            sender = (worker, rival)[number % 2]
            await deliver(sender.backend, letter("a", b"%d" % number))
        assert bodies((await worker.claim_one()).mail) == [b"%d" % n for n in range(10)]

    async def test_a_letter_racing_the_end_is_answered_truly(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Delivered before the end or told that it came too late; the mailbox is empty either way."""
        for number in range(10):
            claimed = await worker.start(f"i{number}")
            _, [answer] = await asyncio.gather(
                worker.commit(turn(claimed, status=Status.COMPLETED)),
                rival.backend.send([letter(claimed.instance_id)]),
            )
            assert answer in {Delivery.DELIVERED, Delivery.TERMINAL}
            assert (await worker.backend.statistics()).letters == 0
            assert await worker.claim() == ()


class SendRequestConformance(ConformanceBase):
    """A client repeats a call whose answer it did not get."""

    async def test_a_repeated_letter_is_delivered_once(self, worker: Driver) -> None:
        """The same answer, also after the first copy was consumed."""
        claimed = await worker.start("a")
        event = letter("a", b"event", request_id="r1")
        await deliver(worker.backend, event)
        await deliver(worker.backend, event)
        [mail] = await worker.fetch_mail()
        await worker.restate(claimed, consumed=(mail.id,))
        await deliver(worker.backend, event)
        await worker.commit(release("a"))
        assert await worker.claim() == ()

    async def test_a_repeated_letter_gets_the_same_answer_after_the_end(
        self, worker: Driver
    ) -> None:
        """It was delivered, and stays so; a fresh one is told that it came too late."""
        claimed = await worker.start("a")
        event = letter("a", b"event", request_id="r1")
        await deliver(worker.backend, event)
        await worker.restate(claimed, status=Status.COMPLETED)
        await deliver(worker.backend, event)
        assert await worker.backend.send([letter("a", request_id="r2")]) == [Delivery.TERMINAL]

    async def test_repetition_across_processes(self, worker: Driver, rival: Driver) -> None:
        """At the same time, too."""
        await start(worker.backend, "a")
        event = letter("a", b"event", request_id="r1")
        await asyncio.gather(
            *[deliver(one.backend, event) for one in (worker, rival, worker, rival)]
        )
        assert bodies((await worker.claim_one()).mail) == [b"event"]

    async def test_repetition_within_one_call(self, worker: Driver) -> None:
        """Known, new, and the same twice."""
        await start(worker.backend, "a")
        await deliver(worker.backend, letter("a", b"1", request_id="r1"))
        await deliver(
            worker.backend,
            letter("a", b"1", request_id="r1"),
            letter("a", b"2", request_id="r2"),
            letter("a", b"2", request_id="r2"),
            letter("a", b"3"),
            letter("a", b"3"),
        )
        assert bodies((await worker.claim_one()).mail) == [b"1", b"2", b"3", b"3"]


class MailboxBoundConformance(ConformanceBase):
    """A mailbox has a bound for clients, and none for what the engine must not lose."""

    async def test_a_full_mailbox_refuses(self, opened: Opener) -> None:
        """Letter by letter; others are not affected."""
        backend = await opened(letters_max=3)
        await start(backend, "a", "b")
        answers = await backend.send([*[letter("a")] * 5, letter("b")])
        full, ok = Delivery.FULL, Delivery.DELIVERED
        assert answers == [ok, ok, ok, full, full, ok]

    async def test_a_refused_letter_may_be_repeated(self, opened: Opener) -> None:
        """FULL is not kept: when there is room, the same request gets in, once."""
        worker = await Driver.register(await opened(letters_max=1), "w")
        claimed = await worker.start("a")
        event = letter("a", b"event", request_id="r1")
        await deliver(worker.backend, letter("a", b"in the way"))
        assert await worker.backend.send([event]) == [Delivery.FULL]
        [mail] = await worker.fetch_mail()
        await worker.restate(claimed, consumed=(mail.id,))
        await deliver(worker.backend, event)
        await deliver(worker.backend, event)
        assert bodies(await worker.fetch_mail()) == [b"event"]

    async def test_letters_of_turns_always_arrive(self, opened: Opener) -> None:
        """A result or a child's answer must not be lost because clients were busy."""
        worker = await Driver.register(await opened(letters_max=1), "w")
        sender = await worker.start("sender")
        await worker.start("a")
        await deliver(worker.backend, letter("a", b"1"))
        await worker.restate(sender, outbox=(letter("a", b"2"), letter("a", b"3")))
        assert await worker.backend.send([letter("a", b"4")]) == [Delivery.FULL]
        assert bodies(await worker.fetch_mail()) == [b"1", b"2", b"3"]

    async def test_a_full_mailbox_takes_one_final_letter(
        self, opened: Opener, clock: StoreClock
    ) -> None:
        """What is flooded can still be ended; a second one has nothing to add."""
        worker = await Driver.register(await opened(letters_max=1), "w")
        claimed = await worker.start("a")
        await deliver(worker.backend, letter("a", b"in the way"))
        [mail] = await worker.fetch_mail()
        await worker.commit(Abandon(instance_id="a", retry_at_us=clock.now_us() + 10**12))
        end = letter("a", b"end", urgent=True, final=True)
        answers = await worker.backend.send([letter("a"), end, end, letter("a")])
        full = Delivery.FULL
        assert answers == [full, Delivery.DELIVERED, full, full]
        again = await worker.claim_one()
        assert bodies(again.mail) == [b"in the way", b"end"]
        await worker.restate(claimed, consumed=(again.mail[1].id,))
        assert await worker.backend.send([end, end]) == [Delivery.DELIVERED, full]
        assert mail == again.mail[0]

    async def test_the_bound_is_told(self, opened: Opener) -> None:
        """To whoever has to explain a refusal."""
        assert (await opened(letters_max=3)).letters_max == 3

    async def test_the_bound_is_ten_thousand_unless_told(self, worker: Driver) -> None:
        """Enough for a burst, not for a leak."""
        await start(worker.backend, "a")
        await deliver(worker.backend, *[letter("a", b"x")] * 10_000)
        assert await worker.backend.send([letter("a")]) == [Delivery.FULL]
        assert len((await worker.claim_one()).mail) == 10_000
