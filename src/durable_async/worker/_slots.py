"""Slots: the instances that this worker owns, warm in memory, in order of use."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field

from durable_async._kernel.entities.instance import EntityInstance
from durable_async._kernel.orchestration import Orchestration
from durable_async.model.records import CLAIMS_COUNTED
from durable_async.model.status import Status

from ._activities import Attempt
from ._bell import Bell
from ._memos import Memo


@dataclass(slots=True, eq=False)
class Slot:
    """One owned instance.

    Attributes:
        instance: The instance itself.
        turn: Number of its next turn.
        status: What the store holds.
        history_bytes: Size of its history, about.
        claims: How often it was claimed since it last came through.
        on_trial: How many operations of a suspected entity are still tried one by one, if its line is not empty before.
        elsewhere: Its activities that were given to the hub's queue.
        instance_id: Whose slot it is.
        execution: The execution that is under way.
        is_suspect: Whether workers died of it, or may have, and it has not shown yet that it is harmless.
        is_held: Whether the worker still has it; one that was let go may be the subject of something that is on its way.
        committing: Whether a turn of it is on its way to the store.
        renewing: Whether that turn ends its execution, and begins the next.
        queued: Whether it waits for a turn.
        attempts: Its activities' attempts that run here, by sequence number.
        is_busy: Whether an operation of the entity is under way that takes longer than a turn.
        is_alone: Whether its turns are committed without those of others: together they could not be.
        has_will: Whether the store may hold a will of it.
        speaks_after: The fetch after which nothing that it sent from elsewhere can be on its way.
        memo: What is remembered to be told, where somebody listens.
    """

    instance: Orchestration | EntityInstance
    turn: int
    status: Status
    history_bytes: int
    claims: int
    on_trial: int = 0
    elsewhere: set[int] = field(default_factory=set)
    memo: Memo | None = None
    instance_id: str = field(init=False)
    execution: int = field(init=False)
    is_suspect: bool = field(init=False)
    is_held: bool = field(default=False, init=False)
    committing: bool = field(default=False, init=False)
    renewing: bool = field(default=False, init=False)
    queued: bool = field(default=False, init=False)
    attempts: dict[int, Attempt] = field(default_factory=dict, init=False)
    is_busy: bool = field(default=False, init=False)
    is_alone: bool = field(default=False, init=False)
    has_will: bool = field(default=False, init=False)
    speaks_after: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.instance_id = self.instance.instance_id
        self.execution = self.instance.execution
        self.is_suspect = self.claims >= CLAIMS_COUNTED

    def came_through(self) -> None:
        """Take note that it has harmed nobody, up to now."""
        self.claims = 0
        self.is_suspect = self.on_trial > 0

    def end_trial(self) -> None:
        """Take note that nothing stands in line behind what came through."""
        self.on_trial = 0
        self.is_suspect = self.claims >= CLAIMS_COUNTED

    @property
    def orchestration(self) -> Orchestration:
        """The instance, which is an orchestration."""
        assert isinstance(self.instance, Orchestration)
        return self.instance

    @property
    def entity(self) -> EntityInstance:
        """The instance, which is an entity."""
        assert isinstance(self.instance, EntityInstance)
        return self.instance

    @property
    def is_idle(self) -> bool:
        """Whether it could be let go without losing anything that is under way."""
        return not (self.committing or self.queued or self.attempts or self.is_busy)

    def renew(self, instance: Orchestration) -> None:
        """Go on with the next execution, at its first turn."""
        self.instance = instance
        self.execution = instance.execution
        self.turn = 1
        self.has_will = False
        self.memo = None
        self.elsewhere.clear()


class Slots:
    """All slots of a worker, least recently used first, and the line of those that wait for a turn."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, Slot] = OrderedDict()
        self._ready: deque[Slot] = deque()
        self._bell = Bell()
        self.history_bytes = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._by_id.values())

    def get(self, instance_id: str) -> Slot | None:
        """Return an instance's slot."""
        return self._by_id.get(instance_id)

    def add(self, slot: Slot) -> None:
        """Take a newly claimed instance in."""
        former = self._by_id.get(slot.instance_id)
        if former is not None:
            former.is_held = False
        slot.is_held = True
        self._by_id[slot.instance_id] = slot
        self.history_bytes += slot.history_bytes

    def remove(self, slot: Slot) -> None:
        """Take an instance out."""
        if slot.is_held:
            slot.is_held = False
            del self._by_id[slot.instance_id]
            self.history_bytes -= slot.history_bytes

    def grow(self, slot: Slot, size: int) -> None:
        """Note that its history grew."""
        slot.history_bytes += size
        self.history_bytes += size

    def enqueue(self, slot: Slot) -> None:
        """Put it in line for a turn, unless it is, or its last turn is not over and durable."""
        if not (slot.queued or slot.committing or slot.is_busy):
            slot.queued = True
            if not self._ready:
                self._bell.ring()
            self._ready.append(slot)

    def next_ready(self) -> Slot | None:
        """Take the first in line whose last turn is over; another one that has had one in the meantime comes again after that."""
        while self._ready:
            slot = self._ready.popleft()
            slot.queued = False
            if slot.is_held and not (slot.committing or slot.is_busy):
                self._by_id.move_to_end(slot.instance_id)
                return slot
        return None

    def wait(self) -> Awaitable[None]:
        """Wait until somebody gets in line; nobody is."""
        return self._bell.wait()

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return len(self._ready)

    def idle(self) -> Iterator[Slot]:
        """Go through the idle ones, least recently used first."""
        return (slot for slot in list(self._by_id.values()) if slot.is_idle)
