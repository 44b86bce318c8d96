"""The verbs of the port on a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from durable_async.backend import Hearing
from durable_async.errors import FencedError, InstanceNotFoundError
from durable_async.model.records import (
    NO_ERRANDS,
    CommitItem,
    CommitResult,
    Delivery,
    EntityFilter,
    EntityPage,
    EntityRecord,
    Errands,
    Fence,
    HistoryPage,
    HubStatistics,
    InstanceFilter,
    InstancePage,
    InstanceRecord,
    Mail,
    NewInstance,
    Outgoing,
    QueryOrder,
    Rewrite,
    StartOutcome,
    Work,
)
from durable_async.model.upkeep import Expired, Expiry, Place

from .admission import admit_instances, admit_letters
from .batch import Batch
from .claims import Fetch, unwanted_activities
from .connection import base_code
from .core import SqliteCore
from .entities import discard_entities, query_entities, read_entities
from .lifecycle import expire, purge, rewrite, unpark
from .queries import (
    look_for_expired,
    query_instances,
    read_answers,
    read_history,
    read_instances,
    read_letters,
    read_queued,
    statistics,
)
from .renewal import SqliteLeases
from .starts import Started
from .transaction import Statements


class SqliteBackend(SqliteLeases, SqliteCore):
    """A task hub in a SQLite file: the embedded default.

    The file is in WAL mode with ``synchronous=FULL``: what was acknowledged survives a power cut. Any number of processes of one
    machine may open it; one of them writes at a time. Each backend has one thread that writes and one that reads.
    """

    # -- TaskHubAdmin: open, close and now_us are the core's

    async def statistics(self) -> HubStatistics:
        """Count what the hub holds."""
        return await self._read(statistics)

    # -- WorkQueue: the rest is in SqliteLeases

    async def fetch(
        self,
        fence: Fence,
        *,
        number: int,
        instances: int,
        activities: int,
        names: frozenset[str] | None,
        activity_names: frozenset[str] | None,
        history_bytes_max: int,
        passed_over: frozenset[tuple[str, str]] = frozenset(),
        errands: Errands = NO_ERRANDS,
    ) -> Work:
        """Claim ready work and collect letters for what is owned."""
        fetch = Fetch(
            fence,
            number=number,
            instances=instances,
            activities=activities,
            names=names,
            activity_names=activity_names,
            history_bytes_max=history_bytes_max,
            passed_over=passed_over,
        )

        def job() -> Work:
            if errands.lease_seconds is not None:
                self._renew_along(fence, errands.lease_seconds)
            tx = self._statements("writer")
            census = self._census(tx, fence) if errands.looks_around else None
            try:
                work = fetch.run(tx)
            except sqlite3.OperationalError as error:
                if base_code(error) != sqlite3.SQLITE_BUSY:
                    raise
                work = Work()  # others write without end; so much is known: nothing was claimed
            return work if census is None else msgspec.structs.replace(work, census=census)

        return await self._on_writer(job)

    async def commit(self, fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        """Make a batch durable, all or nothing."""
        return await self._on_writer_and_tell(lambda: self._commit(fence, items))

    def _commit(self, fence: Fence, items: Sequence[CommitItem]) -> tuple[Statements, CommitResult]:
        try:
            return self._commit_once(fence, items, check_turns=False)
        except sqlite3.IntegrityError:
            # Some turn is written already; nothing of the batch is. Find it, and write the others.
            return self._commit_once(fence, items, check_turns=True)

    def _commit_once(
        self, fence: Fence, items: Sequence[CommitItem], *, check_turns: bool
    ) -> tuple[Statements, CommitResult]:
        tx = self._statements("writer")
        batch = Batch(tx, fence.worker_id, check_turns=check_turns)
        with tx.transaction():
            moved = tx.count(
                "move_fence",
                hub=tx.hub,
                worker=fence.worker_id,
                epoch=fence.epoch,
                seq=fence.seq,
            )
            if not moved:
                raise FencedError(fence.worker_id)
            batch.run(items)
        return tx, CommitResult(
            fence=Fence(worker_id=fence.worker_id, epoch=fence.epoch, seq=fence.seq + 1),
            dropped=frozenset(batch.dropped),
        )

    async def unwanted_activities(self, worker_id: str, item_ids: Sequence[int]) -> frozenset[int]:
        """Return those that the worker has no claim on."""
        return await self._read(lambda tx: unwanted_activities(tx, worker_id, item_ids))

    async def read_history(
        self,
        instance_id: str,
        *,
        execution: int | None = None,
        after_turn: int = -1,
        bytes_max: int,
    ) -> HistoryPage:
        """Return rows of an execution after a turn, at least one if there is any."""
        page = await self._read(
            lambda tx: read_history(tx, instance_id, execution, after_turn, bytes_max)
        )
        if page is None:
            raise InstanceNotFoundError(instance_id)
        return page

    # -- InstanceStore

    @property
    def letters_max(self) -> int:
        """How many letters a mailbox takes from clients."""
        return self._letters_max

    async def create(self, instances: Sequence[NewInstance]) -> list[StartOutcome]:
        """Create instances, each according to its reuse policy."""
        taking = self._offers.taking(instances)

        def hand_over(started: Started) -> None:
            if taking is not None:
                self._offers.hand_over(taking, started)

        started = await self._write(lambda tx: admit_instances(tx, instances, taking), hand_over)
        return started.outcomes

    async def send(self, letters: Sequence[Outgoing]) -> list[Delivery]:
        """Put letters into mailboxes and mark the receivers ready."""
        return await self._write(lambda tx: admit_letters(tx, letters, self._letters_max))

    async def read_answers(self, request_ids: Sequence[str]) -> list[bytes | None]:
        """Return the answers to requests in the order of the arguments."""
        return await self._read(lambda tx: read_answers(tx, request_ids))

    async def read_letters(self, instance_id: str, *, limit: int) -> list[Mail]:
        """Return the first letters that lie in a mailbox."""
        return await self._read(lambda tx: read_letters(tx, instance_id, limit))

    async def read_queued(self, instance_id: str) -> dict[int, str | None]:
        """Return which activities of an instance are in the queue, and who has claimed each."""
        return await self._read(lambda tx: read_queued(tx, instance_id))

    async def read(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> list[InstanceRecord | None]:
        """Return instances in the order of the arguments."""
        return await self._read(lambda tx: read_instances(tx, instance_ids, payloads=payloads))

    async def query(
        self,
        where: InstanceFilter,
        *,
        limit: int,
        page: str | None,
        payloads: bool,
        order: QueryOrder = QueryOrder.CREATED,
    ) -> InstancePage:
        """Return orchestrations in an order."""
        return await self._read(
            lambda tx: query_instances(
                tx, where, limit=limit, page=page, payloads=payloads, order=order
            )
        )

    async def read_entities(self, instance_ids: Sequence[str]) -> list[EntityRecord | None]:
        """Return entities in the order of the arguments."""
        return await self._read(lambda tx: read_entities(tx, instance_ids))

    async def query_entities(
        self, where: EntityFilter, *, limit: int, page: str | None
    ) -> EntityPage:
        """Return entities in byte order of their ids."""
        return await self._read(lambda tx: query_entities(tx, where, limit=limit, page=page))

    async def discard_entities(self, instance_ids: Sequence[str]) -> list[str]:
        """Forget those that hold neither state nor letters."""
        return await self._write(lambda tx: discard_entities(tx, instance_ids))

    async def purge(self, instance_ids: Sequence[str]) -> list[str]:
        """Delete those that have ended: history, letters, outputs."""
        return await self._write(lambda tx: purge(tx, instance_ids))

    async def expire(
        self, expiry: Expiry, *, limit: int, after: Place | None = None, deletes: bool = True
    ) -> Expired:
        """Delete those that ended long ago; looked for beside whoever writes, so that the lock is taken only if there are any."""
        rows = await self._read(lambda tx: look_for_expired(tx, expiry, limit, after))
        old = [row for row in rows if row[-1]]
        if old and deletes:
            gone = await self._write(lambda tx: expire(tx, old))
            old = [row for row in old if row[0] in gone]
        return Expired(
            names={instance_id: name for instance_id, name, *_ in old},
            place=(rows[-1][3], rows[-1][0]) if rows else after,
            more=len(rows) == limit,
        )

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> bool:
        """Set failed instances going again with another history, all or none."""
        return await self._write(lambda tx: rewrite(tx, rewrites))

    async def unpark(self, instance_ids: Sequence[str]) -> list[str]:
        """Put parked instances back, ready at once with no attempts counted."""
        return await self._write(lambda tx: unpark(tx, instance_ids))

    # -- Wakeups

    @property
    def hearing(self) -> Hearing:
        """Tell that everything is heard: the file itself shows that it was written to."""
        return Hearing.ALWAYS

    def listen(
        self,
        on_work: Callable[[], None],
        on_changed: Callable[[frozenset[str] | None], None],
        on_progress: Callable[[frozenset[str] | None], None] | None = None,
    ) -> Callable[[], None]:
        """Call when there may be work, or when something changed; returns how to stop."""
        return self._hints.listen(on_work, on_changed, on_progress)
