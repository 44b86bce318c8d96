"""What the store tells of every instance in the end, turn by turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from durable_async import TaskHub
from durable_async.client import OrchestrationState
from durable_async.model.history import (
    ActivityCompleted,
    ActivityScheduled,
    EntityCallCompleted,
    EntityCalled,
    EntityCallFailed,
    EntityLocked,
    EntityLocksReleased,
    EntityLocksRequested,
    HistoryEvent,
    SubOrchestrationCompleted,
    SubOrchestrationScheduled,
    TimerCreated,
    TimerFired,
    TurnStarted,
)
from durable_async.serialization.events import decode_events

_ALL_BYTES = 2**40
_READERS = 4


@dataclass
class Operation:
    """An activity, timer, child or call of one execution, by its number.

    Attributes:
        asked_us: When the turn was recorded that asked for it.
        key: Of an activity in the ledger; the id of a child, or of the entity that is called.
        name: Of an entity's operation.
        section: Of a call: the number of the lock request that it is made under, or 0.
        fire_at_us: Of a timer.
        outcomes_us: When the turns were recorded that took in its outcome; more than one is one too many.
    """

    asked_us: int
    key: str = ""
    name: str = ""
    section: int = 0
    fire_at_us: int = 0
    outcomes_us: list[int] = field(default_factory=list)

    def is_open_at(self, at_us: int) -> bool:
        """Whether it was under way at a time."""
        return self.asked_us <= at_us and not any(one <= at_us for one in self.outcomes_us)


@dataclass
class Section:
    """A critical section.

    Attributes:
        unlocked: Entities that are not locked yet.
        begun_us: When the turn was recorded that knew all to be locked; 0 if none did.
        over_us: When it was released; 0 if that is not said.
    """

    unlocked: set[str]
    begun_us: int = 0
    over_us: int = 0


@dataclass
class Story:
    """An instance and the history of its last execution."""

    state: OrchestrationState
    turns_us: list[int] = field(default_factory=list)
    activities: dict[int, Operation] = field(default_factory=dict)
    timers: dict[int, Operation] = field(default_factory=dict)
    children: dict[int, Operation] = field(default_factory=dict)
    calls: dict[int, Operation] = field(default_factory=dict)
    sections: dict[int, Section] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)

    def operations(self) -> list[Operation]:
        """Return all operations."""
        kinds = (self.activities, self.timers, self.children, self.calls)
        return [operation for kind in kinds for operation in kind.values()]

    def is_in_section_at(self, at_us: int) -> bool:
        """Whether it had entities to itself at a time."""
        end_us = self.turns_us[-1] if self.turns_us else 0
        return any(
            0 < one.begun_us <= at_us < (one.over_us or end_us) for one in self.sections.values()
        )

    def tell(self, history: list[HistoryEvent], recorded_us: int | None) -> None:
        """Take in a turn, and when it was recorded; if nobody knows, when it began."""
        at_us = recorded_us or 0
        for event in history:
            match event:
                case TurnStarted():
                    at_us = recorded_us or event.at_us
                    self.turns_us.append(at_us)
                case ActivityScheduled():
                    self.activities[event.seq] = Operation(at_us, json.loads(event.input)["key"])
                case TimerCreated():
                    self.timers[event.seq] = Operation(at_us, fire_at_us=event.fire_at_us)
                case SubOrchestrationScheduled():
                    self.children[event.seq] = Operation(at_us, event.instance_id)
                case ActivityCompleted():
                    self._close(self.activities, event, at_us)
                case TimerFired():
                    self._close(self.timers, event, at_us)
                case SubOrchestrationCompleted():
                    self._close(self.children, event, at_us)
                case _:
                    self._tell_of_entities(event, at_us)

    def _tell_of_entities(self, event: HistoryEvent, at_us: int) -> None:
        match event:
            case EntityCalled(seq=seq, entity_id=entity_id, operation=name, section=section):
                self.calls[seq] = Operation(at_us, entity_id, name, section)
            case EntityCallCompleted() | EntityCallFailed():
                self._close(self.calls, event, at_us)
            case EntityLocksRequested():
                self.sections[event.seq] = Section(set(event.entity_ids))
            case EntityLocked():
                self._lock(event, at_us)
            case EntityLocksReleased():
                self.sections[event.seq].over_us = at_us
            case _:
                pass

    def _close(
        self,
        operations: dict[int, Operation],
        event: ActivityCompleted
        | TimerFired
        | SubOrchestrationCompleted
        | EntityCallCompleted
        | EntityCallFailed,
        at_us: int,
    ) -> None:
        operation = operations.get(event.seq)
        if operation is None:
            self.strays.append(f"{type(event).__name__} {event.seq} of nothing")
        else:
            operation.outcomes_us.append(at_us)

    def _lock(self, event: EntityLocked, at_us: int) -> None:
        section = self.sections[event.seq]
        if event.entity_id not in section.unlocked:
            self.strays.append(f"{event} a second time")
        section.unlocked.discard(event.entity_id)
        if not section.unlocked:
            section.begun_us = at_us


async def read_stories(
    hub: TaskHub, recorded: Mapping[tuple[str, int, int], int]
) -> dict[str, Story]:
    """Read all instances, with the history of the last execution of each.

    Args:
        hub: Where they are.
        recorded: When each turn of an instance and execution was recorded, as far as the store tells.
    """
    states = [state async for state in hub.client.query(page_size=1000)]
    stories = {state.instance_id: Story(state) for state in states}
    ids = iter(stories)

    async def read() -> None:
        for instance_id in ids:  # which all readers share
            page = await hub.backend.read_history(instance_id, bytes_max=_ALL_BYTES)
            assert not page.more
            for row in page.rows:
                at_us = recorded.get((instance_id, page.execution, row.turn))
                stories[instance_id].tell(decode_events(instance_id, row.events), at_us)

    async with asyncio.TaskGroup() as group:
        for _ in range(_READERS):
            group.create_task(read())
    return stories
