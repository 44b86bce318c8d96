"""The rows of the store: instances with their histories and mailboxes, workers, queued activities."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from durable_async.environment import SystemEnvironment
from durable_async.failure import FailureDetails
from durable_async.model.history import ParentLink
from durable_async.model.identity import ENTITY_MARK
from durable_async.model.records import (
    CLAIMS_COUNTED,
    NO_WILL,
    EntityRecord,
    HistoryRow,
    InstanceRecord,
    Mail,
    QueuedActivity,
    Will,
)
from durable_async.model.status import Status
from durable_async.model.upkeep import WorkerRecord

_HERE = SystemEnvironment()
"""The one process that a store in memory has."""


def counted(attempts: int) -> int:
    """Return how many attempts are counted after one more claim; see `CLAIMS_COUNTED`."""
    return max(attempts, min(attempts + 1, CLAIMS_COUNTED))


class History:
    """The rows of one execution in order of turns; an entity has none."""

    __slots__ = ("_rows", "_turns")

    def __init__(self, started: bytes | None = None) -> None:
        self._turns: list[int] = []
        self._rows: list[HistoryRow] = []
        if started is not None:
            self.add(0, started)

    @property
    def started(self) -> bytes | None:
        """Events of turn 0, if there is one."""
        return self._rows[0].events if self._rows else None

    def has(self, turn: int) -> bool:
        """Tell whether a turn was written."""
        at = bisect_left(self._turns, turn)
        return at < len(self._turns) and self._turns[at] == turn

    def add(self, turn: int, events: bytes) -> None:
        """Write a turn that is not there yet."""
        at = bisect_left(self._turns, turn)
        self._turns.insert(at, turn)
        self._rows.insert(at, HistoryRow(turn=turn, events=events))

    def page(self, after_turn: int, bytes_max: int) -> tuple[tuple[HistoryRow, ...], bool]:
        """Return rows after a turn, as many as fit and at least one, and whether there are more."""
        begin = bisect_right(self._turns, after_turn)
        end, size = begin, 0
        while end < len(self._rows):
            size += len(self._rows[end].events)
            if size > bytes_max and end > begin:
                break
            end += 1
        return tuple(self._rows[begin:end]), end < len(self._rows)


@dataclass(slots=True, kw_only=True, eq=False)
class Instance:
    """One instance.

    Attributes:
        owner: The worker that has it; while it is free, its schedule entry says when it is ready.
        fetch: The fetch in which it was claimed.
        hold_until_us: Nothing makes it ready before: it was abandoned.
        mailbox: Letters by id, in order of arrival.
        fresh: Those of them that its owner was not told of yet.
        final: Ids of those of them that end it.
        activities: Ids of its rows in the queue, by sequence number.
        state: An entity's snapshot.
        will: What is sent when it ends.
    """

    instance_id: str
    name: str
    version: str | None
    execution: int
    history: History
    created_at_us: int
    updated_at_us: int
    start_at_us: int
    tags: dict[str, str]
    parent: ParentLink | None
    status: Status = Status.PENDING
    completed_at_us: int | None = None
    custom_status: bytes | None = None
    output: bytes | None = None
    failure: FailureDetails | None = None
    parked: str | None = None
    owner: str | None = None
    fetch: int = 0
    attempts: int = 0
    hold_until_us: int = 0
    mailbox: dict[int, Mail] = field(default_factory=dict)
    fresh: dict[int, Mail] = field(default_factory=dict)
    final: set[int] = field(default_factory=set)
    activities: dict[int, list[int]] = field(default_factory=dict)
    state: bytes | None = None
    will: Will = NO_WILL

    @property
    def is_entity(self) -> bool:
        """Whether it is one."""
        return self.instance_id.startswith(ENTITY_MARK)

    @property
    def sort_key(self) -> tuple[int, str]:
        """Its place in queries."""
        return (self.created_at_us, self.instance_id)

    def record(self, *, payloads: bool) -> InstanceRecord:
        """Return what a client sees of it."""
        return InstanceRecord(
            instance_id=self.instance_id,
            name=self.name,
            version=self.version,
            status=self.status,
            execution=self.execution,
            created_at_us=self.created_at_us,
            updated_at_us=self.updated_at_us,
            completed_at_us=self.completed_at_us,
            start_at_us=self.start_at_us,
            tags=dict(self.tags),
            parent=self.parent,
            custom_status=self.custom_status,
            output=self.output if payloads else None,
            failure=self.failure,
            parked=self.parked,
            owner=self.owner,
            started_events=self.history.started if payloads else None,
        )

    def entity_record(self) -> EntityRecord:
        """Return what a client sees of it if it is an entity."""
        return EntityRecord(
            instance_id=self.instance_id,
            name=self.name,
            state=self.state,
            created_at_us=self.created_at_us,
            updated_at_us=self.updated_at_us,
            letters=len(self.mailbox),
            parked=self.parked,
            owner=self.owner,
        )


@dataclass(slots=True, kw_only=True, eq=False)
class WorkerRow:
    """Fence, lease and ledger of one worker. Its collections are dicts for the sake of their order.

    Attributes:
        session: The backend object that registered it.
        alive: Sign of life: whether that backend is still open.
        owned: Ids of its instances.
        marked: Those of them that got mail since it last fetched.
        activities: Ids of the queued activities that it claimed.
        fetched: Number of its last fetch.
    """

    worker_id: str
    epoch: int
    seq: int
    registered_at_us: int
    lease_until_us: int
    session: object
    alive: bool = True
    owned: dict[str, None] = field(default_factory=dict)
    marked: dict[str, None] = field(default_factory=dict)
    activities: dict[int, None] = field(default_factory=dict)
    fetched: int = 0

    def record(self, now_us: int) -> WorkerRecord:
        """Return what others see of it."""
        return WorkerRecord(
            worker_id=self.worker_id,
            host=_HERE.hostname(),
            pid=_HERE.pid(),
            registered_at_us=self.registered_at_us,
            lease_until_us=self.lease_until_us,
            is_alive=self.alive and now_us < self.lease_until_us,
            instances=len(self.owned),
            activities=len(self.activities),
            epoch=self.epoch,
            commits=self.seq,
        )


@dataclass(slots=True, kw_only=True, eq=False)
class ActivityRow:
    """One queued activity, waiting or claimed."""

    item_id: int
    activity: QueuedActivity
    attempts: int = 0
    owner: str | None = None
    fetch: int = 0
