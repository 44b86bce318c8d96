"""What is stored of an entity beside its mailbox: one snapshot, replaced by each turn that changes it.

The order of fields is stored for ever: append fields with defaults.
"""

from __future__ import annotations

import msgspec

from durable_async.model.history import EntityOperation, Microseconds, ParentLink


class _Stored(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


class EntityLock(_Stored, frozen=True, array_like=True, gc=False):
    """Who has the entity to itself.

    Attributes:
        holder: The lock request of an orchestration.
        since_us: Since when.
        until_us: When the lock ends by itself; 0 for never.
    """

    holder: ParentLink
    since_us: Microseconds
    until_us: Microseconds = 0


class ParkedOperation(_Stored, frozen=True, array_like=True, gc=False):
    """An operation that was taken out of line, because workers died of it again and again."""

    operation: EntityOperation
    reason: str
    at_us: Microseconds


class EntitySnapshot(_Stored, frozen=True, array_like=True, gc=False):
    """An entity between turns.

    Attributes:
        state: Encoded state; ``None`` if it has none, which is not the state ``null``.
        lock: Who holds it, or ``None``.
        parked: Operations that were parked, oldest first.
        retried: Parked operations that were put back in line, and are next. Nobody waits for them: their callers were told.
    """

    state: bytes | None = None
    lock: EntityLock | None = None
    parked: tuple[ParkedOperation, ...] = ()
    retried: tuple[EntityOperation, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is lost if it is forgotten."""
        return self == _EMPTY


_EMPTY = EntitySnapshot()
