"""What passes through the port: requests of the engine, and what the store answers.

Bodies (`events`, `letter`, `input`, …) are opaque bytes to a backend. Times are microseconds since the epoch, UTC, on the store's clock.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

import msgspec

from durable_async.failure import FailureDetails
from durable_async.model.history import ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.status import Status


class _Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    pass


# -- what the engine asks for


class Fence(_Record, frozen=True, kw_only=True, gc=False):
    """A worker's right to commit: its row's epoch and sequence number.

    Every commit moves ``seq`` by one, every takeover moves ``epoch``: whoever holds an old pair can write nothing.
    """

    worker_id: str
    epoch: int
    seq: int


class NewInstance(_Record, frozen=True, kw_only=True, gc=False):
    """An instance to create at PENDING, with turn 0 of its first execution.

    Attributes:
        events: Encoded ``[ExecutionStarted]``.
        start_at_us: Not ready before; 0 for at once.
        reuse: What to do if the id is taken.
        parent: Its parent's operation, or ``None`` at top level. When a running instance is replaced, the replaced one's
            parent is not told.
        refusal: Letter to put into the parent's mailbox if nothing was created.
        request_id: Makes a repetition of the same call harmless; ``None`` where a turn's commit does.
    """

    instance_id: str
    name: str
    version: str | None
    events: bytes
    created_at_us: int
    start_at_us: int = 0
    tags: dict[str, str] = {}
    reuse: ReusePolicy = ReusePolicy.REJECT
    parent: ParentLink | None = None
    refusal: bytes | None = None
    request_id: str | None = None


class Outgoing(_Record, frozen=True, kw_only=True, gc=False):
    """A letter for an instance's mailbox.

    Attributes:
        execution: Only for this execution of the receiver; ``None`` for whichever is current.
        parent: Only if the receiver is the sub-orchestration of this operation, not a stranger under the id that it was to have;
            ``None`` for whoever it is. Its depth says nothing here.
        urgent: Wakes the receiver even before its ``start_at_us`` (terminate, suspend).
        final: It ends the receiver: until it is consumed, any worker may claim the receiver for it, whether or not it registers
            its name, and also if it is parked. It waits neither for ``start_at_us`` nor for the end of a back-off.
        opens: If no instance has the id, one of this name is there before the letter arrives: RUNNING, without history and state.
            Only entities begin so; their letters are for no execution and no parent in particular. Of letters to one entity in a call
            or batch, those that do not open it may find it opened by the others.
        request_id: Makes a repetition of the same call harmless; ``None`` where a commit does.
    """

    instance_id: str
    execution: int | None
    letter: bytes
    parent: ParentLink | None = None
    urgent: bool = False
    final: bool = False
    opens: str | None = None
    request_id: str | None = None


class Will(_Record, frozen=True, kw_only=True, gc=False):
    """A letter that the store sends when an instance ends, whoever ends it.

    Sent, and forgotten, in the same commit as: a terminal status, the next execution, a park, or the replacement by another instance.
    It follows what the turn itself sends. Not opened, for no execution in particular.
    """

    receivers: tuple[str, ...]
    letter: bytes


NO_WILL = Will(receivers=(), letter=b"")


class Answer(_Record, frozen=True, kw_only=True, gc=False):
    """What came of a request, kept for the client that waits for it, as long as answers to requests are. The first one stands."""

    request_id: str
    answer: bytes


class QueuedActivity(_Record, frozen=True, kw_only=True, gc=False):
    """An activity for any worker that registers its name.

    Its row goes with the execution that queued it.

    Attributes:
        options: Encoded time limits of an attempt; opaque.
    """

    instance_id: str
    execution: int
    seq: int
    attempt: int
    name: str
    input: bytes
    options: bytes = b""


class NextExecution(_Record, frozen=True, kw_only=True, gc=False):
    """What continue-as-new leads to: turn 0 of the next execution; the old history goes."""

    events: bytes
    version: str | None


class TurnCommit(_Record, frozen=True, kw_only=True, gc=False):
    """One turn of one owned instance: all of it becomes durable, or nothing. Attempts are forgotten.

    Attributes:
        turn: Its place in the history of ``execution``; no two commits can have the same.
        events: Encoded events; empty writes no history row.
        consumed: Ids of the letters that the turn took; exactly these are deleted.
        status: New status, or ``None`` if unchanged. A terminal one frees the instance, empties its mailbox and deletes its
            queued activities.
        custom_status: New custom status; ``None`` if unchanged, ``b""`` to clear.
        next_execution: With continue-as-new; the instance stays owned, at ``execution + 1``, turn 0. Letters that were not
            consumed stay, except those for ``execution``; the old history and its queued activities go.
        cancelled: Sequence numbers of queued activities that are no longer wanted; their rows go, before ``queued`` is added.
        state: New state of an entity, a snapshot; ``None`` if unchanged, ``b""`` for none.
        will: What is sent when the instance ends, from now on; ``None`` if unchanged, ``NO_WILL`` for nothing. If this turn ends it, its
            new will counts.
        answers: For clients that wait for them.
        group: Turns of one number in a batch answer each other: if one of them is dropped, all are. 0 stands for none.
    """

    instance_id: str
    execution: int
    turn: int
    events: bytes
    consumed: tuple[int, ...] = ()
    status: Status | None = None
    output: bytes | None = None
    failure: FailureDetails | None = None
    custom_status: bytes | None = None
    outbox: tuple[Outgoing, ...] = ()
    children: tuple[NewInstance, ...] = ()
    queued: tuple[QueuedActivity, ...] = ()
    cancelled: tuple[int, ...] = ()
    next_execution: NextExecution | None = None
    state: bytes | None = None
    will: Will | None = None
    answers: tuple[Answer, ...] = ()
    group: int = 0


class Release(_Record, frozen=True, kw_only=True, gc=False):
    """Let an owned instance go.

    It becomes ready at ``wake_at_us`` (``None``: not before a letter arrives), or at once if its mailbox holds a letter that is not among
    ``seen``: looked up under the row's lock, so that no wake-up is lost. Its attempts are forgotten.
    Nothing happens if ``execution`` is given, and another one is current: it was replaced, and claimed anew.
    """

    instance_id: str
    wake_at_us: int | None
    seen: tuple[int, ...] = ()
    execution: int | None = None


class Abandon(_Record, frozen=True, kw_only=True, gc=False):
    """Give an owned instance back without a turn; its attempts stand.

    It is not tried before ``retry_at_us`` whatever arrives, except a final letter. If it holds one, and letters that were not
    reported to its owner, it is ready at once. ``execution`` as for `Release`.
    """

    instance_id: str
    retry_at_us: int
    execution: int | None = None


class Park(_Record, frozen=True, kw_only=True, gc=False):
    """Take an owned instance out of circulation until somebody unparks it; its mailbox goes on filling.

    If it holds a final letter, or as soon as one arrives, it is ready to be claimed for that. ``execution`` as for `Release`.
    """

    instance_id: str
    reason: str
    execution: int | None = None


class ActivityResult(_Record, frozen=True, kw_only=True, gc=False):
    """A queued activity that this worker claimed ended: its row goes, the letter reaches the instance.

    Nothing happens if the row is gone, or is another worker's.
    """

    item_id: int
    outgoing: Outgoing


class UnclaimedActivity(_Record, frozen=True, kw_only=True, gc=False):
    """Give up on a queued activity that no worker has claimed: its row goes, the letter reaches the instance.

    Nothing happens if somebody has claimed it, or the row is gone.
    """

    instance_id: str
    execution: int
    seq: int
    outgoing: Outgoing


class ActivityProgress(_Record, frozen=True, kw_only=True, gc=False):
    """A queued activity that this worker claimed reports: the letter reaches the instance, the row stays claimed.

    Nothing happens if the row is gone, or is another worker's.

    Attributes:
        options: In place of those of the row, for whoever has to begin it again.
    """

    item_id: int
    outgoing: Outgoing
    options: bytes


class Recount(_Record, frozen=True, kw_only=True, gc=False):
    """Set how many attempts are counted of an owned instance; it stays owned, and nothing else happens.

    A worker that runs a suspect alone takes the present claim off everybody else's account, so that they do not pay for
    the suspect's crash. ``execution`` as for `Release`.
    """

    instance_id: str
    attempts: int
    execution: int | None = None


class ActivityRecount(_Record, frozen=True, kw_only=True, gc=False):
    """Set how many attempts are counted of a queued activity that this worker claimed.

    Nothing happens if the row is gone, or is another worker's.

    Attributes:
        is_returned: Whether it is also given back, for any worker to claim at once, in its old place in the queue.
    """

    item_id: int
    attempts: int
    is_returned: bool = False


CommitItem: TypeAlias = (
    TurnCommit
    | Release
    | Abandon
    | Park
    | Recount
    | ActivityResult
    | UnclaimedActivity
    | ActivityProgress
    | ActivityRecount
)


# -- what the store answers


class HistoryRow(_Record, frozen=True, kw_only=True, gc=False):
    """The events of one turn."""

    turn: int
    events: bytes


class Mail(_Record, frozen=True, kw_only=True, gc=False):
    """A letter in a mailbox, in order of arrival."""

    id: int
    instance_id: str
    execution: int | None
    letter: bytes


CLAIMS_COUNTED = 3
"""So many claims in a row are counted when they happen. What is claimed for the third time may kill its worker, and those that are claimed
with it are not to pay for that: from then on the worker counts, one after the other, when it is about to try it."""


def uncounted(attempts: int) -> int:
    """Return how many attempts are counted when a claim is undone that told of so many: those that were tried stand."""
    return attempts if attempts > CLAIMS_COUNTED else max(attempts - 1, 0)


class ClaimedInstance(_Record, frozen=True, kw_only=True, gc=False):
    """An instance that is now this worker's.

    Attributes:
        attempts: How often it was claimed since it last came through, as far as that is counted; this claim included.
        history: First rows of its current execution, from turn 0.
        more_history: Whether ``read_history`` has more rows.
        mail: All letters in its mailbox.
        queued: Sequence numbers of this execution's activities that are in the hub's queue.
        state: An entity's snapshot; entities have no history.
    """

    instance_id: str
    name: str
    version: str | None
    status: Status
    execution: int
    attempts: int
    start_at_us: int
    parent: ParentLink | None
    history: tuple[HistoryRow, ...]
    more_history: bool
    mail: tuple[Mail, ...]
    queued: tuple[int, ...] = ()
    state: bytes | None = None


class ClaimedActivity(_Record, frozen=True, kw_only=True, gc=False):
    """A queued activity that is now this worker's to run."""

    item_id: int
    attempts: int
    activity: QueuedActivity


class Errands(_Record, frozen=True, kw_only=True, gc=False):
    """What a fetch does along the way.

    Attributes:
        lease_seconds: Extend the lease by so much; ``None`` leaves it as it is.
        looks_around: Tell of the workers of the hub.
    """

    lease_seconds: float | None = None
    looks_around: bool = False


NO_ERRANDS = Errands()


class Census(_Record, frozen=True, kw_only=True, gc=False):
    """The workers of a hub at a moment.

    Attributes:
        workers: How many are registered, the caller among them.
        dead: How many of them `take_over` would find.
        commits: How many commits all of them have made; that it changes shows that the hub is in use.
    """

    workers: int
    dead: int
    commits: int


class Work(_Record, frozen=True, kw_only=True, gc=False):
    """Answer to ``fetch``: instances claimed, and letters for instances already owned; a census, if it was asked for."""

    claimed: tuple[ClaimedInstance, ...] = ()
    mail: tuple[Mail, ...] = ()
    activities: tuple[ClaimedActivity, ...] = ()
    next_ready_us: int | None = None
    census: Census | None = None


class CommitResult(_Record, frozen=True, kw_only=True, gc=False):
    """Answer to ``commit``.

    Attributes:
        fence: To be used for the next commit.
        dropped: Instances whose turn was not written, because that turn exists already or the instance is no longer this
            worker's at that execution: drop them from the cache.
    """

    fence: Fence
    dropped: frozenset[str] = frozenset()


class StartOutcome(_Record, frozen=True, kw_only=True, gc=False):
    """Answer to one ``NewInstance``: whether it was created; otherwise the status of the one that is there.

    An id that was never used begins at execution 1.
    """

    created: bool
    status: Status
    execution: int


class Delivery(Enum):
    """Answer to one ``Outgoing``; NOT_FOUND also if the instance is at another execution."""

    DELIVERED = "delivered"
    NOT_FOUND = "not found"
    TERMINAL = "terminal"
    FULL = "full"


class InstanceRecord(_Record, frozen=True, kw_only=True, gc=False):
    """An instance as a client sees it.

    Attributes:
        parked: Why it was taken out of circulation, or ``None``.
        started_events: Turn 0 of its current execution, encoded ``[ExecutionStarted]``, from which a reader takes the input.
    """

    instance_id: str
    name: str
    version: str | None
    status: Status
    execution: int
    created_at_us: int
    updated_at_us: int
    completed_at_us: int | None = None
    start_at_us: int = 0
    tags: dict[str, str] = {}
    parent: ParentLink | None = None
    custom_status: bytes | None = None
    output: bytes | None = None
    failure: FailureDetails | None = None
    parked: str | None = None
    owner: str | None = None
    started_events: bytes | None = None


class InstanceFilter(_Record, frozen=True, kw_only=True, gc=False):
    """Which instances: all conditions that are set must hold; times from are inclusive, times to exclusive.

    Attributes:
        tags: Each of these keys with this value.
        parked: Only parked ones (``True``), only others (``False``), or both.
    """

    statuses: tuple[Status, ...] = ()
    names: tuple[str, ...] = ()
    id_prefix: str = ""
    created_from_us: int | None = None
    created_to_us: int | None = None
    completed_from_us: int | None = None
    completed_to_us: int | None = None
    tags: dict[str, str] = {}
    parent_id: str | None = None
    parked: bool | None = None


class QueryOrder(Enum):
    """In which order a query goes through instances; those of the same time in byte order of their ids."""

    CREATED = "created"
    """Oldest first."""
    COMPLETED = "completed"
    """Those that ended first come first, and those that have not ended are left out; of those that end meanwhile, the last may be missed."""
    NEWEST = "newest"
    """As CREATED, from the other end, ids as well."""
    LATEST = "latest"
    """As COMPLETED, from the other end; what ends meanwhile is not on the pages that follow."""

    @property
    def is_by_creation(self) -> bool:
        """Whether it goes by when instances were started, and not by when they ended."""
        return self in (QueryOrder.CREATED, QueryOrder.NEWEST)

    @property
    def is_backward(self) -> bool:
        """Whether what came last comes first."""
        return self in (QueryOrder.NEWEST, QueryOrder.LATEST)

    def place_of(self, instance: InstanceRecord) -> tuple[int, str]:
        """Return by what an instance is sorted."""
        if self.is_by_creation:
            return instance.created_at_us, instance.instance_id
        assert instance.completed_at_us is not None
        return instance.completed_at_us, instance.instance_id


class InstancePage(_Record, frozen=True, kw_only=True, gc=False):
    """Some instances in the order of a query, and where to go on; ``None`` after the last page."""

    items: tuple[InstanceRecord, ...]
    next_page: str | None = None


class HistoryPage(_Record, frozen=True, kw_only=True, gc=False):
    """Some rows of a history in order of turns, and whether there are more."""

    execution: int
    rows: tuple[HistoryRow, ...]
    more: bool = False


class Rewrite(_Record, frozen=True, kw_only=True, gc=False):
    """Replace the history of a failed instance and set it going again: RUNNING, as its next execution, ready at once.

    Attributes:
        execution: The execution that was read; the rewrite is refused if another one is current.
        events: Encoded events of the new execution's turn 0.
        parent: Where it reports to from now on, as given: its parent's operation in the parent's new execution, if that is
            rewritten too.
        mail: Letters for the new execution, in its mailbox from the beginning.
    """

    instance_id: str
    execution: int
    events: bytes
    parent: ParentLink | None
    mail: tuple[bytes, ...] = ()

    def outgoing(self) -> list[Outgoing]:
        """Return its letters as they are delivered."""
        return [
            Outgoing(instance_id=self.instance_id, execution=self.execution + 1, letter=letter)
            for letter in self.mail
        ]


class EntityRecord(_Record, frozen=True, kw_only=True, gc=False):
    """An entity as a client sees it.

    Attributes:
        state: Its snapshot; ``None`` if it has none.
        updated_at_us: When its state last changed, or it was parked or put back.
        letters: How many letters lie in its mailbox.
        parked: Why it was taken out of circulation as a whole, or ``None``.
    """

    instance_id: str
    name: str
    state: bytes | None
    created_at_us: int
    updated_at_us: int
    letters: int
    parked: str | None = None
    owner: str | None = None


class EntityFilter(_Record, frozen=True, kw_only=True, gc=False):
    """Which entities: all conditions that are set must hold; times from are inclusive, times to exclusive.

    Attributes:
        id_prefix: Begins with ``@``; ``@name@`` stands for all of one kind.
        has_state: Only those that have a snapshot (``True``), only others (``False``), or both.
    """

    id_prefix: str = "@"
    updated_from_us: int | None = None
    updated_to_us: int | None = None
    has_state: bool | None = None


class EntityPage(_Record, frozen=True, kw_only=True, gc=False):
    """Some entities in byte order of their ids, and where to go on; ``None`` after the last page."""

    items: tuple[EntityRecord, ...]
    next_page: str | None = None


class HubStatistics(_Record, frozen=True, kw_only=True, gc=False):
    """How much a task hub holds.

    Attributes:
        by_status: Orchestrations, by where they stand.
        entities: Entities, also those that hold nothing.
        parked: Orchestrations and entities that are out of circulation.
        workers: Workers that are registered, in whichever process.
        letters: What lies in mailboxes, and no turn has taken yet.
        queued_activities: Activities that wait for any worker, or that one has taken from the queue.
    """

    by_status: dict[Status, int]
    entities: int
    parked: int
    workers: int
    letters: int
    queued_activities: int
