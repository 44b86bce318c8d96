"""Wake-ups: hints that follow the fact."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest_asyncio

from durable_async.backend import Backend, Hearing
from durable_async.model.records import Park, Rewrite
from durable_async.model.status import Status

from .base import ConformanceBase
from .driver import Driver, letter, queued, release, start, turn

PATIENCE_SECONDS = 20.0


class Listener:
    """Notes the hints it gets."""

    def __init__(self) -> None:
        self.works = 0
        self.changes: list[frozenset[str] | None] = []
        self.progress: list[frozenset[str] | None] = []
        self._event = anyio.Event()

    def on_work(self) -> None:
        """Note that there may be work."""
        self.works += 1
        self._event.set()

    def on_changed(self, ids: frozenset[str] | None) -> None:
        """Note what ended, or changed its state."""
        self.changes.append(ids)
        self._event.set()

    def on_progress(self, ids: frozenset[str] | None) -> None:
        """Note whose status changed otherwise."""
        self.progress.append(ids)
        self._event.set()

    def knows_of(self, instance_id: str) -> bool:
        """Tell whether a change of this instance was announced."""
        return any(ids is None or instance_id in ids for ids in self.changes)

    def knows_of_progress(self, instance_id: str) -> bool:
        """Tell whether progress of this instance was announced."""
        heard = (*self.progress, *(ids for ids in self.changes if ids is None))
        return any(ids is None or instance_id in ids for ids in heard)

    def forget(self) -> None:
        """Begin to listen afresh."""
        self.works = 0
        self.changes.clear()
        self.progress.clear()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for hints until the condition holds."""
        with anyio.fail_after(PATIENCE_SECONDS):
            while not condition():
                self._event = anyio.Event()
                await self._event.wait()

    async def until_work(self) -> None:
        """Wait for a hint that there may be work."""
        await self.until(lambda: self.works > 0)

    async def until_changed(self, instance_id: str) -> None:
        """Wait for a hint that this instance changed."""
        await self.until(lambda: self.knows_of(instance_id))

    async def until_progress(self, instance_id: str) -> None:
        """Wait for a hint that this instance made progress."""
        await self.until(lambda: self.knows_of_progress(instance_id))


class WakeUpHintConformance(ConformanceBase):
    """Hints may be lost, so nothing depends on them; a store in good health gives them all the same.

    The listener listens at the backend object that does the deed: how fast another process hears of it is not promised.
    """

    @pytest_asyncio.fixture
    async def listener(self, backend: Backend) -> AsyncIterator[Listener]:
        """Yield one that listens to the backend under test."""
        listener = Listener()
        stop = backend.listen(listener.on_work, listener.on_changed, listener.on_progress)
        yield listener
        stop()

    async def test_a_store_in_good_health_hears(self, backend: Backend) -> None:
        """It says so soon after it was opened."""
        with anyio.fail_after(PATIENCE_SECONDS):
            while backend.hearing is Hearing.NEVER:  # noqa: ASYNC110 - it tells nobody
                await anyio.sleep(0.01)

    async def test_a_start_is_announced_when_it_can_be_claimed(
        self, worker: Driver, listener: Listener
    ) -> None:
        """Whoever hears of work finds it."""
        found: list[str] = []
        await start(worker.backend, "a")
        await listener.until_work()
        found += [one.instance_id for one in await worker.claim()]
        assert found == ["a"]

    async def test_a_final_letter_to_a_parked_instance_is_announced(
        self, worker: Driver, listener: Listener
    ) -> None:
        """It may be claimed again."""
        await worker.start("a")
        await listener.until_work()
        await worker.commit(Park(instance_id="a", reason="poison"))
        listener.forget()
        await worker.backend.send([letter("a", final=True)])
        await listener.until_work()
        assert (await worker.claim_one()).instance_id == "a"

    async def test_a_final_letter_to_who_was_ready_is_announced(
        self, worker: Driver, listener: Listener
    ) -> None:
        """It was ready for workers of another kind; now it is for all."""
        await start(worker.backend, "a", name="unregistered")
        await listener.until_work()
        listener.forget()
        await worker.backend.send([letter("a", final=True)])
        await listener.until_work()
        assert (await worker.claim_one()).instance_id == "a"

    async def test_a_letter_is_announced(self, worker: Driver, listener: Listener) -> None:
        """To who owns the instance, and to who might."""
        await worker.start("a")
        await listener.until_work()
        listener.forget()
        await worker.backend.send([letter("a", b"mail")])
        await listener.until_work()
        assert [one.letter for one in await worker.fetch_mail()] == [b"mail"]

    async def test_work_that_a_commit_makes_is_announced(
        self, worker: Driver, listener: Listener
    ) -> None:
        """Letters, and activities in the queue."""
        await start(worker.backend, "a", "b")
        a, _ = await worker.claim()
        await worker.commit(release("b"))
        await listener.until_work()
        listener.forget()
        await worker.restate(a, outbox=(letter("b", b"mail"),))
        await listener.until_work()
        assert [one.instance_id for one in await worker.claim()] == ["b"]
        listener.forget()
        await worker.restate(a, number=2, queued=(queued(a),))
        await listener.until_work()
        assert len((await worker.fetch_activities()).activities) == 1

    async def test_an_activity_that_is_wanted_no_more_is_announced(
        self, worker: Driver, listener: Listener
    ) -> None:
        """To whoever runs it: cancelled, or gone with its instance."""
        claimed = await worker.start("a")
        await worker.restate(claimed, queued=(queued(claimed, 1), queued(claimed, 2)))
        one, two = (await worker.fetch_activities()).activities
        await listener.until_work()
        asked = (one.item_id, two.item_id)
        changes: tuple[dict[str, Any], ...] = ({"cancelled": (1,)}, {"status": Status.COMPLETED})
        for number, change in enumerate(changes, 2):
            listener.forget()
            await worker.restate(claimed, number=number, **change)
            await listener.until_work()
            found = await worker.backend.unwanted_activities("worker-1", asked)
            assert found == frozenset(asked[: number - 1])

    async def test_work_handed_back_is_announced(self, worker: Driver, listener: Listener) -> None:
        """What a worker that retires leaves is there for others."""
        await worker.start("a")
        await listener.until_work()
        listener.forget()
        await worker.backend.retire_worker(worker.fence)
        await listener.until_work()

    async def test_an_end_is_announced_when_it_can_be_read(
        self, worker: Driver, listener: Listener
    ) -> None:
        """Whoever waits for an instance reads its result at the hint."""
        claimed = await worker.start("a")
        listener.forget()
        await worker.restate(claimed, status=Status.COMPLETED, output=b"out")
        await listener.until_changed("a")
        [record] = await worker.backend.read(["a"], payloads=True)
        assert record is not None
        assert (record.status, record.output) == (Status.COMPLETED, b"out")

    async def test_a_change_of_status_is_announced(
        self, worker: Driver, listener: Listener
    ) -> None:
        """Running, which is progress, and running again after a rewrite."""
        claimed = await worker.start("a")
        listener.forget()
        await worker.restate(claimed, status=Status.RUNNING)
        await listener.until_progress("a")
        assert not listener.knows_of("a")
        await worker.commit(turn(claimed, 2, status=Status.FAILED))
        await listener.until_changed("a")
        listener.forget()
        rewrite = Rewrite(instance_id="a", execution=1, events=b"again", parent=None)
        assert await worker.backend.rewrite([rewrite])
        await listener.until_changed("a")
        await listener.until_work()

    async def test_who_stops_listening_hears_no_more(
        self, worker: Driver, listener: Listener
    ) -> None:
        """Others still do; to stop twice is harmless."""
        deaf = Listener()
        stop = worker.backend.listen(deaf.on_work, deaf.on_changed)
        await start(worker.backend, "a")
        stop()
        stop()
        heard = (deaf.works, list(deaf.changes))
        await listener.until_work()
        listener.forget()
        await start(worker.backend, "b")
        await listener.until_work()
        assert (deaf.works, deaf.changes) == heard
