"""What transactions hold of instances: their states, the rows that decisions lead to, and what is known from one transaction to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

from durable_async.backends._rows import STATUSES
from durable_async.model.records import NewInstance, Will

Row: TypeAlias = tuple[Any, ...]

_KNOWN_MAX = 4_096


class InstanceState:
    """What decisions about an instance depend on; its fields stand in the order of ``load_instances``."""

    __slots__ = (
        "attempts",
        "completed_at_us",
        "ending",
        "execution",
        "has_will",
        "hold_until_us",
        "id",
        "key",
        "owner",
        "parked",
        "ready_at_us",
        "start_at_us",
        "status",
        "unread_from",
        "updated_at_us",
        "version",
    )

    def __init__(
        self,
        id: str,
        key: int,
        status: str,
        execution: int,
        version: str | None,
        owner: str | None,
        ready_at_us: int | None,
        hold_until_us: int,
        start_at_us: int,
        unread_from: int | None,
        ending: int,
        attempts: int,
        parked: str | None,
        updated_at_us: int,
        completed_at_us: int | None,
        has_will: int,
    ) -> None:
        self.id = id
        self.key = key
        self.status = STATUSES[status]
        self.execution = execution
        self.version = version
        self.owner = owner
        self.ready_at_us = ready_at_us
        self.hold_until_us = hold_until_us
        self.start_at_us = start_at_us
        self.unread_from = unread_from
        self.ending = ending
        self.attempts = attempts
        self.parked = parked
        self.updated_at_us = updated_at_us
        self.completed_at_us = completed_at_us
        self.has_will = has_will

    def row(self) -> Row:
        """Return the values of ``save_instances``."""
        return (
            self.status.value,
            self.execution,
            self.version,
            self.owner,
            self.ready_at_us,
            self.hold_until_us,
            self.unread_from,
            self.ending,
            self.attempts,
            self.parked,
            self.updated_at_us,
            self.completed_at_us,
            self.key,
        )

    def free(self, ready_at_us: int | None) -> None:
        """Take it out of its owner's hands."""
        self.owner = None
        self.unread_from = None
        self.ready_at_us = ready_at_us


class KnownStates:
    """Instances as the last transactions of the writing connection left them, so that a worker does not load its own again for each turn.

    SQLite counts the commits of all other connections, and what one's own write is kept up here. So while the count stands still,
    what is known is what is stored. A transaction takes out what it is about to change and gives it back when it has written
    it: whatever goes wrong on the way is no longer known, and is loaded the next time.
    """

    def __init__(self) -> None:
        self._states: dict[str, InstanceState] = {}
        self._version: int | None = None

    def begin(self, version: int) -> None:
        """Forget everything if others have committed; ``version`` is SQLite's count, read under the write lock."""
        if version != self._version:
            self._states.clear()
            self._version = version

    def take(self, ids: Iterable[str]) -> list[InstanceState]:
        """Take out those of these instances that are known."""
        states = self._states
        return [states.pop(one) for one in ids if one in states]

    def keep(self, states: Mapping[str, InstanceState]) -> None:
        """Know these, by their ids; the oldest go if they are too many."""
        self._states.update(states)
        surplus = len(self._states) - _KNOWN_MAX
        if surplus > 0:
            self.take(list(islice(self._states, surplus)))

    def forget(self) -> None:
        """Know nothing: what follows changes rows by other means, or has failed."""
        self._states.clear()


@dataclass(slots=True)
class Pending:
    """Rows gathered for ``flush``, by kind."""

    removed: list[Row] = field(default_factory=list)
    history_before: list[Row] = field(default_factory=list)
    consumed: list[Row] = field(default_factory=list)
    emptied: list[Row] = field(default_factory=list)
    outdated: list[Row] = field(default_factory=list)
    unqueued: list[Row] = field(default_factory=list)
    cancelled: list[Row] = field(default_factory=list)
    ended: list[Row] = field(default_factory=list)
    reported: list[Row] = field(default_factory=list)
    recounted: list[Row] = field(default_factory=list)
    created: dict[int, tuple[InstanceState, NewInstance]] = field(default_factory=dict)
    dirty: dict[int, InstanceState] = field(default_factory=dict)
    tags: list[Row] = field(default_factory=list)
    outcomes: list[Row] = field(default_factory=list)
    custom: list[Row] = field(default_factory=list)
    snapshots: list[Row] = field(default_factory=list)
    wills: dict[int, Will | None] = field(default_factory=dict)
    parents: list[Row] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)
    letters: list[Row] = field(default_factory=list)
    queued: list[Row] = field(default_factory=list)
    released: list[Row] = field(default_factory=list)
    tombstones: list[Row] = field(default_factory=list)
    answers: list[Row] = field(default_factory=list)
