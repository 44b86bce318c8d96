"""What transactions hold of instances: their states, the rows that decisions lead to, and what is known from one transaction to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


WRITES = (
    # History first, and also those rows that go again right after it: the primary key must see every turn.
    "insert_history",
    "delete_history_before",
    "delete_letters",
    "delete_letters_of",
    "delete_letters_before",
    "delete_queued_of",
    "delete_queued_seq",
    "delete_queued",
    "delete_tags",
    "delete_instances",
    "insert_instances",
    "insert_tags",
    # Before the whole states, which know what came after the turn.
    "save_snapshots",
    "save_instances",
    "save_outcomes",
    "save_custom_statuses",
    "take_children_along",
    "save_parents",
    "save_wills",
    "save_options",
    "recount_activities",
    "insert_letters",
    "insert_queued",
    "insert_tombstones",
    "insert_answers",
    "wake_released",
)
"""The statements that write what was gathered, in their order; each runs once for each row under its name in `Pending`."""

BRINGS_WORK = frozenset({"delete_queued_of", "delete_queued_seq", "wake_released"})
"""If one of these touches a row, somebody has to look: who is to stop an activity that it runs, or to take what is ready."""


class Pending:
    """Rows gathered for ``flush``, under the name of the statement that will write them; and what only becomes rows then."""

    __slots__ = ("created", "dirty", "wills", *WRITES)

    def __init__(self) -> None:
        self.created: dict[int, tuple[InstanceState, NewInstance]] = {}
        self.dirty: dict[int, InstanceState] = {}
        self.wills: dict[int, Will | None] = {}
        self.insert_history: list[Row] = []
        self.delete_history_before: list[Row] = []
        self.delete_letters: list[Row] = []
        self.delete_letters_of: list[Row] = []
        self.delete_letters_before: list[Row] = []
        self.delete_queued_of: list[Row] = []
        self.delete_queued_seq: list[Row] = []
        self.delete_queued: list[Row] = []
        self.delete_tags: list[Row] = []
        self.delete_instances: list[Row] = []
        self.insert_instances: list[Row] = []
        self.insert_tags: list[Row] = []
        self.save_snapshots: list[Row] = []
        self.save_instances: list[Row] = []
        self.save_outcomes: list[Row] = []
        self.save_custom_statuses: list[Row] = []
        self.take_children_along: list[Row] = []
        self.save_parents: list[Row] = []
        self.save_wills: list[Row] = []
        self.save_options: list[Row] = []
        self.recount_activities: list[Row] = []
        self.insert_letters: list[Row] = []
        self.insert_queued: list[Row] = []
        self.insert_tombstones: list[Row] = []
        self.insert_answers: list[Row] = []
        self.wake_released: list[Row] = []
