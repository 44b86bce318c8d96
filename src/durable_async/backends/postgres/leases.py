"""Workers' verbs that are about being alive: registration, leases, retirement, takeover."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
from anyio import sleep

from durable_async.backend import Offer
from durable_async.backends._rows import REQUESTS_KEPT_US, TOMBSTONES_KEPT_US
from durable_async.errors import BackendError, FencedError
from durable_async.model.records import Fence

from .core import PostgresCore

GRACE_SECONDS = 0.3
"""How long a worker whose connection was merely cut has to come back, before others take over what it owns."""

RESTART_SECONDS = 3.0
"""How long all have to come back whose connections were cut when the server was, before they are taken over without a look at their leases."""

_SWEEP_SECONDS = 60.0
_SWEEP_SECONDS_MAX = 1.0
"""How long a sweep may go on: who looks for dead workers waits for it."""

_SWEPT_AT_ONCE = 1000
_GRAVES_KEPT_US = 300 * 1_000_000
_RENEWAL_SECONDS_MAX = 5.0


class PostgresLeases(PostgresCore):
    """The life of workers."""

    _swept_at = float("-inf")

    async def register_worker(self, worker_id: str, lease_seconds: float) -> Fence:
        """Announce a new worker, give it a lease, and begin to show that its process lives."""
        # The sign comes before the row: a row that has none would be taken over.
        lifeline = await self._lifelines.hold(worker_id)
        try:
            [row] = await self._do(
                "register_worker",
                self._hub,
                worker_id,
                lifeline,
                microseconds(lease_seconds),
                self._environment.hostname(),
                self._environment.pid(),
                self._schema_version,
            )
        except BackendError as error:
            if isinstance(error.__cause__, asyncpg.UniqueViolationError):
                raise FencedError(worker_id) from error
            await self._lifelines.drop(worker_id)
            raise
        self._near.add(worker_id)
        return Fence(worker_id=worker_id, epoch=row["epoch"], seq=0)

    def offer(self, fence: Fence, offer: Offer) -> Callable[[], None]:
        """Take for a worker what is started here, as far as it offers to; returns how to stop."""
        self._near.offer(fence, offer)
        return lambda: self._near.take_back(fence.worker_id)

    def renew_lease(self, fence: Fence, lease_seconds: float) -> None:
        """Extend the lease, on the connection that shows that the process lives; any thread may call."""
        renewed = self._lifelines.call(
            self._sql["renew_lease"],
            self._hub,
            fence.worker_id,
            fence.epoch,
            microseconds(lease_seconds),
            timeout_seconds=min(lease_seconds / 3, _RENEWAL_SECONDS_MAX),
        )
        if renewed is None:
            raise FencedError(fence.worker_id)

    async def retire_worker(self, fence: Fence) -> None:
        """Hand back everything the worker owns, ready for others at once, and forget the worker."""
        self._near.forget(fence.worker_id)
        [row] = await self._do("retire_worker", self._hub, fence.worker_id, fence.epoch)
        await self._lifelines.drop(fence.worker_id)
        if not row[0]:
            raise FencedError(fence.worker_id)
        self._ears.give(True, set())

    async def take_stock(self, fence: Fence, number: int) -> None:
        """Undo a fetch, and refuse it if it is still to come."""
        self._near.forget_reports(fence.worker_id)
        [row] = await self._do("take_stock", self._hub, fence.worker_id, fence.epoch, number)
        if not row[0]:
            raise self._fenced(fence.worker_id)
        self._ears.give(True, set())

    async def read_fence(self, worker_id: str) -> Fence:
        """Return where the worker's row stands."""
        rows = await self._do("read_fence", self._hub, worker_id)
        if not rows:
            await self._lifelines.drop(worker_id)
            raise self._fenced(worker_id)
        return Fence(worker_id=worker_id, epoch=rows[0]["epoch"], seq=rows[0]["seq"])

    async def withdraw(self, worker_id: str) -> None:
        """Let go of a worker's lock."""
        self._near.forget(worker_id)
        await self._lifelines.drop(worker_id)

    async def _resolve_doubt(self, fence: Fence) -> None:
        """Have what a worker owns marked, if letters may have come that this process has not heard of."""
        doubt = self._near.doubted(fence.worker_id)
        if doubt is None:
            return
        lost = list(doubt.lost) or None
        [row] = await self._do(
            "mark_unheard", self._hub, fence.worker_id, fence.epoch, doubt.term, lost
        )
        if not row[0]:
            raise self._fenced(fence.worker_id)
        self._near.settle(fence.worker_id, doubt)
        if lost:
            self._ears.give(True, set())

    def _fenced(self, worker_id: str) -> FencedError:
        """Forget a worker whose epoch is over for certain."""
        self._near.forget(worker_id)
        return FencedError(worker_id)

    async def take_over(self, fence: Fence) -> int:
        """Free what dead workers own: those whose process is gone or whose lease ran out."""
        rows = await self._do("dead_workers", self._hub, fence.worker_id, fence.epoch)
        if not rows[0]["stands"]:
            raise FencedError(fence.worker_id)
        dead = [row for row in rows if row["id"] is not None]
        if self._lifelines.were_cut_within(RESTART_SECONDS):
            dead = [row for row in dead if row["expired"]]
        if not all(row["expired"] for row in dead):
            await sleep(GRACE_SECONDS)
        freed = 0
        for row in dead:
            freed += await self._unseat(fence, row["id"], row["epoch"])
        await self._sweep()
        return freed

    async def _unseat(self, fence: Fence, dead: str, epoch: int) -> int:
        [row] = await self._do("take_over", self._hub, fence.worker_id, fence.epoch, dead, epoch)
        freed: int | None = row[0]
        if freed is None:
            return 0
        if freed < 0:
            raise FencedError(fence.worker_id)
        self._ears.give(True, set())
        return freed

    async def _sweep(self) -> None:
        """Forget what is old now and then, one portion after the other as long as there is more: it must go as fast as it comes."""
        now = self._environment.monotonic()
        if now - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = now
        while await self._sweep_portion() == _SWEPT_AT_ONCE:
            if self._environment.monotonic() - now > _SWEEP_SECONDS_MAX:
                return

    async def _sweep_portion(self) -> int:
        [row] = await self._do(
            "sweep",
            self._hub,
            REQUESTS_KEPT_US,
            TOMBSTONES_KEPT_US,
            _GRAVES_KEPT_US,
            _SWEPT_AT_ONCE,
        )
        most: int = row[0]
        return most


def microseconds(seconds: float) -> int:
    """Return a length of time as the functions of the schema take it."""
    return round(seconds * 1_000_000)
