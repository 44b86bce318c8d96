"""Queued activities while they run: what they report, whether they are wanted, and how often they were tried."""

from __future__ import annotations

from durable_async.model.records import (
    Abandon,
    ActivityProgress,
    ActivityRecount,
    ActivityResult,
    ClaimedActivity,
    ClaimedInstance,
    NextExecution,
    Recount,
)
from durable_async.model.status import Status

from .base import ConformanceBase, StoreClock
from .driver import EVERY_BYTE, Driver, bodies, letter, queued, release, start, turn


def progress_of(
    item: ClaimedActivity, body: bytes = b"progress", options: bytes = b"new options"
) -> ActivityProgress:
    """Describe what a claimed activity reports."""
    activity = item.activity
    outgoing = letter(activity.instance_id, body, execution=activity.execution)
    return ActivityProgress(item_id=item.item_id, outgoing=outgoing, options=options)


def end_of(item: ClaimedActivity) -> ActivityResult:
    """Describe the end of a claimed activity."""
    activity = item.activity
    outgoing = letter(activity.instance_id, b"end", execution=activity.execution)
    return ActivityResult(item_id=item.item_id, outgoing=outgoing)


def recount(instance_id: str, attempts: int, execution: int | None = None) -> Recount:
    """Describe setting what is counted."""
    return Recount(instance_id=instance_id, attempts=attempts, execution=execution)


def abandon(instance_id: str, retry_at_us: int) -> Abandon:
    """Describe giving back."""
    return Abandon(instance_id=instance_id, retry_at_us=retry_at_us)


async def share(
    owner: Driver, runner: Driver, *seqs: int
) -> tuple[ClaimedInstance, list[ClaimedActivity]]:
    """Let one worker queue activities of a new instance, and the other claim them."""
    claimed = await owner.start("a")
    await owner.restate(claimed, queued=tuple(queued(claimed, seq) for seq in seqs))
    items = (await runner.fetch_activities()).activities
    assert [item.activity.seq for item in items] == list(seqs)
    return claimed, list(items)


class ActivityProgressConformance(ConformanceBase):
    """A claimed activity may report before it ends."""

    async def test_a_report_reaches_the_instance_and_the_activity_stays_claimed(
        self, worker: Driver, rival: Driver
    ) -> None:
        """As often as it likes, and in order; then comes the result."""
        _, [item] = await share(worker, rival, 1)
        await rival.commit(progress_of(item, EVERY_BYTE), progress_of(item, b"2"))
        asked = [item.item_id]
        assert await rival.backend.unwanted_activities("worker-2", asked) == frozenset()
        await rival.commit(progress_of(item, b"3"), end_of(item))
        assert bodies(await worker.fetch_mail()) == [EVERY_BYTE, b"2", b"3", b"end"]

    async def test_a_report_wakes_an_instance_that_was_let_go(
        self, worker: Driver, rival: Driver
    ) -> None:
        """As any letter does."""
        _, [item] = await share(worker, rival, 1)
        await worker.commit(release("a"))
        await rival.commit(progress_of(item))
        again = await worker.claim_one()
        assert (bodies(again.mail), again.queued) == ([b"progress"], (1,))

    async def test_whoever_begins_it_again_gets_the_latest_options(
        self, worker: Driver, rival: Driver
    ) -> None:
        """The rest of it is as it was queued."""
        _, [item] = await share(worker, rival, 1)
        await rival.commit(progress_of(item), progress_of(item, options=EVERY_BYTE))
        await rival.backend.retire_worker(rival.fence)
        [again] = (await worker.fetch_activities()).activities
        assert again.activity.options == EVERY_BYTE
        assert (again.item_id, again.activity.input) == (item.item_id, item.activity.input)

    async def test_no_report_comes_of_what_is_gone_or_not_its_own(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Ended, cancelled, another's, or nobody's."""
        claimed, [ended, cancelled, free] = await share(worker, rival, 1, 2, 3)
        await worker.commit(progress_of(free, b"forged"))
        await rival.commit(end_of(ended), progress_of(ended, b"after the end"))
        assert bodies(await worker.fetch_mail()) == [b"end"]
        await worker.restate(claimed, number=2, cancelled=(2,))
        await rival.commit(progress_of(cancelled))
        await rival.backend.retire_worker(rival.fence)
        await worker.commit(progress_of(free))
        assert await worker.fetch_mail() == ()
        [again] = (await worker.fetch_activities()).activities
        assert again.activity == free.activity

    async def test_a_report_comes_too_late_after_what_went_before_it_in_the_batch(
        self, worker: Driver
    ) -> None:
        """A worker that runs its own instance's activity, and cancels it."""
        claimed, [item] = await share(worker, worker, 1)
        await worker.commit(turn(claimed, 2, cancelled=(1,)), progress_of(item))
        assert await worker.fetch_mail() == ()


class UnwantedActivityConformance(ConformanceBase):
    """A worker can ask which of the activities that it runs nobody waits for any more."""

    async def test_what_it_claimed_is_wanted(self, worker: Driver, rival: Driver) -> None:
        """Until it has ended; another worker has no claim on it, and on what never was."""
        _, items = await share(worker, rival, 1, 2)
        one, two = (item.item_id for item in items)
        ask = worker.backend.unwanted_activities
        assert await ask("worker-2", [one, two]) == frozenset()
        assert await ask("worker-2", []) == frozenset()
        assert await ask("worker-1", [one, two]) == frozenset({one, two})
        assert await ask("worker-2", [two, two + 1000]) == frozenset({two + 1000})
        await rival.commit(end_of(items[0]))
        assert await ask("worker-2", [one, two]) == frozenset({one})

    async def test_what_was_cancelled_or_went_with_its_execution_is_not(
        self, worker: Driver, rival: Driver
    ) -> None:
        """By a turn, by continue-as-new, by the end of the instance."""
        claimed, items = await share(worker, rival, 1, 2)
        asked = [item.item_id for item in items]
        ask = rival.backend.unwanted_activities
        await worker.restate(claimed, number=2, cancelled=(1,))
        assert await ask("worker-2", asked) == frozenset(asked[:1])
        following = NextExecution(events=b"next", version=None)
        await worker.restate(claimed, number=3, next_execution=following)
        assert await ask("worker-2", asked) == frozenset(asked)
        ending = await worker.start("b")
        await worker.restate(ending, queued=(queued(ending),))
        [item] = (await rival.fetch_activities()).activities
        assert await ask("worker-2", [item.item_id]) == frozenset()
        await worker.restate(ending, number=2, status=Status.TERMINATED)
        assert await ask("worker-2", [item.item_id]) == frozenset({item.item_id})

    async def test_a_worker_that_was_taken_over_has_no_claims(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Neither before nor after others claim them; nor has one that never was."""
        _, [item] = await share(rival, worker, 1)
        ask = worker.backend.unwanted_activities
        clock.advance(31)
        await rival.backend.take_over(rival.fence)
        assert await ask("worker-1", [item.item_id]) == frozenset({item.item_id})
        await rival.fetch_activities()
        assert await ask("worker-1", [item.item_id]) == frozenset({item.item_id})
        assert await ask("nobody", [item.item_id]) == frozenset({item.item_id})
        assert await ask("worker-2", [item.item_id]) == frozenset()


class ActivityRecountConformance(ConformanceBase):
    """A worker may take attempts off an activity's account, and give it back."""

    async def test_the_next_claim_counts_from_there(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """A death counts on, from what was set, up to the third claim; further ones count when they are tried."""
        _, [item] = await share(rival, worker, 1)
        await worker.commit(ActivityRecount(item_id=item.item_id, attempts=2))
        assert (await rival.fetch_activities()).activities == ()
        clock.advance(31)
        await rival.backend.take_over(rival.fence)
        [again] = (await rival.fetch_activities()).activities
        assert (again.item_id, again.attempts) == (item.item_id, 3)
        for count, told in ((3, 3), (4, 4)):
            given = ActivityRecount(item_id=item.item_id, attempts=count, is_returned=True)
            await rival.commit(given)
            [again] = (await rival.fetch_activities()).activities
            assert again.attempts == told
        await rival.commit(end_of(again))
        assert bodies(await rival.fetch_mail()) == [b"end"]

    async def test_one_that_is_returned_can_be_claimed_at_once_in_its_old_place(
        self, worker: Driver, rival: Driver
    ) -> None:
        """It is its claimer's no more."""
        await share(worker, worker, 1)
        claimed = await worker.start("b")
        await worker.restate(claimed, queued=(queued(claimed, 8), queued(claimed, 9)))
        first, last = (await worker.fetch_activities()).activities
        await worker.commit(
            ActivityRecount(item_id=last.item_id, attempts=0, is_returned=True),
            ActivityRecount(item_id=first.item_id, attempts=2, is_returned=True),
            end_of(first),
            progress_of(last),
        )
        assert await worker.fetch_mail() == ()
        unwanted = await worker.backend.unwanted_activities("worker-1", [first.item_id])
        assert unwanted == frozenset({first.item_id})
        again = (await rival.fetch_activities()).activities
        assert [(item.activity.seq, item.attempts) for item in again] == [(8, 3), (9, 1)]

    async def test_no_count_is_set_of_what_is_gone_or_not_its_own(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Ended, or another's."""
        _, [ended, theirs] = await share(worker, rival, 1, 2)
        await rival.commit(
            end_of(ended), ActivityRecount(item_id=ended.item_id, attempts=9, is_returned=True)
        )
        await worker.commit(ActivityRecount(item_id=theirs.item_id, attempts=9, is_returned=True))
        assert (await worker.fetch_activities()).activities == ()
        await rival.backend.retire_worker(rival.fence)
        [again] = (await worker.fetch_activities()).activities
        assert (again.item_id, again.attempts) == (theirs.item_id, 1)


class RecountConformance(ConformanceBase):
    """A worker may set what is counted of an instance that it owns."""

    async def test_a_death_counts_on_from_what_was_set(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """It stays owned meanwhile, and its mail comes."""
        await start(worker.backend, "a", "b")
        await worker.claim()
        await worker.commit(*(recount(one, count) for one, count in (("a", 0), ("b", 4))))
        assert await rival.claim() == ()
        await worker.backend.send([letter("a")])
        assert len(await worker.fetch_mail()) == 1
        clock.advance(31)
        await rival.backend.take_over(rival.fence)
        assert [one.attempts for one in await rival.claim()] == [1, 4]

    async def test_it_stands_when_it_is_abandoned_and_a_turn_forgets_it(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """In the order of the batch."""
        claimed = await worker.start("a")
        now_us = clock.now_us()
        await worker.commit(recount("a", 3), abandon("a", now_us))
        assert (await worker.claim_one()).attempts == 3
        await worker.commit(turn(claimed), recount("a", 2), abandon("a", now_us))
        assert (await worker.claim_one()).attempts == 3
        await worker.commit(recount("a", 7), turn(claimed, 2), abandon("a", now_us))
        assert (await worker.claim_one()).attempts == 1

    async def test_nothing_happens_to_what_is_not_its_own(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Another's, at another execution, let go, or absent."""
        await rival.start("theirs")
        await worker.start("mine")
        await worker.commit(
            recount("theirs", 9),
            recount("absent", 9),
            recount("mine", 9, execution=2),
            recount("mine", 5, execution=1),
        )
        await worker.commit(abandon("mine", clock.now_us()), recount("mine", 9))
        await rival.commit(abandon("theirs", clock.now_us()))
        assert [one.attempts for one in await worker.claim()] == [5, 2]
