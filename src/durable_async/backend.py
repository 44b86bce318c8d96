"""The port: what the engine asks of a store, in four small protocols.

Rules for every verb:

- **One call is one atomic round trip.** It happened whole, or not at all. No transaction is ever open between calls.
- **It returns after it is durable.** A hint to other processes follows the commit, never precedes it.
- **``BackendUnavailableError`` means unknown.** The call may have taken effect. Clients repeat with the same ``request_id``; workers
  read their fence back (`WorkQueue.read_fence`).
- **One clock.** Due times and leases are compared with the store's own clock.
- **One lock order.** A verb that touches several instances locks their rows in byte order of the ids.
- Every instance belongs to one task hub; a backend object is bound to one hub when it is opened.

An adapter is right when it passes `durable_async.testing.conformance`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from durable_async.model.records import (
    NO_ERRANDS,
    ClaimedInstance,
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
from durable_async.model.upkeep import Expired, Expiry, Place, WorkerRecord


class TaskHubAdmin(Protocol):
    """Life of the store as a whole."""

    @property
    def description(self) -> str:
        """What it is and where, fit for logs: never a password."""
        ...

    async def open(self) -> None:
        """Connect, create or upgrade the schema, create the hub if it is new.

        Raises:
            SchemaVersionError: The schema is newer than this release.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection, thread and file. Safe to repeat."""
        ...

    def now_us(self) -> int:
        """Return the store's clock, estimated without a round trip; never goes back in one process."""
        ...

    async def statistics(self) -> HubStatistics:
        """Count what the hub holds."""
        ...

    async def read_workers(self) -> list[WorkerRecord]:
        """Return the workers that are registered, in byte order of their ids; dead ones until somebody takes over from them."""
        ...


class Offer(Protocol):
    """What a worker offers to take of what its process starts."""

    def choose(self, instances: Sequence[NewInstance]) -> Sequence[bool]:
        """Tell of each instance that is about to be created, in their order, whether it would be taken."""
        ...

    def take(self, claimed: ClaimedInstance, *, is_told: bool) -> None:
        """Take an instance that was claimed as it was created; called on the event loop, after the commit.

        ``is_told``: fetches that have begun tell of every letter that was sent before the instance was created. Otherwise the next one does.
        """
        ...


class WorkQueue(Protocol):
    """What workers live on. Every writing verb is fenced: an outdated fence writes nothing and raises ``FencedError``.

    ``commit`` compares epoch and seq and moves seq. The other verbs compare the epoch alone, so that they run beside a commit.
    """

    async def register_worker(self, worker_id: str, lease_seconds: float) -> Fence:
        """Announce a new worker and give it a lease.

        ``worker_id`` is used once: a worker that lost its lease registers again under a new one. The backend keeps a sign of life
        that the operating system or server withdraws at once when the process dies, where it has one.
        """
        ...

    def renew_lease(self, fence: Fence, lease_seconds: float) -> None:
        """Extend the lease. **Called from a thread of its own**, on a connection of its own, so that it waits for no commit.

        Raises:
            FencedError: The lease had run out and somebody took over, or may at any moment: stop at once.
        """
        ...

    async def retire_worker(self, fence: Fence) -> None:
        """Hand back everything the worker owns, ready for others at once, and forget the worker.

        The claims handed back do not count as attempts.
        """
        ...

    async def withdraw(self, worker_id: str) -> None:
        """Withdraw the sign of life of a worker of this process that gave up, whatever the store holds of it.

        Others may then take over what is left of it without waiting for its lease. Nothing is written. Safe to repeat.
        """
        ...

    async def take_over(self, fence: Fence) -> int:
        """Free what dead workers own: those whose sign of life is gone or whose lease ran out. Never the caller's own.

        In one transaction for each: lock the dead worker's row, move its epoch, free its instances (ready now) and activities;
        their attempts stand.
        Returns the number of instances freed.
        """
        ...

    async def read_fence(self, worker_id: str) -> Fence:
        """Return where the worker's row stands: after an unknown commit, ``seq`` tells whether it landed.

        Raises:
            FencedError: The row is gone or was taken over.
        """
        ...

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
        """Claim ready work and collect letters for what is owned.

        Claims up to ``instances`` instances that are ready (due, free, not parked, of one of these names, or of any if that is ``None``),
        oldest first, and counts the attempt in the same transaction, the first `CLAIMS_COUNTED` in a row. Those whose name and version stand in ``passed_over``, ``""`` for no
        version, are left to others. One that is ready and holds a final letter is claimed whatever its name and version, and also if it is
        parked; the claim takes the park off. Collects the letters of owned instances that were marked ready and takes the mark off
        under the row's lock: each arrival is reported at least once, letters already reported may come again until consumed.
        A letter that was there before an instance that is claimed became ready is reported, too: so what caused a start is known here.
        Claims up to ``activities`` queued activities of the given names, or of any.
        ``number`` grows from fetch to fetch of a worker, from 1: one that is not above that of the last one that found something, or was
        undone, is late and takes nothing.
        What was claimed is durable. That letters were told of need not be: they may be told of again, after a crash of the store as at any time.
        If the answer is lost, the worker may own what it never heard of: it undoes that fetch with `take_stock` before the next.
        ``next_ready_us`` tells when the earliest instance of the hub becomes due that nobody owns and that is not ready yet.
        ``history_bytes_max`` bounds the history returned with each claimed instance; it has at least one row.
        ``errands`` are done in the same round trip, so that an idle worker makes one for all that it has to see to. A lease that has run
        out is not extended: the fetch takes nothing and raises ``FencedError``. `renew_lease` does not wait for a fetch.
        """
        ...

    def offer(self, fence: Fence, offer: Offer) -> Callable[[], None]:
        """Offer to take instances that `InstanceStore.create` begins in this process, from now on; returns how to stop.

        A store may claim what the worker chooses in the transaction that creates it, as a fetch would, and hand it over instead of having it
        fetched; or leave it to fetches. If an answer is lost, what was claimed is given back, as if it had not been, at the next fetch.
        """
        ...

    async def take_stock(self, fence: Fence, number: int) -> None:
        """Undo the fetch of this number, whose answer was lost, whether it took effect or is still to come.

        What it claimed is given back, ready at once, and does not count as an attempt; what is owned otherwise stays so. Owned instances
        that have letters are marked again, so that the next fetch reports them. May be repeated.
        """
        ...

    async def commit(self, fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        """Make a batch durable, all or nothing.

        First ``(epoch, seq)`` of the worker's row is compared with the fence and ``seq`` moved by one; everything else follows from
        that. Items about one instance are applied in their order; between instances none is promised: those that a batch starts may be
        there before any of its letters arrive. So a worker puts at most one turn of an instance into a batch. Items about instances that
        this worker does not own are ignored, their turns reported in ``dropped``. A turn whose ``(instance, execution, turn)`` exists is
        left out with what follows about that instance, and reported in ``dropped``; the instance stays owned. If one turn of a group is
        dropped, nothing of the group happens, and all its instances are reported. No turn of an instance comes before its turn in a group,
        nor is it let go before that.
        For each turn: append the history row, delete the consumed letters, apply status, outputs, state and will, keep the answers, create
        children, put letters into mailboxes and mark the receivers ready, queue activities. What an instance that ends has left as its
        will follows all of them. Letters to instances that are absent and not opened, ended, or at another execution vanish; the bound of a mailbox
        does not apply to them.

        Raises:
            FencedError: Nothing was written.
            BackendUnavailableError: Unknown; ask ``read_fence``.
            BackendError: Nothing was written, some item cannot be; the caller bisects.
        """
        ...

    async def unwanted_activities(self, worker_id: str, item_ids: Sequence[int]) -> frozenset[int]:
        """Return those of these queued activities that the worker has no claim on: their row is gone, or it is not its own.

        Asked about once a second while any are running, so that their code can be stopped. Reads only, and is not fenced: of a worker
        that was taken over, it returns all.
        """
        ...

    async def read_history(
        self,
        instance_id: str,
        *,
        execution: int | None = None,
        after_turn: int = -1,
        bytes_max: int,
    ) -> HistoryPage:
        """Return rows of an execution (the current one by default) after a turn, at least one if there is any.

        Raises:
            InstanceNotFoundError: There is no such instance.
        """
        ...


class InstanceStore(Protocol):
    """What clients ask for."""

    @property
    def letters_max(self) -> int:
        """How many letters a mailbox takes from clients."""
        ...

    async def create(self, instances: Sequence[NewInstance]) -> list[StartOutcome]:
        """Create instances, each according to its reuse policy; answers stand in the order of the arguments.

        A ``request_id`` seen before gets the same answer again and creates nothing. A reused id goes on at the next higher
        execution, also after a purge, with an empty mailbox. REPLACE of a running instance frees it from its owner, whose next turn is then dropped,
        and sends what it has left as its will. An entity's id is taken under any policy.
        """
        ...

    async def send(self, letters: Sequence[Outgoing]) -> list[Delivery]:
        """Put letters into mailboxes and mark the receivers ready; decided under each receiver's row lock.

        A plain letter leaves parked receivers parked, and waits for ``start_at_us`` and for the end of a back-off. An urgent one does
        not wait for ``start_at_us``; a final one makes any free receiver ready at once. Letters of one call to one instance keep their order. A ``request_id`` seen before gets the same answer and delivers nothing.
        FULL if the mailbox holds ``letters_max``; that answer is not kept, the same ``request_id`` may try again. A final letter is
        taken all the same if the mailbox holds none, so that what is flooded can be ended.
        """
        ...

    async def read_answers(self, request_ids: Sequence[str]) -> list[bytes | None]:
        """Return the answers to requests in the order of the arguments; ``None`` where there is none yet, or not any more."""
        ...

    async def read_letters(self, instance_id: str, *, limit: int) -> list[Mail]:
        """Return the letters that lie in a mailbox, the first ``limit`` of them in order of arrival; none if there is no such instance."""
        ...

    async def read_queued(self, instance_id: str) -> dict[int, str | None]:
        """Return which activities of an instance are in the queue, by sequence number, each with the worker that has claimed it, or ``None``."""
        ...

    async def read(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> list[InstanceRecord | None]:
        """Return instances in the order of the arguments; an entity as one that runs, without ``started_events``.

        Without payloads, ``started_events`` and ``output`` are left out.
        """
        ...

    async def query(
        self,
        where: InstanceFilter,
        *,
        limit: int,
        page: str | None,
        payloads: bool,
        order: QueryOrder = QueryOrder.CREATED,
    ) -> InstancePage:
        """Return orchestrations in an order; ``page`` is the ``next_page`` of the page before, in the same order."""
        ...

    async def read_entities(self, instance_ids: Sequence[str]) -> list[EntityRecord | None]:
        """Return entities in the order of the arguments; ``None`` where there is none."""
        ...

    async def query_entities(
        self, where: EntityFilter, *, limit: int, page: str | None
    ) -> EntityPage:
        """Return entities in byte order of their ids; ``page`` is the ``next_page`` of the page before."""
        ...

    async def discard_entities(self, instance_ids: Sequence[str]) -> list[str]:
        """Forget those entities that hold neither state nor letters, owned or not, parked or not. Returns their ids.

        As after `purge`, a later life goes on at the next execution. An owner's next turn is dropped.
        """
        ...

    async def purge(self, instance_ids: Sequence[str]) -> list[str]:
        """Delete those that have ended: history, letters, outputs. Returns the ids deleted.

        A tombstone keeps the execution number, so that a later instance of the same id goes on above it and late letters miss it.
        """
        ...

    async def expire(
        self, expiry: Expiry, *, limit: int, after: Place | None = None, deletes: bool = True
    ) -> Expired:
        """Delete, as `purge` does, orchestrations that ended long ago, of the next ``limit`` in order of completion after a place.

        A sub-orchestration is kept as long as its parent is at the execution of its link and has not ended, or has failed, so that it may
        be rewound. One that somebody else is about to change is left for another time, rather than waited for. ``deletes=False`` only tells which it would be.
        """
        ...

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> bool:
        """Set failed instances going again with another history, all or none.

        What ended as a child of that execution is one of the next from then on, so that `expire` keeps it. False, and nothing written,
        if one is no longer FAILED at the execution that was read.
        """
        ...

    async def unpark(self, instance_ids: Sequence[str]) -> list[str]:
        """Put parked instances back, ready at once with no attempts counted. Returns the ids that were parked."""
        ...


class Hearing(Enum):
    """How much of what other processes do is heard of here.

    ALWAYS: Every change, if not at once. MOSTLY: Every change, but for those whose process died or whose connection broke before it told.
    NEVER: Nothing, at the moment.
    """

    ALWAYS = "always"
    MOSTLY = "mostly"
    NEVER = "never"


class Wakeups(Protocol):
    """Hints that something changed. They may be lost, doubled and late: whoever listens also polls."""

    @property
    def hearing(self) -> Hearing:
        """Tell how much depends on polling just now."""
        ...

    def listen(
        self,
        on_work: Callable[[], None],
        on_changed: Callable[[frozenset[str] | None], None],
        on_progress: Callable[[frozenset[str] | None], None] | None = None,
    ) -> Callable[[], None]:
        """Call back when something happened elsewhere; returns how to stop.

        ``on_work``: there may be work, or a claimed activity is wanted no more. ``on_changed``: ids of orchestrations that ended, were
        parked, put back or deleted, of entities whose state changed, and of requests that were answered (``None``: any of these, and
        any progress). ``on_progress``: ids of orchestrations whose status or custom status changed otherwise, as when they begin to run
        (``None``: any); a little later than the rest, perhaps.
        Called on the event loop that opened the backend, after the commit, quickly: the callee only sets flags.
        """
        ...


class Backend(TaskHubAdmin, WorkQueue, InstanceStore, Wakeups, Protocol):
    """The four together, for one task hub."""
