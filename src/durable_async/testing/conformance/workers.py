"""Workers: registration, leases, the fence, takeover, retirement."""

from __future__ import annotations

import asyncio

import pytest

from durable_async.backend import Backend
from durable_async.errors import BackendError, FencedError
from durable_async.model.records import (
    Abandon,
    ActivityRecount,
    Census,
    Errands,
    Fence,
    Recount,
    TurnCommit,
    Work,
)
from durable_async.model.upkeep import WorkerRecord

from .base import ConformanceBase, Opener, StoreClock
from .driver import (
    SECOND_US,
    Driver,
    bodies,
    deliver,
    history_of,
    ids,
    letter,
    queued,
    release,
    start,
    turn,
)


class FenceConformance(ConformanceBase):
    """An outdated fence writes nothing; a landed commit is never applied again."""

    async def test_registration_gives_a_fence_that_can_be_read_back(self, worker: Driver) -> None:
        """``register_worker`` and ``read_fence`` tell the same."""
        assert worker.fence.worker_id == "worker-1"
        assert await worker.backend.read_fence("worker-1") == worker.fence

    async def test_each_commit_moves_seq_by_one(self, worker: Driver) -> None:
        """The fence returned is the one to be used next, also after an empty batch."""
        before = worker.fence
        await worker.commit()
        assert worker.fence == Fence(worker_id="worker-1", epoch=before.epoch, seq=before.seq + 1)
        await worker.commit()
        assert worker.fence.seq == before.seq + 2
        assert await worker.backend.read_fence("worker-1") == worker.fence

    async def test_fetching_and_renewing_leave_the_fence_alone(self, worker: Driver) -> None:
        """Only commits move seq, so the others may run beside one."""
        await start(worker.backend, "a")
        await worker.claim_one()
        await worker.renew()
        assert await worker.backend.read_fence("worker-1") == worker.fence

    async def test_a_repeated_commit_is_refused_and_applied_once(self, worker: Driver) -> None:
        """After a lost answer, the same batch again writes nothing; ``read_fence`` tells that it landed."""
        await start(worker.backend, "receiver")
        receiver = await worker.claim_one()
        sender = await worker.start("sender")
        before = worker.fence
        batch = [turn(sender, outbox=(letter("receiver", b"once"),))]
        landed = await worker.backend.commit(before, batch)
        with pytest.raises(FencedError):
            await worker.backend.commit(before, batch)
        assert await worker.backend.read_fence("worker-1") == landed.fence
        assert await history_of(worker.backend, "sender") == [
            (0, b"started sender"),
            (1, b"turn 1"),
        ]
        worker.fence = landed.fence
        await worker.commit(release(receiver.instance_id))
        assert bodies((await worker.claim_one()).mail) == [b"once"]

    async def test_a_commit_from_the_future_is_refused(self, worker: Driver) -> None:
        """Seq must match exactly; the right fence still works afterwards."""
        claimed = await worker.start("a")
        ahead = Fence(worker_id="worker-1", epoch=worker.fence.epoch, seq=worker.fence.seq + 1)
        with pytest.raises(FencedError):
            await worker.backend.commit(ahead, [turn(claimed)])
        assert await history_of(worker.backend, "a") == [(0, b"started a")]
        await worker.restate(claimed)

    async def test_another_epoch_is_refused_by_every_verb(self, worker: Driver) -> None:
        """Epoch is compared everywhere."""
        claimed = await worker.start("a")
        right = worker.fence
        worker.fence = Fence(worker_id="worker-1", epoch=right.epoch + 1, seq=right.seq)
        await expect_fenced(worker, turn(claimed))
        worker.fence = right
        await worker.restate(claimed)

    async def test_a_worker_that_was_never_registered_is_refused(self, backend: Backend) -> None:
        """No row, no rights."""
        stranger = Driver(backend, Fence(worker_id="nobody", epoch=1, seq=0))
        await expect_fenced(stranger, turn_of_nobody())
        with pytest.raises(FencedError):
            await backend.read_fence("nobody")

    async def test_the_error_names_the_worker(self, backend: Backend) -> None:
        """``FencedError`` carries the worker's id."""
        with pytest.raises(FencedError) as caught:
            await backend.read_fence("nobody")
        assert caught.value.worker_id == "nobody"
        assert isinstance(caught.value, BackendError)
        assert not caught.value.retryable


class TakeoverConformance(ConformanceBase):
    """What a dead worker owned goes on elsewhere, and the dead worker cannot speak any more."""

    async def test_a_living_worker_is_left_alone(self, worker: Driver, rival: Driver) -> None:
        """Before the lease runs out nothing is freed."""
        claimed = await worker.start("a")
        assert await rival.backend.take_over(rival.fence) == 0
        assert await rival.claim() == ()
        await worker.restate(claimed)

    async def test_a_renewed_lease_counts_from_the_renewal(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Renewal in time keeps a worker alive."""
        claimed = await worker.start("a")
        clock.advance(20)
        await worker.renew(30)
        clock.advance(20)
        assert await rival.backend.take_over(rival.fence) == 0
        await worker.renew(30)
        await worker.restate(claimed)

    async def test_a_lease_that_ran_out_cannot_be_renewed(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Somebody may take over at any moment: the worker must stop, not hope."""
        clock.advance(31)
        with pytest.raises(FencedError):
            await worker.renew()

    async def test_instances_of_a_dead_worker_are_ready_at_once(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """They are claimed again with history, mail and a counted attempt."""
        await start(worker.backend, "a", "b")
        one, two = await worker.claim()
        await worker.commit(turn(one), turn(two))
        await worker.backend.send([letter("a", b"mail")])
        clock.advance(31)
        assert await rival.backend.take_over(rival.fence) == 2
        a, b = await rival.claim()
        assert ids([a, b]) == ["a", "b"]
        assert [row.events for row in a.history] == [b"started a", b"turn 1"]
        assert bodies(a.mail) == [b"mail"]
        await rival.commit(turn(a, 2), turn(b, 2))

    async def test_takeover_is_done_once(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """A second sweep finds nothing left."""
        await worker.start("a")
        clock.advance(31)
        assert await rival.backend.take_over(rival.fence) == 1
        assert await rival.backend.take_over(rival.fence) == 0

    async def test_a_worker_never_takes_over_itself(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Its own lease may have run out, its sweep still leaves its own instances."""
        await worker.start("a")
        clock.advance(31)
        assert await worker.backend.take_over(worker.fence) == 0

    async def test_a_dead_worker_is_refused_by_every_verb(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Nothing that the zombie says takes effect."""
        claimed = await worker.start("a")
        clock.advance(31)
        await rival.backend.take_over(rival.fence)
        await expect_fenced(worker, turn(claimed, outbox=(letter("a"),)))
        with pytest.raises(FencedError):
            await worker.backend.read_fence("worker-1")
        assert await history_of(rival.backend, "a") == [(0, b"started a")]
        assert (await rival.claim_one()).mail == ()

    async def test_activities_of_a_dead_worker_are_claimed_again(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """They return to the queue; the attempt counts."""
        claimed = await worker.start("a")
        await worker.commit(turn(claimed, queued=(queued(claimed),)))
        [lost] = (await worker.fetch_activities()).activities
        clock.advance(31)
        await rival.backend.take_over(rival.fence)
        [again] = (await rival.fetch_activities()).activities
        assert again.activity == lost.activity
        assert (lost.attempts, again.attempts) == (1, 2)

    async def test_a_zombie_commit_racing_a_takeover_is_seen_or_refused(
        self, backend: Backend, rival: Driver, clock: StoreClock
    ) -> None:
        """Either the new owner reads the turn, or the turn is not there."""
        for round_number in range(10):
            instance_id = f"i{round_number}"
            zombie = await Driver.register(backend, f"zombie-{round_number}", 10.0)
            claimed = await zombie.start(instance_id)
            clock.advance(11)
            landed, freed = await asyncio.gather(
                commit_lands(zombie, turn(claimed)), rival.backend.take_over(rival.fence)
            )
            assert freed == 1
            new_owner = await rival.claim_one()
            assert [row.turn for row in new_owner.history] == ([0, 1] if landed else [0])
            await rival.commit(release(instance_id))

    async def test_the_end_of_a_process_is_noticed_before_the_lease_runs_out(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """A process that is gone is taken over: at once where its sign of life is withdrawn, else when the lease ran out."""
        await worker.start("a")
        await worker.backend.close()
        if not self.life_ends_with_close:
            clock.advance(31)
        assert await rival.backend.take_over(rival.fence) == 1
        assert (await rival.claim_one()).instance_id == "a"


class ErrandConformance(ConformanceBase):
    """A fetch extends the lease and looks around along the way, whether there is work or not."""

    async def test_a_fetch_extends_the_lease(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """As a renewal does, with work or without."""
        renewal = Errands(lease_seconds=30)
        await start(worker.backend, "a")
        for found in (["a"], [], []):
            clock.advance(20)
            assert ids((await worker.fetch(errands=renewal)).claimed) == found
        clock.advance(20)
        assert await rival.backend.take_over(rival.fence) == 0
        clock.advance(11)
        assert await rival.backend.take_over(rival.fence) == 1

    async def test_without_being_asked_it_leaves_the_lease_alone(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Fetches alone keep nobody alive: whose lease is not extended may have a loop that hangs."""
        await worker.start("a")
        clock.advance(20)
        await worker.fetch(errands=Errands(looks_around=True))
        clock.advance(11)
        assert await rival.backend.take_over(rival.fence) == 1

    async def test_a_lease_that_ran_out_is_not_extended_and_nothing_is_claimed(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Somebody may take over at any moment."""
        await start(worker.backend, "a")
        clock.advance(31)
        with pytest.raises(FencedError):
            await worker.fetch(errands=Errands(lease_seconds=30))
        assert (await rival.claim_one()).attempts == 1

    async def test_a_look_around_counts_the_workers(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """How many there are, how many of them are dead, and what all have committed; no more than was asked for."""
        looking = Errands(looks_around=True)
        assert (await rival.fetch()).census is None
        census = (await rival.fetch(errands=looking)).census
        assert census == Census(workers=2, dead=0, commits=0)
        await rival.commit()
        await worker.commit()
        await worker.commit()
        clock.advance(31)
        census = (await rival.fetch(errands=looking)).census
        assert census == Census(workers=2, dead=1, commits=3)
        assert await rival.backend.take_over(rival.fence) == 0
        census = (await rival.fetch(errands=looking)).census
        assert census == Census(workers=1, dead=0, commits=1)


class WorkerListConformance(ConformanceBase):
    """Anybody may see who works on a hub."""

    async def test_each_worker_tells_who_it_is(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """In order of their ids, with host and process, since when, and until when, by the store's clock."""
        one, two = await rival.backend.read_workers()
        assert (one.worker_id, two.worker_id) == ("worker-1", "worker-2")
        assert one.host
        assert one.pid > 0
        assert abs(one.registered_at_us - clock.now_us()) < 60 * SECOND_US
        assert abs(one.lease_until_us - one.registered_at_us - 30 * SECOND_US) < SECOND_US
        assert one.epoch == worker.fence.epoch
        assert (one.is_alive, two.is_alive) == (True, True)

    async def test_what_it_owns_and_has_committed_is_counted(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Instances, of both kinds, and queued activities that it has claimed."""
        claimed = await worker.start("a")
        await worker.open("e")
        await worker.commit(turn(claimed, queued=(queued(claimed, 1), queued(claimed, 2))))
        await rival.fetch_activities(1)
        one, two = await worker.backend.read_workers()
        assert (one.instances, one.activities, one.commits) == (2, 0, 1)
        assert (two.instances, two.activities, two.commits) == (0, 1, 0)

    async def test_a_dead_one_is_told_of_until_it_is_taken_over(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Reading frees nothing."""
        await worker.start("a")
        clock.advance(31)
        one, two = await rival.backend.read_workers()
        assert (one.is_alive, one.instances, two.is_alive) == (False, 1, True)
        assert await rival.backend.take_over(rival.fence) == 1
        assert ids_of(await rival.backend.read_workers()) == ["worker-2"]

    async def test_a_renewal_moves_its_lease(self, worker: Driver, clock: StoreClock) -> None:
        """And keeps it alive."""
        [before] = await worker.backend.read_workers()
        clock.advance(20)
        await worker.renew(30)
        clock.advance(20)
        [after] = await worker.backend.read_workers()
        assert after.is_alive
        assert abs(after.lease_until_us - before.lease_until_us - 20 * SECOND_US) < SECOND_US

    async def test_one_that_retired_is_gone(self, worker: Driver) -> None:
        """An empty hub has none."""
        await worker.backend.retire_worker(worker.fence)
        assert await worker.backend.read_workers() == []

    async def test_the_end_of_a_process_shows_at_once(self, worker: Driver, rival: Driver) -> None:
        """Where there are signs of life."""
        await worker.backend.close()
        one, _ = await rival.backend.read_workers()
        assert one.is_alive is not self.life_ends_with_close


class WithdrawalConformance(ConformanceBase):
    """A worker that gave up does not keep others waiting for its lease."""

    async def test_it_is_taken_over_at_once(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Where there are signs of life; the attempt stands, as after a death. May be repeated."""
        await worker.start("a")
        for _ in range(2):
            await worker.backend.withdraw("worker-1")
        if not self.life_ends_with_close:
            clock.advance(31)
        assert await rival.backend.take_over(rival.fence) == 1
        assert (await rival.claim_one()).attempts == 2
        await worker.backend.withdraw("worker-1")

    async def test_nobody_withdraws_another_process_s(self, worker: Driver, rival: Driver) -> None:
        """Nor what never was."""
        await worker.start("a")
        for nobody in ("worker-1", "nobody"):
            await rival.backend.withdraw(nobody)
        assert await rival.backend.take_over(rival.fence) == 0
        await worker.renew()


class RetirementConformance(ConformanceBase):
    """A worker that leaves hands everything back."""

    async def test_everything_is_ready_for_others_at_once(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Instances with their mail, and activities; the claims handed back do not count."""
        claimed = await worker.start("a")
        await worker.commit(turn(claimed, queued=(queued(claimed),)))
        await worker.fetch_activities()
        await worker.start("b")
        await worker.backend.send([letter("a", b"mail")])
        await worker.backend.retire_worker(worker.fence)
        work = await rival.fetch(activities=10)
        assert sorted(ids(work.claimed)) == ["a", "b"]
        assert [one.attempts for one in work.claimed] == [1, 1]
        assert [bodies(one.mail) for one in sorted(work.claimed, key=lambda c: c.instance_id)] == [
            [b"mail"],
            [],
        ]
        assert [item.attempts for item in work.activities] == [1]

    async def test_what_was_counted_before_stands(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """Only the claim that is handed back is taken off the count."""
        await worker.start("a")
        await worker.commit(Abandon(instance_id="a", retry_at_us=clock.now_us()))
        assert (await worker.claim_one()).attempts == 2
        await worker.backend.retire_worker(worker.fence)
        assert (await rival.claim_one()).attempts == 2

    async def test_a_retired_worker_is_forgotten(self, worker: Driver) -> None:
        """It is refused by every verb and no longer counted."""
        claimed = await worker.start("a")
        await worker.backend.retire_worker(worker.fence)
        await expect_fenced(worker, turn(claimed))
        with pytest.raises(FencedError):
            await worker.backend.read_fence("worker-1")
        assert (await worker.backend.statistics()).workers == 0

    async def test_a_new_worker_starts_afresh(self, opened: Opener, worker: Driver) -> None:
        """After retirement the same process registers again under a new id and owns nothing."""
        await worker.start("a")
        await worker.backend.retire_worker(worker.fence)
        successor = await Driver.register(worker.backend, "worker-1b")
        assert await successor.fetch_mail() == ()
        assert ids(await successor.claim()) == ["a"]


class LostFetchConformance(ConformanceBase):
    """A fetch whose answer was lost is undone, and everything else goes on."""

    async def test_what_it_claimed_is_ready_for_anybody_and_not_counted(
        self, worker: Driver, rival: Driver
    ) -> None:
        """What was claimed before stays."""
        kept = await worker.start("kept")
        await worker.restate(kept, queued=(queued(kept, 1),))
        assert len((await worker.fetch_activities()).activities) == 1
        await worker.restate(kept, number=2, queued=(queued(kept, 2),))
        await start(worker.backend, "a", "b")
        lost = await worker.fetch(activities=10)
        assert (ids(lost.claimed), len(lost.activities)) == (["a", "b"], 1)
        for _ in range(2):
            await worker.backend.take_stock(worker.fence, worker.fetches)
        again = await rival.fetch(activities=10)
        assert [(one.instance_id, one.attempts) for one in again.claimed] == [("a", 1), ("b", 1)]
        assert [(item.activity.seq, item.attempts) for item in again.activities] == [(2, 1)]
        await worker.restate(kept, number=3)

    async def test_attempts_that_were_tried_stand(
        self, worker: Driver, rival: Driver, clock: StoreClock
    ) -> None:
        """From the fourth on they are no claims: who never heard of one has tried nothing, and takes nothing off."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=(queued(claimed, 1),))
        [item] = (await worker.fetch_activities()).activities
        await worker.commit(
            Recount(instance_id="a", attempts=4, execution=claimed.execution),
            Abandon(instance_id="a", retry_at_us=clock.now_us()),
            ActivityRecount(item_id=item.item_id, attempts=4, is_returned=True),
        )
        lost = await worker.fetch(activities=10)
        assert attempts_of(lost) == [4, 4]
        await worker.backend.take_stock(worker.fence, worker.fetches)
        again = await rival.fetch(activities=10)
        assert attempts_of(again) == [4, 4]

    async def test_letters_that_it_told_of_are_told_again(
        self, worker: Driver, rival: Driver
    ) -> None:
        """In their order, with those that came before and after, until they are consumed."""
        claimed = await worker.start("a")
        await worker.start("quiet")
        await deliver(worker.backend, letter("a", b"1"))
        [first] = await worker.fetch_mail()
        await deliver(worker.backend, letter("a", b"2"))
        assert bodies(await worker.fetch_mail())[-1] == b"2"
        await worker.backend.take_stock(worker.fence, worker.fetches)
        await deliver(worker.backend, letter("a", b"3"))
        assert bodies(await worker.fetch_mail()) == [b"1", b"2", b"3"]
        await worker.restate(claimed, consumed=(first.id,))
        await worker.backend.take_stock(worker.fence, worker.fetches)
        assert bodies(await worker.fetch_mail()) == [b"2", b"3"]

    async def test_one_that_comes_late_takes_nothing(self, worker: Driver, rival: Driver) -> None:
        """It was on its way while it was undone; those after it are not concerned."""
        await start(worker.backend, "a")
        await worker.backend.take_stock(worker.fence, 1)
        late = await worker.fetch(number=1)
        assert (late.claimed, late.mail, late.activities) == ((), (), ())
        assert ids((await worker.fetch(number=2)).claimed) == ["a"]

    async def test_it_is_fenced(self, worker: Driver, rival: Driver, clock: StoreClock) -> None:
        """Who was taken over undoes nothing."""
        await worker.start("a")
        clock.advance(31)
        await rival.backend.take_over(rival.fence)
        assert ids(await rival.claim()) == ["a"]
        with pytest.raises(FencedError):
            await worker.backend.take_stock(worker.fence, 1)


def ids_of(workers: list[WorkerRecord]) -> list[str]:
    """Return the ids of workers."""
    return [one.worker_id for one in workers]


def attempts_of(work: Work) -> list[int]:
    """Return what a fetch tells of all that it claimed."""
    return [one.attempts for one in work.claimed] + [one.attempts for one in work.activities]


async def expect_fenced(worker: Driver, item: TurnCommit) -> None:
    """Check that every fenced verb refuses."""
    with pytest.raises(FencedError):
        await worker.commit(item)
    with pytest.raises(FencedError):
        await worker.fetch(activities=1)
    with pytest.raises(FencedError):
        await worker.renew()
    with pytest.raises(FencedError):
        await worker.backend.take_over(worker.fence)
    with pytest.raises(FencedError):
        await worker.backend.retire_worker(worker.fence)


async def commit_lands(worker: Driver, item: TurnCommit) -> bool:
    """Try to commit; tell whether it was allowed."""
    try:
        await worker.commit(item)
    except FencedError:
        return False
    return True


def turn_of_nobody() -> TurnCommit:
    """Return a turn of an instance that does not exist."""
    return TurnCommit(instance_id="nothing", execution=1, turn=1, events=b"")
