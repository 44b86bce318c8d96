"""What the rows of a store in memory were at the last call, to tell what a call has changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from durable_async.backends.memory.rows import Instance
from durable_async.backends.memory.state import HubState
from durable_async.model.history import ParentLink
from durable_async.model.records import HistoryRow, Mail, Will
from durable_async.model.status import Status


class Row(msgspec.Struct, frozen=True, gc=False):
    """An instance at a moment; the fields are those of the store."""

    instance_id: str
    name: str
    execution: int
    status: Status
    owner: str | None
    attempts: int
    parked: str | None
    parent: ParentLink | None
    mailbox: dict[int, Mail]
    is_final: bool
    history: tuple[HistoryRow, ...]
    state: bytes | None
    will: Will

    @property
    def is_entity(self) -> bool:
        """Whether it is one."""
        return self.instance_id.startswith("@")


def row_of(instance: Instance) -> Row:
    """Return what an instance is now."""
    return Row(
        instance.instance_id,
        instance.name,
        instance.execution,
        instance.status,
        instance.owner,
        instance.attempts,
        instance.parked,
        instance.parent,
        dict(instance.mailbox),
        bool(instance.final),
        tuple(instance.history._rows),
        instance.state,
        instance.will,
    )


class Change(msgspec.Struct, frozen=True, gc=False):
    """What a call made of an instance; ``None`` where there is none."""

    before: Row | None
    after: Row | None


class Rows:
    """The instances of a hub as they were after the last call.

    Attributes:
        hub: The hub.
        items: Who had claimed which queued activity, and how often it was claimed.
    """

    def __init__(self, hub: HubState) -> None:
        self.hub = hub
        self.items: dict[int, tuple[str | None, int]] = {}
        self._known: dict[str, Row] = {}

    def get(self, instance_id: str) -> Row | None:
        """Return what an instance was after the last call."""
        return self._known.get(instance_id)

    def all(self) -> Iterable[Row]:
        """Go through all of them."""
        return self._known.values()

    def look(self, instance_ids: Iterable[str]) -> dict[str, Change]:
        """Look at these again, and return what has become of them."""
        changes: dict[str, Change] = {}
        for instance_id in instance_ids:
            if instance_id in changes:
                continue
            before = self._known.pop(instance_id, None)
            instance = self.hub.instances.get(instance_id)
            after = None
            if instance is not None:
                after = self._known[instance_id] = row_of(instance)
            changes[instance_id] = Change(before, after)
        return changes

    def look_at_items(self) -> dict[int, tuple[str | None, int]]:
        """Look at the queued activities again; return what they were before."""
        before = self.items
        if before or self.hub.activities:
            self.items = {
                item_id: (row.owner, row.attempts) for item_id, row in self.hub.activities.items()
            }
        return before

    def strays(self) -> list[tuple[str, Any, Any]]:
        """Find instances that have changed although no call was about them."""
        found: list[tuple[str, Any, Any]] = []
        instances = self.hub.instances
        for instance_id in {**instances, **self._known}:
            instance, known = instances.get(instance_id), self._known.get(instance_id)
            now = None if instance is None else _sketch(instance, len(instance.history._rows))
            then = None if known is None else _sketch(known, len(known.history))
            if now != then:
                found.append((instance_id, then, now))
        return found


def _sketch(row: Any, turns: int) -> tuple[Any, ...]:
    return (
        row.execution,
        row.status,
        row.owner,
        row.attempts,
        row.parked,
        len(row.mailbox),
        turns,
        row.state,
    )
