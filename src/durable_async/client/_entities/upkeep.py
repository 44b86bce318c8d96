"""What keeps entities in order: deleting, putting back what was parked, cleaning up."""

from __future__ import annotations

from collections.abc import Sequence

from durable_async.client._connection import entity_id_of
from durable_async.errors import CorruptHistoryError
from durable_async.model.arguments import check_limit
from durable_async.model.entities import EntityLock
from durable_async.model.history import EntityLockRelease, ParentLink, ParkedOperationsRetried
from durable_async.model.identity import EntityId
from durable_async.model.records import EntityFilter, EntityRecord, InstanceRecord
from durable_async.registry.entities import DELETE

from .calling import EntityCalling
from .reading import LETTERS_READ_MAX
from .state import CleanedEntities, EntityLockHolder, OrphanedLock, is_released, lock_of


class EntityUpkeep(EntityCalling):
    """The verbs for entities that are not about what they do."""

    async def delete_entity(self, entity: EntityId, *, request_id: str | None = None) -> None:
        """Let an entity delete its state when all that was sent to it before is done; this does not wait for that.

        It is the operation ``delete``, which every entity has, as a signal; to wait for it, ``call_entity(entity, "delete")``.
        Operations that come later find an entity without a state. What is left of it goes with `clean_entities`.

        Args:
            entity: Its id.
            request_id: Repeating a call with the same one does nothing more.

        Raises:
            OverloadedError: The entity's mailbox is full.
        """
        await self.signal_entity(entity, DELETE, request_id=request_id)

    async def retry_parked_operations(self, entity: EntityId) -> None:
        """Put the operations of an entity that were parked back in line, as the next ones, oldest first.

        Nobody is told what comes of them: those who called were told when they were parked. Nothing happens if there are none. An
        entity that is parked as a whole is put back with `unpark`.

        Raises:
            OverloadedError: The entity's mailbox is full.
        """
        letter, request_id = ParkedOperationsRetried(), self._request_id(None)
        await self._post(entity_id_of(entity), letter, opens=None, request_id=request_id)

    async def clean_entities(
        self, *, discard: bool = True, release: bool = True, batch: int = 500
    ) -> CleanedEntities:
        """Forget all entities that hold nothing, neither a state nor a letter, and see whether locks were left behind.

        A lock ends with its holder, in one transaction, so there should be none whose holder has ended; if there is, it is
        released and reported. Everybody may go on working meanwhile.

        Args:
            discard: Whether entities that hold nothing are forgotten.
            release: Whether locks that were left behind are looked for.
            batch: How many entities are looked at in one go.
        """
        check_limit(batch, "batch")
        discarded = 0
        orphaned: list[OrphanedLock] = []
        page: str | None = None
        while True:
            found = await self._backend.query_entities(EntityFilter(), limit=batch, page=page)
            empty = [one.instance_id for one in found.items if not one.state and not one.letters]
            if empty and discard:
                discarded += len(await self._backend.discard_entities(empty))
            if release:
                orphaned += await self._release_orphaned(found.items)
            page = found.next_page
            if page is None:
                return CleanedEntities(discarded=discarded, orphaned_locks=tuple(orphaned))

    # -- locks that were left behind

    async def _release_orphaned(self, records: Sequence[EntityRecord]) -> list[OrphanedLock]:
        locks = {one.instance_id: lock for one in records if (lock := _readable_lock(one))}
        if not locks:
            return []
        ids = sorted({lock.holder.instance_id for lock in locks.values()})
        holders = dict(zip(ids, await self._backend.read(ids, payloads=False), strict=True))
        orphaned: list[OrphanedLock] = []
        for entity_id, lock in locks.items():
            holder = lock.holder
            if _is_alive(holder, holders[holder.instance_id]):
                continue
            if await self._is_still_locked(entity_id, lock):
                letter, request_id = EntityLockRelease(holder), self._request_id(None)
                await self._post(entity_id, letter, opens=None, request_id=request_id)
                entity = EntityId.parse(entity_id)
                orphaned.append(OrphanedLock(entity_id=entity, holder=EntityLockHolder.of(lock)))
        return orphaned

    async def _is_still_locked(self, entity_id: str, lock: EntityLock) -> bool:
        """Tell whether nobody is about to take off a lock whose holder had ended before this is asked.

        The holder's release was sent when it ended. So it is in the mailbox, or it was taken, and the lock is off, when the
        entity is read after that.
        """
        mail = await self._backend.read_letters(entity_id, limit=LETTERS_READ_MAX)
        if is_released(lock, mail):
            return False
        (record,) = await self._backend.read_entities([entity_id])
        now = None if record is None else lock_of(record)
        return now is not None and now.holder.is_same_operation(lock.holder)


def _readable_lock(record: EntityRecord) -> EntityLock | None:
    """Return an entity's lock; of one that is damaged, none: its worker says so, and the others are cleaned all the same."""
    try:
        return lock_of(record)
    except CorruptHistoryError:
        return None


def _is_alive(holder: ParentLink, record: InstanceRecord | None) -> bool:
    """Tell whether an orchestration can still unlock what it locked."""
    return (
        record is not None
        and record.execution == holder.execution
        and not record.status.is_terminal
        and record.parked is None
    )
