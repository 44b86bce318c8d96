"""EntityState: an entity as it was when the client looked; who holds it, who waits for it, and what cleaning up came to."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from durable_async._kernel.entities.authoring import Entity, state_type
from durable_async.model.entities import EntityLock, EntitySnapshot, ParkedOperation
from durable_async.model.history import EntityLockRelease, EntityLockRequest, ParentLink
from durable_async.model.identity import EntityId
from durable_async.model.moments import instant
from durable_async.model.records import EntityRecord, Mail
from durable_async.serialization import DataConverter
from durable_async.serialization.events import decode_letter, decode_snapshot

S = TypeVar("S", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityLockHolder:
    """The orchestration that has an entity to itself.

    Attributes:
        instance_id: Its id.
        execution: Which generation of it.
        since: Since when, UTC.
        until: When the lock ends by itself, UTC, or ``None`` for never.
    """

    instance_id: str
    execution: int
    since: datetime
    until: datetime | None

    @classmethod
    def of(cls, lock: EntityLock) -> EntityLockHolder:
        """Return what a stored lock tells."""
        return cls(
            instance_id=lock.holder.instance_id,
            execution=lock.holder.execution,
            since=instant(lock.since_us),
            until=instant(lock.until_us) if lock.until_us else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityLockWaiter:
    """An orchestration that waits for an entity's lock.

    Attributes:
        instance_id: Its id.
        execution: Which generation of it.
    """

    instance_id: str
    execution: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityLocks:
    """Who has an entity to itself, and who wants to.

    Attributes:
        held_by: Who holds it now, or ``None``.
        waiting: Who will hold it next, in this order.
    """

    held_by: EntityLockHolder | None
    waiting: tuple[EntityLockWaiter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityParkedOperation:
    """An operation that was taken out of line, because workers died of it; see ``Client.retry_parked_operations``.

    Attributes:
        operation: Its name.
        reason: Why it was parked.
        at: When, UTC.
    """

    operation: str
    reason: str
    at: datetime

    @classmethod
    def of(cls, parked: ParkedOperation) -> EntityParkedOperation:
        """Return what is stored of one."""
        return cls(
            operation=parked.operation.operation, reason=parked.reason, at=instant(parked.at_us)
        )


class EntityState(Generic[S]):
    """What the store knew of an entity at one moment.

    What is stored of it is read when it is looked at, so that one that is damaged does not hide the others of a query.

    Attributes:
        entity_id: The entity.
        created_at: When it was first heard of, UTC.
        updated_at: When something of it last changed, UTC: its state, its lock, its parked operations.
        parked: Why it was taken out of circulation as a whole, or ``None``; see ``Client.unpark``.
        owner: The worker that holds it at the moment, or ``None``.
    """

    def __init__(self, record: EntityRecord, state_type: Any, payloads: DataConverter) -> None:
        self._record = record
        self._state_type = state_type
        self._payloads = payloads
        self.entity_id = EntityId.parse(record.instance_id)
        self.created_at = instant(record.created_at_us)
        self.updated_at = instant(record.updated_at_us)
        self.parked = record.parked
        self.owner = record.owner

    def __repr__(self) -> str:
        return f"<EntityState {self.entity_id}>"

    @functools.cached_property
    def _snapshot(self) -> EntitySnapshot:
        return decode_snapshot(self._record.instance_id, self._record.state)

    @property
    def has_state(self) -> bool:
        """Whether it has a state; one that has none was never given one, or was deleted."""
        return self._snapshot.state is not None

    @property
    def backlog(self) -> int:
        """How many operations and lock requests wait, delayed ones included."""
        return self._record.letters + len(self._snapshot.retried)

    @property
    def locked_by(self) -> EntityLockHolder | None:
        """Who has it to itself, or ``None``."""
        lock = self._snapshot.lock
        return None if lock is None else EntityLockHolder.of(lock)

    @property
    def parked_operations(self) -> tuple[EntityParkedOperation, ...]:
        """Operations that were taken out of line, oldest first."""
        return tuple(map(EntityParkedOperation.of, self._snapshot.parked))

    @property
    def state(self) -> S | None:
        """Its state, a fresh copy each time; ``None`` if it has none.

        Raises:
            DecodeError: It does not fit the type that was asked for.
        """
        where = f"state of entity {self.entity_id}"
        state: S | None = self._payloads.decode(self._snapshot.state, self._state_type, where)
        return state


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanedLock:
    """A lock whose holder has ended without giving it back, which must not happen.

    Attributes:
        entity_id: The entity that was locked.
        holder: Who should have unlocked it.
    """

    entity_id: EntityId
    holder: EntityLockHolder


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanedEntities:
    """What ``Client.clean_entities`` came to.

    Attributes:
        discarded: How many entities that held nothing were forgotten.
        orphaned_locks: Locks that nobody would ever have given back; they are released.
    """

    discarded: int
    orphaned_locks: tuple[OrphanedLock, ...]


def state_type_of(given: Any) -> Any:
    """Return what a state is read into: of an entity's class, the type of its state."""
    is_entity = isinstance(given, type) and issubclass(given, Entity)
    return _state_type(given) if is_entity else given


_state_type = functools.lru_cache(maxsize=1_024)(state_type)


def lock_of(record: EntityRecord) -> EntityLock | None:
    """Return the lock of an entity."""
    return decode_snapshot(record.instance_id, record.state).lock


def locks_of(lock: EntityLock | None, mail: Iterable[Mail]) -> EntityLocks:
    """Return who holds an entity, and whose lock requests lie in its mailbox and were not taken back."""
    requests: dict[tuple[str, int, int], EntityLockWaiter] = {}
    for one in mail:
        match decode_letter(one.instance_id, one.letter):
            case EntityLockRequest(holder=holder):
                requests[_section(holder)] = EntityLockWaiter(
                    instance_id=holder.instance_id, execution=holder.execution
                )
            case EntityLockRelease(holder=holder):
                requests.pop(_section(holder), None)
            case _:
                pass
    if lock is not None:
        requests.pop(_section(lock.holder), None)
    held_by = None if lock is None else EntityLockHolder.of(lock)
    return EntityLocks(held_by=held_by, waiting=tuple(requests.values()))


def is_released(lock: EntityLock, mail: Iterable[Mail]) -> bool:
    """Tell whether the release of a lock lies in a mailbox."""
    letters = (decode_letter(one.instance_id, one.letter) for one in mail)
    return any(
        isinstance(letter, EntityLockRelease) and letter.holder.is_same_operation(lock.holder)
        for letter in letters
    )


def _section(holder: ParentLink) -> tuple[str, int, int]:
    return holder.instance_id, holder.execution, holder.seq
