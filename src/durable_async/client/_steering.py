"""Steering: events, suspend and resume, terminate, rewind, purge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from durable_async.errors import (
    InstanceNotFoundError,
    InvalidTransitionError,
    OverloadedError,
)
from durable_async.model.arguments import (
    check_event,
    check_flag,
    check_limit,
    check_reason,
    check_several,
)
from durable_async.model.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionSuspended,
    ExecutionTerminated,
    Letter,
)
from durable_async.model.identity import EntityId, check_name
from durable_async.model.records import Delivery, InstanceRecord, Outgoing
from durable_async.model.status import Status
from durable_async.serialization.events import encode_letter

from . import _lineage
from ._conditions import Conditions, filter_of
from ._connection import IdOrHandle, entity_id_of, id_of
from ._waiting import Waiting


class Steering(Waiting):
    """The verbs that change an orchestration that is there."""

    async def raise_event(
        self, instance: IdOrHandle, name: str, payload: Any = None, *, request_id: str | None = None
    ) -> bool:
        """Raise an event; it is kept until the orchestration waits for it.

        Returns ``False``, and does nothing, if the orchestration has ended.

        Raises:
            InstanceNotFoundError: There is no such instance.
            OverloadedError: Its mailbox is full.
        """
        event = self._event(name, payload)
        if self._teller is None:
            return await self._deliver(instance, event, request_id=request_id)
        return await self._teller.around(
            "raise_event",
            event.name,
            id_of(instance),
            lambda origin: self._deliver(instance, event, request_id=request_id),
        )

    async def raise_events(self, events: Sequence[tuple[IdOrHandle, str, Any]]) -> list[bool]:
        """Raise many events in one commit: ``(instance, name, payload)`` each. Returns which were delivered."""
        letters = [
            Outgoing(
                instance_id=id_of(instance),
                execution=None,
                letter=encode_letter(self._event(name, payload)),
                request_id=self._environment.new_id(),
            )
            for instance, name, payload in map(
                check_event, check_several(events, "events", "events")
            )
        ]
        deliveries = await self._persist(lambda: self._backend.send(letters)) if letters else []
        return [delivery is Delivery.DELIVERED for delivery in deliveries]

    def _event(self, name: str, payload: Any) -> EventRaised:
        name = check_name(name, "event name")
        return EventRaised(name, self._payloads.encode(payload, f"event {name!r} payload"))

    async def suspend(self, instance: IdOrHandle, reason: str | None = None) -> None:
        """Stop an orchestration where it stands; what arrives is kept until it is resumed. Twice is once.

        Raises:
            InvalidTransitionError: It has ended.
            InstanceNotFoundError: There is no such instance.
        """
        if not await self._deliver(instance, ExecutionSuspended(check_reason(reason)), urgent=True):
            raise InvalidTransitionError(id_of(instance), "suspend", "ended", "running")

    async def resume(self, instance: IdOrHandle, reason: str | None = None) -> None:
        """Let a suspended orchestration go on. Twice is once.

        Raises:
            InvalidTransitionError: It has ended.
            InstanceNotFoundError: There is no such instance.
        """
        if not await self._deliver(instance, ExecutionResumed(check_reason(reason)), urgent=True):
            raise InvalidTransitionError(id_of(instance), "resume", "ended", "suspended")

    async def terminate(
        self, instance: IdOrHandle, output: Any = None, *, recursive: bool = True
    ) -> None:
        """End an orchestration from outside; its code is not asked, its running activities are cancelled.

        Nothing happens if it has ended already.

        Args:
            instance: An id or a handle.
            output: What is kept as its output.
            recursive: Whether its sub-orchestrations are terminated too.

        Raises:
            InstanceNotFoundError: There is no such instance.
        """
        check_flag(recursive, "recursive")
        data = None if output is None else self._payloads.encode(output, "terminate output")
        await self._deliver(instance, ExecutionTerminated(data, recursive), urgent=True, final=True)

    async def _deliver(
        self,
        instance: IdOrHandle,
        letter: Letter,
        *,
        urgent: bool = False,
        final: bool = False,
        request_id: str | None = None,
    ) -> bool:
        instance_id = id_of(instance)
        outgoing = Outgoing(
            instance_id=instance_id,
            execution=None,
            letter=encode_letter(letter),
            urgent=urgent,
            final=final,
            request_id=self._request_id(request_id),
        )
        delivery = await self._persist(lambda: self._send.ask(outgoing))
        match delivery:
            case Delivery.NOT_FOUND:
                raise InstanceNotFoundError(instance_id)
            case Delivery.FULL:
                full = f"the mailbox of instance {instance_id!r}"
                raise OverloadedError(full, self._backend.letters_max)
            case Delivery.TERMINAL:
                return False
            case Delivery.DELIVERED:
                return True

    async def rewind(self, instance: IdOrHandle, reason: str | None = None) -> None:
        """Let a failed orchestration go on: what failed is done again, what succeeded is kept.

        Failed sub-orchestrations are rewound with it. With corrected code deployed first, an orchestration that
        failed by an error of its own goes on from there, too.

        Raises:
            InvalidTransitionError: It has not failed, or a sub-orchestration that it waited for is still going on.
            InstanceNotFoundError: There is no such instance.
        """
        stored_reason = check_reason(reason)
        record = await self._record(instance)
        if record.status is not Status.FAILED:
            raise InvalidTransitionError(
                record.instance_id, "rewind", record.status.value, "failed"
            )
        request_id = self._environment.new_id()
        rewrites = await _lineage.rewrites(
            self._backend, self.history, record, stored_reason, request_id
        )
        was_written = await self._persist(lambda: self._backend.rewrite(rewrites))
        if not was_written and not await self._was_rewound(record.instance_id, request_id):
            raise InvalidTransitionError(record.instance_id, "rewind", "changing", "failed")

    async def _was_rewound(self, instance_id: str, request_id: str) -> bool:
        """Tell whether an attempt did it whose answer was lost: the next one found no failure any more."""
        try:
            events = await self._persist(lambda: self.history(instance_id))
        except InstanceNotFoundError:
            return False
        return any(
            isinstance(event, ExecutionRewound) and event.request_id == request_id
            for event in events
        )

    async def purge(self, instance: IdOrHandle, *, recursive: bool = True) -> int:
        """Delete an orchestration that has ended, with its history; returns how many instances went.

        Nothing happens, and 0 is returned, if it has not ended or does not exist.
        """
        instance_id = id_of(instance)
        ids = [instance_id]
        if check_flag(recursive, "recursive"):
            ids += await _lineage.descendants(self._backend, instance_id)
        (first,) = await self._backend.read([instance_id], payloads=False)
        if first is None or not first.status.is_terminal:
            return 0
        return len(await self._persist(lambda: self._backend.purge(ids)))

    async def purge_where(self, *, batch: int = 500, **conditions: Unpack[Conditions]) -> int:
        """Delete all orchestrations that meet the conditions and have ended; returns how many. See `Conditions`."""
        where = filter_of(conditions)
        check_limit(batch, "batch")
        count = 0
        page: str | None = None
        while True:
            found = await self._backend.query(where, limit=batch, page=page, payloads=False)
            ids = [item.instance_id for item in found.items if item.status.is_terminal]
            if ids:
                count += len(await self._backend.purge(ids))
            page = found.next_page
            if page is None:
                return count

    async def unpark(self, instance: IdOrHandle | EntityId) -> bool:
        """Put a parked orchestration or entity back; ``False`` if it was not parked.

        Single operations of an entity that were parked are another matter: see `retry_parked_operations`.
        """
        instance_id = entity_id_of(instance) if isinstance(instance, EntityId) else id_of(instance)
        return bool(await self._persist(lambda: self._backend.unpark([instance_id])))

    async def _record(self, instance: IdOrHandle) -> InstanceRecord:
        instance_id = id_of(instance)
        (record,) = await self._backend.read([instance_id], payloads=True)
        if record is None:
            raise InstanceNotFoundError(instance_id)
        return record

    async def _ended(self, instance: IdOrHandle, verb: str) -> InstanceRecord:
        record = await self._record(instance)
        if not record.status.is_terminal:
            raise InvalidTransitionError(record.instance_id, verb, record.status.value, "ended")
        return record
