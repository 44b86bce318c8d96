"""Upkeep: purge, rewrite, statistics, the life of a hub."""

from __future__ import annotations

import asyncio

import pytest

from durable_async.backend import Backend
from durable_async.errors import InstanceNotFoundError
from durable_async.failure import FailureDetails
from durable_async.model.history import ParentLink
from durable_async.model.records import Delivery, InstanceFilter, Park, Rewrite
from durable_async.model.status import Status

from .base import ConformanceBase, Opener, StoreClock
from .driver import (
    Driver,
    bodies,
    deliver,
    history_of,
    ids,
    letter,
    new,
    queued,
    read_one,
    release,
    start,
    turn,
)

DAY_SECONDS = 24 * 3600


class PurgeConformance(ConformanceBase):
    """Only what has ended can be purged, and then nothing is left but a number."""

    async def test_only_ended_instances_are_purged(self, worker: Driver) -> None:
        """Others, and those that are not there, are left out of the answer."""
        for status in (Status.COMPLETED, Status.FAILED, Status.TERMINATED):
            await worker.restate(await worker.start(status.value), status=status)
        await worker.restate(await worker.start("suspended"), status=Status.SUSPENDED)
        await worker.start("parked")
        await worker.commit(Park(instance_id="parked", reason="poison"))
        await start(worker.backend, "pending")
        everybody = ["completed", "failed", "terminated", "suspended", "parked", "pending", "no"]
        purged = await worker.backend.purge(everybody)
        assert sorted(purged) == ["completed", "failed", "terminated"]
        records = await worker.backend.read(everybody, payloads=False)
        assert ids(record for record in records if record) == ["suspended", "parked", "pending"]
        assert await worker.backend.purge(everybody) == []

    async def test_a_purged_instance_is_gone(self, worker: Driver) -> None:
        """From reads, queries, counts; letters miss it."""
        await worker.restate(await worker.start("a"), status=Status.COMPLETED, output=b"x")
        await worker.backend.purge(["a"])
        with pytest.raises(InstanceNotFoundError):
            await worker.backend.read_history("a", bytes_max=100)
        page = await worker.backend.query(InstanceFilter(), limit=9, page=None, payloads=True)
        assert page.items == ()
        answers = await worker.backend.send([letter("a"), letter("a", execution=1)])
        assert answers == [Delivery.NOT_FOUND, Delivery.NOT_FOUND]
        assert sum((await worker.backend.statistics()).by_status.values()) == 0
        again = await worker.start("a", events=b"fresh")
        assert again.execution == 2
        assert await history_of(worker.backend, "a") == [(0, b"fresh")]


class ForgettingConformance(ConformanceBase):
    """What is kept for a time is gone after it, however much it is."""

    async def test_one_look_round_forgets_all_that_is_old(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """It is seldom, so it must make up for all that came since the last one."""
        many = range(2_100)
        await worker.backend.create([new(f"a{n}", request_id=f"r{n}") for n in many])
        clock.advance(DAY_SECONDS + 1)
        await worker.backend.take_over(worker.fence)
        await worker.backend.create([new(f"b{n}", request_id=f"r{n}") for n in many])
        statistics = await worker.backend.statistics()
        assert statistics.by_status[Status.PENDING] == 2 * len(many)


class RewriteConformance(ConformanceBase):
    """Failed instances are set going again, all or none."""

    async def test_a_failed_instance_goes_on_with_another_history(
        self, worker: Driver, clock: StoreClock
    ) -> None:
        """Running, ready at once, the next execution, nothing left of the failure."""
        await fail(worker, "a")
        clock.advance(1)
        link = ParentLink("boss", 2, 1)
        rewrite = Rewrite(instance_id="a", execution=1, events=b"rewritten", parent=link)
        assert await worker.backend.rewrite([rewrite])
        record = await read_one(worker.backend, "a")
        assert (record.status, record.execution) == (Status.RUNNING, 2)
        assert (record.failure, record.output, record.completed_at_us) == (None, None, None)
        assert (record.parent, record.started_events) == (link, b"rewritten")
        claimed = await worker.claim_one()
        assert (claimed.execution, claimed.attempts, claimed.parent) == (2, 1, link)
        assert claimed.status is Status.RUNNING
        assert [(row.turn, row.events) for row in claimed.history] == [(0, b"rewritten")]
        await worker.restate(claimed)

    async def test_letters_to_the_failed_execution_miss_the_next(self, worker: Driver) -> None:
        """A late result does not reach the second try."""
        await fail(worker, "a")
        await worker.backend.rewrite(
            [Rewrite(instance_id="a", execution=1, events=b"again", parent=None)]
        )
        answers = await worker.backend.send(
            [letter("a", execution=1), letter("a", b"ok", execution=2)]
        )
        assert answers == [Delivery.NOT_FOUND, Delivery.DELIVERED]
        assert bodies((await worker.claim_one()).mail) == [b"ok"]

    async def test_letters_come_with_the_next_execution(self, worker: Driver) -> None:
        """What the failed execution did not hear any more is there from the beginning."""
        await fail(worker, "a")
        rewrite = Rewrite(
            instance_id="a", execution=1, events=b"again", parent=None, mail=(b"one", b"two")
        )
        assert await worker.backend.rewrite([rewrite])
        claimed = await worker.claim_one()
        assert bodies(claimed.mail) == [b"one", b"two"]
        assert {mail.execution for mail in claimed.mail} == {2}

    async def test_all_or_none(self, worker: Driver) -> None:
        """One that is no longer as it was read spoils them all."""
        await fail(worker, "a")
        await worker.restate(await worker.start("done"), status=Status.COMPLETED)
        await start(worker.backend, "pending")
        good = Rewrite(instance_id="a", execution=1, events=b"again", parent=None)
        for instance_id, execution in (("done", 1), ("pending", 1), ("absent", 1), ("a", 2)):
            bad = Rewrite(instance_id=instance_id, execution=execution, events=b"x", parent=None)
            assert not await worker.backend.rewrite([good, bad])
            assert (await read_one(worker.backend, "a")).status is Status.FAILED
            assert await history_of(worker.backend, "a") == [(0, b"started a"), (1, b"turn 1")]

    async def test_another_execution_is_not_rewritten(self, worker: Driver) -> None:
        """Whoever read an execution that is no longer current is told so."""
        await fail(worker, "a")
        for execution in (0, 2):
            stale = Rewrite(instance_id="a", execution=execution, events=b"x", parent=None)
            assert not await worker.backend.rewrite([stale])
        assert await history_of(worker.backend, "a") == [(0, b"started a"), (1, b"turn 1")]
        assert (await read_one(worker.backend, "a")).execution == 1

    async def test_a_family_is_rewritten_together(self, worker: Driver) -> None:
        """And only once, if two operators try at the same time."""
        await fail(worker, "parent")
        await fail(worker, "child")
        family = [
            Rewrite(instance_id="parent", execution=1, events=b"p", parent=None),
            Rewrite(
                instance_id="child", execution=1, events=b"c", parent=ParentLink("parent", 2, 1)
            ),
        ]
        answers = await asyncio.gather(
            worker.backend.rewrite(family), worker.backend.rewrite(family[::-1])
        )
        assert sorted(answers) == [False, True]
        assert sorted((one.instance_id, one.execution) for one in await worker.claim()) == [
            ("child", 2),
            ("parent", 2),
        ]


class StatisticsConformance(ConformanceBase):
    """Counts are those of the hub."""

    async def test_an_empty_hub_counts_nothing(self, backend: Backend) -> None:
        """No statuses, or each with zero."""
        counts = await backend.statistics()
        assert sum(counts.by_status.values()) == 0
        assert (counts.parked, counts.workers) == (0, 0)
        assert (counts.letters, counts.queued_activities) == (0, 0)

    async def test_everything_is_counted(self, worker: Driver, rival: Driver) -> None:
        """Instances by status, parked ones, workers, letters, queued activities."""
        await start(worker.backend, "a", "b", "c")
        a, b, _ = await worker.claim()
        await worker.commit(
            turn(a, status=Status.RUNNING, queued=(queued(a, 1), queued(a, 2))),
            turn(b, status=Status.COMPLETED),
            Park(instance_id="c", reason="poison"),
        )
        await deliver(worker.backend, letter("a"), letter("a"), letter("c"))
        counts = await rival.backend.statistics()
        seen = {status: count for status, count in counts.by_status.items() if count}
        assert seen == {Status.RUNNING: 1, Status.COMPLETED: 1, Status.PENDING: 1}
        assert (counts.parked, counts.workers) == (1, 2)
        assert (counts.letters, counts.queued_activities) == (3, 2)


class HubConformance(ConformanceBase):
    """A backend's life, and hubs that share a store."""

    async def test_opening_again_finds_everything(self, opened: Opener) -> None:
        """While one process has it open, another comes and goes."""
        keeper = await opened()
        first = await opened()
        await start(first, "a")
        await deliver(first, letter("a", b"mail"))
        await first.close()
        await first.close()
        worker = await Driver.register(await opened(), "w")
        claimed = await worker.claim_one()
        assert (claimed.instance_id, bodies(claimed.mail)) == ("a", [b"mail"])
        assert (await read_one(keeper, "a")).owner == "w"

    async def test_the_description_is_fit_for_logs(self, backend: Backend) -> None:
        """One line of text."""
        assert backend.description
        assert "\n" not in backend.description

    async def test_the_clock_is_the_stores(
        self, backend: Backend, second: Backend, clock: StoreClock
    ) -> None:
        """All processes see the same time, and it does not go back."""
        before = backend.now_us()
        assert abs(before - clock.now_us()) < 60 * 1_000_000
        clock.advance(5)
        after = second.now_us()
        assert after - before >= 4_900_000
        assert backend.now_us() >= before

    async def test_hubs_never_see_each_other(self, opened: Opener, clock: StoreClock) -> None:
        """The same ids, the same workers' ids, the same requests: two worlds."""
        left = await Driver.register(await opened(hub="left"), "w")
        right = await Driver.register(await opened(hub="right"), "w", lease_seconds=3600)
        await start(left.backend, "a", events=b"left", request_id="r")
        await start(right.backend, "a", events=b"right", request_id="r")
        one = await left.claim_one()
        assert one.history[0].events == b"left"
        await left.restate(one, queued=(queued(one),), outbox=(letter("a", b"to left"),))
        assert (await right.fetch_activities()).activities == ()
        two = await right.claim_one()
        assert (two.history[0].events, two.mail) == (b"right", ())
        await right.restate(two, status=Status.COMPLETED)
        assert (await read_one(left.backend, "a")).status is Status.PENDING
        assert await left.backend.purge(["a"]) == []
        clock.advance(31)
        assert await right.backend.take_over(right.fence) == 0
        assert (await right.backend.statistics()).letters == 0
        assert (await right.backend.statistics()).workers == 1
        assert (await left.backend.statistics()).letters == 1
        page = await right.backend.query(InstanceFilter(), limit=9, page=None, payloads=True)
        assert [record.started_events for record in page.items] == [b"right"]
        assert await right.backend.unpark(["a"]) == []
        await left.commit(release("a"))
        assert await right.claim() == ()
        assert bodies((await left.claim_one()).mail) == [b"to left"]


async def fail(worker: Driver, instance_id: str) -> None:
    """Bring an instance to FAILED."""
    failure = FailureDetails(error_type="E", message="m")
    await worker.restate(await worker.start(instance_id), status=Status.FAILED, failure=failure)
