"""Workers' verbs that are about being alive: registration, leases, retirement, takeover."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from durable_async.backend import Offer
from durable_async.backends._rows import REQUESTS_KEPT_US, TOMBSTONES_KEPT_US
from durable_async.errors import BackendError, FencedError
from durable_async.model.records import Census, Fence
from durable_async.model.upkeep import WorkerRecord

from .connection import check_process, not_waiting_for_the_disk
from .core import SqliteCore
from .states import KnownStates, Row
from .transaction import Statements

_SWEPT_AT_ONCE = 500
_SWEEP_SECONDS_MAX = 1.0
"""How long a sweep may go on: who looks for dead workers waits for it."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    worker_id: str
    epoch: int
    is_gone: bool


class SqliteLeases(SqliteCore):
    """The life of workers."""

    async def register_worker(self, worker_id: str, lease_seconds: float) -> Fence:
        """Announce a new worker, give it a lease, and begin to show that its process lives."""

        def job() -> Fence:
            tx = self._statements("writer")
            if tx.one("read_fence", hub=tx.hub, worker=worker_id) is not None:
                raise FencedError(worker_id)
            self._drop_lost_lifelines(tx)
            epoch = tx.now_us  # never the same for a later namesake
            # The sign comes before the row: a row that has none would be taken over.
            has_lifeline = self._lifelines.hold(worker_id)
            try:
                tx.count(
                    "register_worker",
                    hub=tx.hub,
                    worker=worker_id,
                    epoch=epoch,
                    lease_until_us=_until(tx.now_us, lease_seconds),
                    has_lifeline=has_lifeline,
                    host=self._environment.hostname(),
                    pid=self._environment.pid(),
                    registered_at_us=tx.now_us,
                )
            except BaseException:
                self._lifelines.drop(worker_id)
                raise
            return Fence(worker_id=worker_id, epoch=epoch, seq=0)

        return await self._on_writer(job)

    def _drop_lost_lifelines(self, tx: Statements) -> None:
        for worker_id in self._lifelines.held():
            if tx.one("read_fence", hub=tx.hub, worker=worker_id) is None:
                self._lifelines.drop(worker_id)

    def renew_lease(self, fence: Fence, lease_seconds: float) -> None:
        """Extend the lease, on a connection that waits for no commit of this process but the one that is being written.

        A lease that a power cut takes back harms nobody, so no renewal waits for the disk.
        """
        with self._errors(), self._renewing:
            self._extend(self._renewing_connection(), fence, lease_seconds)

    def _renew_along(self, fence: Fence, lease_seconds: float) -> None:
        """Extend the lease in the writing thread, on its connection: SQLite would count the commit of another for one of somebody else.

        Then each renewal would be news, and what is known of instances would be forgotten.
        """
        writer = self._connections["writer"]
        with not_waiting_for_the_disk(writer):
            self._extend(writer, fence, lease_seconds)

    def _extend(self, connection: sqlite3.Connection, fence: Fence, lease_seconds: float) -> None:
        tx = Statements(connection, self._hub, self.now_us(), KnownStates())
        renewed = tx.count(
            "renew_lease",
            hub=tx.hub,
            worker=fence.worker_id,
            epoch=fence.epoch,
            now_us=tx.now_us,
            lease_until_us=_until(tx.now_us, lease_seconds),
        )
        if not renewed:
            raise FencedError(fence.worker_id)

    def _renewing_connection(self) -> sqlite3.Connection:
        if self._writing is None:
            raise BackendError(f"{self.description} is not open")
        check_process(self._pid)
        connection = self._connections.get("renewal")
        if connection is None:
            connection = self._connections["renewal"] = self._connect("NORMAL")
        return connection

    async def retire_worker(self, fence: Fence) -> None:
        """Hand back everything the worker owns, ready for others at once, and forget the worker."""

        def verb(tx: Statements) -> None:
            _check_epoch(tx, fence)
            _free(tx, fence.worker_id, handed_back=1)
            tx.count("forget_worker", hub=tx.hub, worker=fence.worker_id)

        await self._write(verb)
        self._lifelines.drop(fence.worker_id)

    def offer(self, fence: Fence, offer: Offer) -> Callable[[], None]:
        """Take for a worker what is started here, as far as it offers to; returns how to stop."""
        return self._offers.add(fence, offer)

    async def take_stock(self, fence: Fence, number: int) -> None:
        """Undo a fetch, and refuse it if it is still to come."""

        def verb(tx: Statements) -> None:
            _check_epoch(tx, fence)
            tx.count("number_fetch", hub=tx.hub, worker=fence.worker_id, number=number)
            _free(tx, fence.worker_id, handed_back=1, fetch=number)
            tx.count("mark_unread", hub=tx.hub, worker=fence.worker_id)

        await self._write(verb)

    async def read_fence(self, worker_id: str) -> Fence:
        """Return where the worker's row stands."""

        def job() -> Fence:
            tx = self._statements("writer")
            found = tx.one("read_fence", hub=tx.hub, worker=worker_id)
            if found is None:
                self._lifelines.drop(worker_id)
                raise FencedError(worker_id)
            return Fence(worker_id=worker_id, epoch=found[0], seq=found[1])

        return await self._on_writer(job)

    async def withdraw(self, worker_id: str) -> None:
        """Let go of a worker's lock."""
        await self._on_writer(lambda: self._lifelines.drop(worker_id))

    async def take_over(self, fence: Fence) -> int:
        """Free what dead workers own: those whose process is gone or whose lease ran out."""

        def job() -> int:
            tx = self._statements("writer")
            _check_epoch(tx, fence)
            return sum(self._unseat(fence, dead) for dead in self._dead_workers(tx, fence))

        freed = await self._on_writer(job)
        await self._sweep()
        return freed

    async def _sweep(self) -> None:
        """Forget what is old, one portion after the other as long as there is more: it must go as fast as it comes."""
        began = self._environment.monotonic()
        while await self._on_writer(lambda: _sweep_portion(self._statements("writer"))):
            if self._environment.monotonic() - began > _SWEEP_SECONDS_MAX:
                return

    def _dead_workers(self, tx: Statements, fence: Fence) -> list[_Candidate]:
        dead: list[_Candidate] = []
        for row in tx.all("other_workers", hub=tx.hub, worker=fence.worker_id):
            worker_id, epoch, lease_until_us, has_lifeline = row
            is_gone = bool(has_lifeline) and self._lifelines.is_gone(worker_id)
            if is_gone or lease_until_us <= tx.now_us:
                dead.append(_Candidate(worker_id, epoch, is_gone))
        return dead

    async def read_workers(self) -> list[WorkerRecord]:
        """Return the workers that are registered, in byte order of their ids."""

        def job() -> list[WorkerRecord]:
            tx = self._statements("writer")
            return [self._worker(row, tx.now_us) for row in tx.all("read_workers", hub=tx.hub)]

        return await self._on_writer(job)

    def _worker(self, row: Row, now_us: int) -> WorkerRecord:
        worker_id, host, pid, registered_at_us, lease_until_us, has_lifeline, *counts = row
        epoch, commits, instances, activities = counts
        is_gone = bool(has_lifeline) and self._lifelines.is_gone(worker_id)
        return WorkerRecord(
            worker_id=worker_id,
            host=host,
            pid=pid,
            registered_at_us=registered_at_us,
            lease_until_us=lease_until_us,
            is_alive=now_us < lease_until_us and not is_gone,
            instances=instances,
            activities=activities,
            epoch=epoch,
            commits=commits,
        )

    def _census(self, tx: Statements, fence: Fence) -> Census:
        found = tx.one("count_workers", hub=tx.hub)
        assert found is not None
        workers, commits = found
        dead = len(self._dead_workers(tx, fence)) if workers > 1 else 0
        return Census(workers=workers, dead=dead, commits=commits)

    def _unseat(self, fence: Fence, dead: _Candidate) -> int:
        tx = self._statements("writer")
        with tx.transaction():
            _check_epoch(tx, fence)
            unseated = tx.count(
                "unseat_worker",
                hub=tx.hub,
                worker=dead.worker_id,
                epoch=dead.epoch,
                is_gone=dead.is_gone,
                now_us=tx.now_us,
            )
            freed = _free(tx, dead.worker_id, handed_back=0) if unseated else 0
        self._hint(tx)
        self._ring(tx)
        self._lifelines.clean(dead.worker_id)
        return freed


def _check_epoch(tx: Statements, fence: Fence) -> None:
    found = tx.one("read_fence", hub=tx.hub, worker=fence.worker_id)
    if found is None or found[0] != fence.epoch:
        raise FencedError(fence.worker_id)


def _free(tx: Statements, worker_id: str, *, handed_back: int, fetch: int | None = None) -> int:
    tx.known.forget()
    freed = tx.count(
        "free_instances",
        hub=tx.hub,
        worker=worker_id,
        now_us=tx.now_us,
        handed_back=handed_back,
        fetch=fetch,
    )
    tx.count("free_activities", hub=tx.hub, worker=worker_id, handed_back=handed_back, fetch=fetch)
    tx.brought_work = True
    return freed


def _sweep_portion(tx: Statements) -> bool:
    """Forget a little of what is old; returns whether there was anything."""
    requests_before_us = tx.now_us - REQUESTS_KEPT_US
    tombstones_before_us = tx.now_us - TOMBSTONES_KEPT_US
    found = tx.one(
        "has_old_rows",
        hub=tx.hub,
        requests_before_us=requests_before_us,
        tombstones_before_us=tombstones_before_us,
    )
    if found is None or not found[0]:
        return False
    with tx.transaction():
        for statement in ("sweep_requests", "sweep_answers"):
            tx.count(statement, hub=tx.hub, before_us=requests_before_us, limit=_SWEPT_AT_ONCE)
        tx.count(
            "sweep_tombstones", hub=tx.hub, before_us=tombstones_before_us, limit=_SWEPT_AT_ONCE
        )
    return True


def _until(now_us: int, lease_seconds: float) -> int:
    return now_us + round(lease_seconds * 1_000_000)
