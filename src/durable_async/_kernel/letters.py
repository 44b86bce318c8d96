"""The letters of one instance in memory: arrived, kept for a waiter, taken.

External events stay here, and in the store, until the code waits for them; so they survive suspension, eviction and continue-as-new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    EventRaised,
    ExecutionResumed,
    ExecutionSuspended,
    ExecutionTerminated,
    Letter,
)

_Entry: TypeAlias = tuple[int | None, int | None, Letter]

_NOTHING: deque[_Entry] = deque(maxlen=0)
"""Stands for no letters. Most mailboxes are empty most of the time, and a deque of their own would take 700 bytes."""

_CONTROLS = (ExecutionSuspended, ExecutionResumed, ExecutionTerminated)


class Mailbox:
    """Letters by their ids in the store; a local result that never was in the store has none.

    Attributes:
        arrived: What no turn has taken: the id, the execution that it is addressed to, the letter.
        kept: External events that nobody has waited for yet, by name; never an empty queue.
    """

    __slots__ = ("_consumed", "_ids", "_local", "_order", "arrived", "kept")

    def __init__(self) -> None:
        self.arrived: deque[_Entry] = _NOTHING
        self.kept: dict[str, deque[tuple[int, int | None, EventRaised]]] = {}
        self._ids: dict[int, None] = {}
        self._consumed: list[int] = []
        self._local: list[Letter] = []
        self._order = 0

    @property
    def has_arrivals(self) -> bool:
        """Whether a turn would find something new."""
        return bool(self.arrived)

    def put(self, mail_id: int | None, execution: int | None, letter: Letter) -> bool:
        """Add a letter; ``False`` if it is here already."""
        if mail_id is not None:
            if mail_id in self._ids:
                return False
            self._ids[mail_id] = None
        if self.arrived is _NOTHING:
            self.arrived = deque()
        self.arrived.append((mail_id, execution, letter))
        return True

    def withdraw(self, mail_id: int) -> None:
        """Take back a letter that has arrived and was not taken."""
        self._ids.pop(mail_id, None)
        for entry in self.arrived:
            if entry[0] == mail_id:
                self.arrived.remove(entry)
                return

    def take_controls(self) -> Iterator[Letter]:
        """Take suspend, resume and terminate, in order, before all else."""
        for entry in [entry for entry in self.arrived if isinstance(entry[2], _CONTROLS)]:
            self.arrived.remove(entry)
            self._consume(entry[0])
            yield entry[2]

    def take(self, execution: int) -> Letter | None:
        """Take the first of what has arrived, or ``None``. Stale letters vanish; an external event is shown, and kept for ``next_event``."""
        while self.arrived:
            mail_id, addressed, letter = self.arrived.popleft()
            if addressed is not None and addressed != execution:
                self._consume(mail_id)
                continue
            if type(letter) is EventRaised:
                self._order += 1
                self.kept.setdefault(letter.name, deque()).append((self._order, mail_id, letter))
            elif mail_id is None:
                self._local.append(letter)
            else:
                self._consumed.append(mail_id)
            return letter
        return None

    def answers(self, execution: int) -> dict[int, ActivityCompleted | ActivityFailed]:
        """Return the outcomes of activities that have arrived and wait for a turn, by sequence number."""
        return {
            letter.seq: letter
            for _, addressed, letter in self.arrived
            if addressed in (None, execution)
            and isinstance(letter, (ActivityCompleted, ActivityFailed))
        }

    def unstored(self, execution: int) -> list[Letter]:
        """Return the letters that are nowhere else: taken by a turn that did not come through, or not taken yet."""
        waiting = [
            letter
            for mail_id, addressed, letter in self.arrived
            if mail_id is None and addressed in (None, execution)
        ]
        return self._local + waiting

    def next_event(self, waiters: Mapping[str, Any]) -> EventRaised | None:
        """Take the kept event that arrived first among those that somebody waits for."""
        if not self.kept or not waiters:
            return None
        wanted = [name for name in waiters if name in self.kept]
        if not wanted:
            return None
        name = min(wanted, key=lambda candidate: self.kept[candidate][0][0])
        queue = self.kept[name]
        _, mail_id, event = queue.popleft()
        if not queue:
            del self.kept[name]
        self._consume(mail_id)
        return event

    def drop_kept(self) -> None:
        """Take all events that nobody has waited for."""
        for entry in [entry for entry in self.arrived if isinstance(entry[2], EventRaised)]:
            self.arrived.remove(entry)
            self._consume(entry[0])
        for queue in self.kept.values():
            for _, mail_id, _ in queue:
                self._consume(mail_id)
        self.kept.clear()

    def drain_consumed(self) -> list[int]:
        """End a turn: return the ids taken since the last one; their rows may be deleted with it."""
        consumed, self._consumed = self._consumed, []
        if self._local:
            self._local = []
        if not self.arrived:
            self.arrived = _NOTHING
        return consumed

    def forget(self, mail_ids: list[int]) -> None:
        """Forget ids whose rows are gone."""
        for mail_id in mail_ids:
            self._ids.pop(mail_id, None)

    def seen(self) -> tuple[int, ...]:
        """Return the ids of letters that are here and still in the store."""
        return tuple(self._ids)

    def _consume(self, mail_id: int | None) -> None:
        if mail_id is not None:
            self._consumed.append(mail_id)
