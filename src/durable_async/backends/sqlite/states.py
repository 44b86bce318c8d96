"""What one transaction holds of instances: their states, and the rows that its decisions lead to."""

from __future__ import annotations

from dataclasses import dataclass, field

from durable_async.backends._rows import STATUSES
from durable_async.model.records import NewInstance, Will

from .transaction import Row


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
