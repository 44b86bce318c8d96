"""I14 and I15: when all is quiet, nothing is left that somebody should have done, and nobody works for a parent that was ended.

What may be left: instances that ended, that were parked with a reason, that are suspended, and that wait for an event, for a time that is
still to come, or for others that are left for such a reason.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from durable_async.backends.memory.state import HubState
from durable_async.model.history import (
    ActivityScheduled,
    EntityCalled,
    EntityLockRequest,
    EntityLocksRequested,
    EntityOperation,
    EventRaised,
    ParentLink,
    SubOrchestrationScheduled,
    TimerCreated,
)
from durable_async.model.records import Mail
from durable_async.model.status import Status
from durable_async.serialization.events import decode_letter, decode_snapshot
from durable_async.testing.simulation.violations import StuckError, Violation

from .executions import Execution
from .rows import Row

Executions = Mapping[tuple[str, int], Execution]


class Rest:
    """Looks at what is left of a run.

    Args:
        rows: The instances.
        executions: What their commits tell.
        now_us: The store's clock.
        patience_us: How long anything that is ready may wait for somebody.
    """

    def __init__(
        self, rows: Iterable[Row], executions: Executions, now_us: int, patience_us: int
    ) -> None:
        self._rows = {row.instance_id: row for row in rows}
        self._executions = executions
        self._late_us = now_us - patience_us

    def check(self) -> None:
        """Look at everything.

        Raises:
            Violation: Something is stuck, or orphaned.
        """
        for row in self._rows.values():
            if row.status.is_terminal or row.parked is not None:
                continue
            self._check_mailbox(row)
            if row.is_entity:
                continue
            self._check_parent(row)
            execution = self._executions.get((row.instance_id, row.execution))
            if execution is not None and row.status is not Status.SUSPENDED:
                for command in execution.pending.values():
                    self._check_pending(row, execution, command)

    # -- letters that nobody takes

    def _check_mailbox(self, row: Row) -> None:
        left = list(self._not_taken(row))
        if left:
            raise StuckError("letters that nobody takes", where=row.instance_id, letters=left)

    def _not_taken(self, row: Row) -> Iterator[Any]:
        is_locked = row.is_entity and decode_snapshot(row.instance_id, row.state).lock is not None
        for mail in row.mailbox.values():
            letter = decode_letter(row.instance_id, mail.letter)
            is_due = getattr(letter, "due_us", 0) <= self._late_us
            if is_due and not isinstance(letter, EventRaised) and not is_locked:
                yield letter

    # -- operations that nobody carries out

    def _check_pending(self, row: Row, execution: Execution, command: Any) -> None:
        seq = command.seq
        link = ParentLink(row.instance_id, row.execution, seq)
        match command:
            case ActivityScheduled():
                due_us = execution.retry_at_us.get(seq, 0)
                is_stuck = due_us <= self._late_us
            case TimerCreated():
                is_stuck = command.fire_at_us <= self._late_us
            case SubOrchestrationScheduled():
                is_stuck = not self._is_under_way(command.instance_id, link)
            case EntityCalled():
                is_stuck = not self._lies_with(command.entity_id, link)
            case EntityLocksRequested():
                is_stuck = not any(
                    self._is_locked_or_waits(one, link) for one in command.entity_ids
                )
            case _:
                is_stuck = False
        if is_stuck:
            raise StuckError(
                "it waits for what nobody does", where=execution.where, command=command
            )

    def _is_under_way(self, instance_id: str, link: ParentLink) -> bool:
        child = self._rows.get(instance_id)
        is_its = (
            child is not None and child.parent is not None and child.parent.is_same_operation(link)
        )
        return is_its and child is not None and not child.status.is_terminal

    def _lies_with(self, entity_id: str, link: ParentLink) -> bool:
        return any(
            isinstance(letter, EntityOperation)
            and letter.caller is not None
            and letter.caller.is_same_operation(link)
            for letter in self._letters(entity_id)
        )

    def _is_locked_or_waits(self, entity_id: str, link: ParentLink) -> bool:
        entity = self._rows.get(entity_id)
        if entity is None:
            return False
        lock = decode_snapshot(entity_id, entity.state).lock
        if lock is not None and lock.holder.is_same_operation(link):
            return True
        return any(
            isinstance(letter, EntityLockRequest) and letter.holder.is_same_operation(link)
            for letter in self._letters(entity_id)
        )

    def _letters(self, instance_id: str) -> Iterator[Any]:
        row = self._rows.get(instance_id)
        mails: Iterable[Mail] = () if row is None else row.mailbox.values()
        for mail in mails:
            yield decode_letter(instance_id, mail.letter)

    # -- parents

    def _check_parent(self, row: Row) -> None:
        link = row.parent
        if link is None:
            return
        parent = self._executions.get((link.instance_id, link.execution))
        if parent is not None and parent.has_ended_its(link.seq):
            raise Violation(
                "I15",
                "it goes on, though its parent has ended it",
                where=row.instance_id,
                parent=link,
            )


def check_queue(hub: HubState, instance_ids: Container[str]) -> None:
    """See that no activity of these instances in the queue has outlived the execution that queued it.

    Raises:
        Violation: One has.
    """
    for row in hub.activities.values():
        queued = row.activity
        if queued.instance_id not in instance_ids:
            continue
        instance = hub.instances.get(queued.instance_id)
        is_over = instance is None or instance.status.is_terminal
        if is_over or (instance is not None and instance.execution != queued.execution):
            raise Violation(
                "I15",
                "an activity of what has ended is queued",
                where=queued.instance_id,
                item=queued,
            )
