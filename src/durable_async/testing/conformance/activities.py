"""The queue of activities for any worker."""

from __future__ import annotations

import asyncio

from durable_async.model.records import (
    Abandon,
    ActivityResult,
    ClaimedActivity,
    ClaimedInstance,
    NextExecution,
    UnclaimedActivity,
)
from durable_async.model.status import Status

from .base import ConformanceBase, StoreClock
from .driver import (
    EVERY_BYTE,
    Driver,
    bodies,
    letter,
    queued,
    release,
    start,
    turn,
)


def result_of(item: ClaimedActivity, body: bytes = b"result") -> ActivityResult:
    """Describe the end of a claimed activity."""
    activity = item.activity
    return ActivityResult(
        item_id=item.item_id,
        outgoing=letter(activity.instance_id, body, execution=activity.execution),
    )


def unclaimed(of: ClaimedInstance, seq: int) -> UnclaimedActivity:
    """Describe giving up on an activity that nobody claimed."""
    return UnclaimedActivity(
        instance_id=of.instance_id,
        execution=of.execution,
        seq=seq,
        outgoing=letter(of.instance_id, b"nobody", execution=of.execution),
    )


class ActivityQueueConformance(ConformanceBase):
    """Activities are claimed by name, once, and end with a letter."""

    async def test_a_queued_activity_comes_back_as_it_was(self, worker: Driver) -> None:
        """Every field, byte for byte, with the first attempt counted."""
        claimed = await worker.start("a")
        activity = queued(claimed, 7, attempt=3, input=EVERY_BYTE, options=EVERY_BYTE[::-1])
        await worker.restate(claimed, queued=(activity,))
        [item] = (await worker.fetch_activities()).activities
        assert (item.activity, item.attempts) == (activity, 1)

    async def test_clients_see_what_is_queued_and_who_has_it(self, worker: Driver) -> None:
        """One that waits has nobody, one that is claimed has its worker, and what has ended is gone."""
        claimed = await worker.start("a")
        other = await worker.start("b")
        await worker.restate(claimed, queued=(queued(claimed, 1), queued(claimed, 2)))
        await worker.restate(other, queued=(queued(other, 1),))
        [first] = (await worker.fetch_activities(1)).activities
        read = worker.backend.read_queued
        assert await read("a") == {1: worker.fence.worker_id, 2: None}
        assert (await read("b"), await read("absent")) == ({1: None}, {})
        await worker.commit(result_of(first))
        assert await read("a") == {2: None}

    async def test_a_result_takes_the_row_and_reaches_the_instance(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Whoever ran it; a second result for the same row does nothing."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=(queued(claimed),))
        [item] = (await rival.fetch_activities()).activities
        await rival.commit(result_of(item, EVERY_BYTE))
        assert (await worker.backend.statistics()).queued_activities == 0
        await rival.commit(result_of(item, b"twice"))
        assert bodies(await worker.fetch_mail()) == [EVERY_BYTE]

    async def test_a_result_wakes_an_instance_that_was_let_go(self, worker: Driver) -> None:
        """As any letter does."""
        claimed = await worker.start("a")
        await worker.commit(turn(claimed, queued=(queued(claimed),)), release("a"))
        work = await worker.fetch(activities=1)
        assert work.claimed == ()
        await worker.commit(result_of(work.activities[0]))
        assert bodies((await worker.claim_one()).mail) == [b"result"]

    async def test_a_claim_tells_which_activities_are_in_the_queue(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Waiting or running elsewhere: a new owner must not run them as well."""
        claimed = await worker.start("a")
        assert claimed.queued == ()
        await worker.restate(claimed, queued=tuple(queued(claimed, seq) for seq in (3, 5, 8, 9)))
        done, running, *_ = (await rival.fetch_activities(2)).activities
        await rival.commit(result_of(done))
        await worker.restate(claimed, number=2, cancelled=(9,))
        await worker.commit(Abandon(instance_id="a", retry_at_us=clock.now_us()))
        again = await worker.claim_one()
        assert sorted(again.queued) == [5, 8]
        await rival.commit(result_of(running))
        await worker.commit(release("a", wake_at_us=1))
        assert (await worker.claim_one()).queued == (8,)

    async def test_the_oldest_come_first_and_the_quota_bounds(self, worker: Driver) -> None:
        """First in, first out; the rest later; none with a quota of none."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=tuple(queued(claimed, seq) for seq in range(1, 6)))
        assert (await worker.fetch_activities(0)).activities == ()
        order: list[int] = []
        while items := (await worker.fetch_activities(2)).activities:
            assert len(items) <= 2
            order += [item.activity.seq for item in items]
        assert order == [1, 2, 3, 4, 5]

    async def test_the_oldest_come_first_whatever_their_name(self, worker: Driver) -> None:
        """No name is served before another, and those of other workers hide nobody."""
        claimed = await worker.start("a")
        names = ("x", "strange", "y", "x", "z", "strange", "y", "y", "x", "z")
        await worker.restate(
            claimed, queued=tuple(queued(claimed, n, name=name) for n, name in enumerate(names))
        )
        order: list[int] = []
        for wanted in (frozenset("xyz"), frozenset("xyz"), None, None):
            work = await worker.fetch(instances=0, activities=3, activity_names=wanted)
            order += [item.activity.seq for item in work.activities]
        assert order == [0, 2, 3, 4, 6, 7, 1, 5, 8, 9]

    async def test_only_activities_of_registered_names_are_claimed(self, worker: Driver) -> None:
        """An unknown one waits and hides nobody."""
        claimed = await worker.start("a")
        await worker.restate(
            claimed,
            queued=(queued(claimed, 1, name="x"), queued(claimed, 2), queued(claimed, 3, name="y")),
        )
        [mine] = (await worker.fetch_activities()).activities
        assert mine.activity.seq == 2
        work = await worker.fetch(
            instances=0, activities=10, activity_names=frozenset({"y", "x", "z"})
        )
        assert [item.activity.seq for item in work.activities] == [1, 3]

    async def test_without_names_any_activity_is_claimed(self, worker: Driver) -> None:
        """In the order of all."""
        claimed = await worker.start("a")
        names = ("x", "it's", "\N{PARTY POPPER}", "x")
        items = tuple(queued(claimed, seq, name=name) for seq, name in enumerate(names))
        await worker.restate(claimed, queued=items)
        for expected in ([0, 1, 2], [3], []):
            work = await worker.fetch(instances=0, activities=3, activity_names=None)
            assert [item.activity.seq for item in work.activities] == expected

    async def test_each_is_claimed_once(self, worker: Driver, rival: Driver) -> None:
        """Two workers that fetch at the same time share without overlap."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=tuple(queued(claimed, seq) for seq in range(40)))
        seqs: list[int] = []
        for _ in range(5):
            one, two = await asyncio.gather(worker.fetch_activities(5), rival.fetch_activities(5))
            seqs += [item.activity.seq for item in (*one.activities, *two.activities)]
        assert sorted(seqs) == list(range(40))

    async def test_a_result_for_another_workers_claim_does_nothing(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Only who claimed it may end it."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=(queued(claimed),))
        [item] = (await worker.fetch_activities()).activities
        await rival.commit(result_of(item, b"forged"))
        await worker.commit(result_of(item, b"real"))
        assert bodies(await worker.fetch_mail()) == [b"real"]

    async def test_what_a_retired_worker_claimed_is_ended_by_the_next(
        self, worker: Driver, rival: Driver
    ) -> None:
        """The row is another claim now, and its result counts."""
        claimed = await rival.start("a")
        await rival.restate(claimed, queued=(queued(claimed),))
        await worker.fetch_activities()
        await worker.backend.retire_worker(worker.fence)
        [item] = (await rival.fetch_activities()).activities
        await rival.commit(result_of(item, b"right"))
        assert bodies(await rival.fetch_mail()) == [b"right"]


class ActivityCancelConformance(ConformanceBase):
    """Rows of activities go when nobody wants the result any more."""

    async def test_a_cancelled_activity_leaves_the_queue(self, worker: Driver) -> None:
        """Of this instance only: sequence numbers are each instance's own."""
        await start(worker.backend, "a", "b")
        a, b = await worker.claim()
        await worker.commit(
            turn(a, queued=(queued(a, 1), queued(a, 2))), turn(b, queued=(queued(b, 1),))
        )
        await worker.restate(a, number=2, cancelled=(1, 99))
        items = (await worker.fetch_activities()).activities
        assert [(i.activity.instance_id, i.activity.seq) for i in items] == [("a", 2), ("b", 1)]

    async def test_a_running_activity_that_is_cancelled_ends_without_a_letter(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Its row is gone, so its result does nothing."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=(queued(claimed, 1),))
        [item] = (await rival.fetch_activities()).activities
        await worker.restate(claimed, number=2, cancelled=(1,))
        await rival.commit(result_of(item))
        assert await worker.fetch_mail() == ()

    async def test_a_new_attempt_may_replace_the_old_in_one_turn(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Cancelled rows go before new ones come, under the same sequence number."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=(queued(claimed, 1, attempt=1),))
        [stuck] = (await rival.fetch_activities()).activities
        retry = queued(claimed, 1, attempt=2)
        await worker.restate(claimed, number=2, cancelled=(1,), queued=(retry,))
        [item] = (await worker.fetch_activities()).activities
        assert (item.activity, item.attempts) == (retry, 1)
        assert item.item_id != stuck.item_id
        await rival.commit(result_of(stuck, b"stuck"))
        await worker.commit(result_of(item, b"retry"))
        assert bodies(await worker.fetch_mail()) == [b"retry"]

    async def test_the_end_of_an_instance_takes_its_activities(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Waiting ones and running ones."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=(queued(claimed, 1), queued(claimed, 2)))
        await rival.fetch_activities(1)
        await worker.restate(claimed, number=2, status=Status.TERMINATED)
        assert (await rival.fetch_activities()).activities == ()
        assert (await worker.backend.statistics()).queued_activities == 0

    async def test_the_next_execution_has_none_of_the_old_activities(self, worker: Driver) -> None:
        """They belong to the execution that queued them."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=(queued(claimed, 1),))
        await worker.restate(
            claimed, number=2, next_execution=NextExecution(events=b"n", version=None)
        )
        assert (await worker.fetch_activities()).activities == ()
        assert (await worker.backend.statistics()).queued_activities == 0

    # -- what nobody claims

    async def test_one_that_nobody_claimed_can_be_given_up(self, worker: Driver) -> None:
        """Its row goes, and the letter comes; once."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=(queued(claimed, 1), queued(claimed, 2)))
        await worker.commit(unclaimed(claimed, 2), unclaimed(claimed, 2), unclaimed(claimed, 3))
        assert bodies(await worker.fetch_mail()) == [b"nobody"]
        [item] = (await worker.fetch_activities()).activities
        assert item.activity.seq == 1

    async def test_one_that_somebody_claimed_is_not_given_up(
        self, worker: Driver, rival: Driver
    ) -> None:
        """It runs; its result comes as if nothing had been."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=(queued(claimed),))
        [item] = (await rival.fetch_activities()).activities
        await worker.commit(unclaimed(claimed, 1))
        await rival.commit(result_of(item))
        assert bodies(await worker.fetch_mail()) == [b"result"]

    async def test_giving_up_comes_too_late_after_what_went_before_it_in_the_batch(
        self, worker: Driver
    ) -> None:
        """The activity was cancelled, or its execution ended."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=(queued(claimed, 1), queued(claimed, 2)))
        following = NextExecution(events=b"next", version=None)
        await worker.commit(
            turn(claimed, 2, cancelled=(1,)),
            unclaimed(claimed, 1),
            turn(claimed, 3, next_execution=following),
            unclaimed(claimed, 2),
        )
        assert await worker.fetch_mail() == ()
        assert (await worker.backend.statistics()).queued_activities == 0
