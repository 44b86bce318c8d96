"""Slots: the instances that this worker owns, warm in memory, in order of use."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from durable_async._kernel.entities.instance import EntityInstance
from durable_async._kernel.orchestration import Orchestration
from durable_async.model.status import Status

from ._activities import Attempt


@dataclass(slots=True, eq=False)
class Slot:
    """One owned instance.

    Attributes:
        instance: The instance itself.
        turn: Number of its next turn.
        status: What the store holds.
        history_bytes: Size of its history, about.
        committing: Whether a turn of it is on its way to the store.
        renewing: Whether that turn ends its execution, and begins the next.
        queued: Whether it waits for a turn.
        attempts: Its activities' attempts that run here, by sequence number.
        elsewhere: Its activities that were given to the hub's queue.
        claims: How often it was claimed since it last came through.
        is_busy: Whether an operation of the entity is under way that takes longer than a turn.
        is_alone: Whether its turns are committed without those of others: together they could not be.
        has_will: Whether the store may hold a will of it.
        speaks_after: The fetch after which nothing that it sent from elsewhere can be on its way.
    """

    instance: Orchestration | EntityInstance
    turn: int
    status: Status
    history_bytes: int
    claims: int
    committing: bool = False
    renewing: bool = False
    queued: bool = False
    attempts: dict[int, Attempt] = field(default_factory=dict)
    elsewhere: set[int] = field(default_factory=set)
    is_busy: bool = False
    is_alone: bool = False
    has_will: bool = False
    speaks_after: int = 0

    @property
    def instance_id(self) -> str:
        """Whose slot it is."""
        return self.instance.instance_id

    @property
    def execution(self) -> int:
        """The execution that is under way."""
        return self.instance.execution

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


class Slots:
    """All slots of a worker, least recently used first, and the line of those that wait for a turn."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, Slot] = OrderedDict()
        self._ready: deque[Slot] = deque()
        self.history_bytes = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._by_id.values())

    def get(self, instance_id: str) -> Slot | None:
        """Return an instance's slot."""
        return self._by_id.get(instance_id)

    def holds(self, slot: Slot) -> bool:
        """Tell whether a slot is still current."""
        return self._by_id.get(slot.instance_id) is slot

    def add(self, slot: Slot) -> None:
        """Take a newly claimed instance in."""
        self._by_id[slot.instance_id] = slot
        self.history_bytes += slot.history_bytes

    def remove(self, slot: Slot) -> None:
        """Take an instance out."""
        if self.holds(slot):
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
            self._ready.append(slot)

    def next_ready(self) -> Slot | None:
        """Take the first in line whose last turn is over; another one that has had one in the meantime comes again after that."""
        while self._ready:
            slot = self._ready.popleft()
            slot.queued = False
            if self.holds(slot) and not (slot.committing or slot.is_busy):
                self._by_id.move_to_end(slot.instance_id)
                return slot
        return None

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return len(self._ready)

    @property
    def none_ready(self) -> bool:
        """Whether nobody waits for a turn."""
        return not self._ready

    def idle(self) -> Iterator[Slot]:
        """Go through the idle ones, least recently used first."""
        return (slot for slot in list(self._by_id.values()) if slot.is_idle)
