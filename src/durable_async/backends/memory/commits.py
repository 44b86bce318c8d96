"""Applying a batch to a hub, item by item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec

from durable_async.errors import FencedError
from durable_async.model.records import (
    Abandon,
    ActivityProgress,
    ActivityRecount,
    ActivityResult,
    CommitItem,
    CommitResult,
    Fence,
    NewInstance,
    NextExecution,
    Outgoing,
    Park,
    Recount,
    Release,
    TurnCommit,
    UnclaimedActivity,
)

from .rows import ActivityRow, History, Instance, WorkerRow
from .state import HubState


def apply_batch(
    hub: HubState, fence: Fence, items: Sequence[CommitItem], now_us: int
) -> CommitResult:
    """Compare the fence, move it, and apply the items."""
    row = hub.worker(fence)
    if row.seq != fence.seq:
        raise FencedError(fence.worker_id)
    row.seq += 1
    batch = _Batch(hub, row, now_us)
    batch.run(items)
    moved = Fence(worker_id=row.worker_id, epoch=row.epoch, seq=row.seq)
    return CommitResult(fence=moved, dropped=frozenset(batch.dropped))


class _Batch:
    """One batch of one worker at one moment: what happens to its own instances comes first, then what leaves them."""

    def __init__(self, hub: HubState, row: WorkerRow, now_us: int) -> None:
        self.dropped: set[str] = set()
        self._hub = hub
        self._row = row
        self._now_us = now_us
        self._failed_groups: set[int] = set()
        self._children: list[NewInstance] = []
        self._letters: list[Outgoing] = []

    def run(self, items: Sequence[CommitItem]) -> None:
        turns = [item for item in items if isinstance(item, TurnCommit) and item.group]
        self._failed_groups = {turn.group for turn in turns if self._fitting(turn) is None}
        for item in items:
            self._apply(item)
        for child in self._children:
            self._create_child(child)
        for outgoing in self._letters:
            self._hub.deliver(outgoing, self._now_us, None)
        self._hub.execute_wills(self._now_us)

    def _apply(self, item: CommitItem) -> None:
        match item:
            case ActivityResult():
                self._apply_result(item)
            case UnclaimedActivity():
                self._apply_unclaimed(item)
            case ActivityProgress() | ActivityRecount():
                row = self._hub.activities.get(item.item_id)
                if row is not None and row.owner == self._row.worker_id:
                    self._apply_to_running(row, item)
            case TurnCommit():
                self._apply_turn(item)
            case Release() | Abandon() | Park() | Recount():
                instance = self._mine(item.instance_id)
                if instance is not None and item.execution in {None, instance.execution}:
                    self._apply_to_owned(instance, item)
            case _:
                assert_never(item)

    def _mine(self, instance_id: str) -> Instance | None:
        """Return an instance that this worker owns and of which no turn was left out."""
        if instance_id not in self._row.owned or instance_id in self.dropped:
            return None
        return self._hub.instances[instance_id]

    # -- turns

    def _fitting(self, turn: TurnCommit) -> Instance | None:
        """Return the instance that a turn is of, if it can be written."""
        instance = self._mine(turn.instance_id)
        if instance is None or instance.execution != turn.execution:
            return None
        return None if instance.history.has(turn.turn) else instance

    def _apply_turn(self, turn: TurnCommit) -> None:
        instance = None if turn.group in self._failed_groups else self._fitting(turn)
        if instance is None:
            self.dropped.add(turn.instance_id)
            return
        if turn.events:
            instance.history.add(turn.turn, turn.events)
        instance.attempts = 0
        self._hub.take_letters(instance, turn.consumed)
        self._apply_activities(instance, turn)
        self._apply_state(instance, turn)
        self._apply_status(instance, turn)
        if turn.next_execution is not None:
            self._continue_as_new(instance, turn.next_execution)
        self._children += turn.children
        self._letters += turn.outbox
        for answer in turn.answers:
            self._hub.answer(answer, self._now_us)

    def _apply_activities(self, instance: Instance, turn: TurnCommit) -> None:
        for seq in turn.cancelled:
            self._hub.cancel_activities(instance, seq)
        for activity in turn.queued:
            self._hub.queue(activity, instance)

    def _apply_state(self, instance: Instance, turn: TurnCommit) -> None:
        if turn.will is not None:
            instance.will = turn.will
        if turn.state is not None:
            instance.state = turn.state or None
            instance.updated_at_us = self._now_us
            self._hub.hints.changed[instance.instance_id] = None

    def _apply_status(self, instance: Instance, turn: TurnCommit) -> None:
        if turn.custom_status is not None:
            instance.custom_status = turn.custom_status or None
            instance.updated_at_us = self._now_us
            self._hub.hints.progress[instance.instance_id] = None
        if turn.status is None:
            return
        instance.status = turn.status
        instance.updated_at_us = self._now_us
        hints = self._hub.hints
        (hints.changed if turn.status.is_terminal else hints.progress)[instance.instance_id] = None
        if turn.status.is_terminal:
            instance.output = turn.output
            instance.failure = turn.failure
            self._hub.list_ended(instance, self._now_us)
            instance.mailbox.clear()
            instance.fresh.clear()
            instance.final.clear()
            self._hub.drop_activities(instance)
            self._hub.free(instance, None)
            self._hub.bequeath(instance)

    def _continue_as_new(self, instance: Instance, following: NextExecution) -> None:
        ended = [m.id for m in instance.mailbox.values() if m.execution == instance.execution]
        self._hub.take_letters(instance, ended)
        self._hub.drop_activities(instance)
        instance.execution += 1
        instance.version = following.version
        instance.history = History(following.events)
        instance.updated_at_us = self._now_us
        self._hub.bequeath(instance)

    def _create_child(self, child: NewInstance) -> None:
        outcome = self._hub.create(child, self._now_us)
        if outcome.created or child.refusal is None or child.parent is None:
            return
        refusal = Outgoing(
            instance_id=child.parent.instance_id,
            execution=child.parent.execution,
            letter=child.refusal,
        )
        self._hub.deliver(refusal, self._now_us, None)

    # -- letting go

    def _apply_to_owned(self, instance: Instance, item: Release | Abandon | Park | Recount) -> None:
        match item:
            case Recount():
                instance.attempts = item.attempts
            case Release():
                instance.attempts = 0
                unseen = len(instance.mailbox) > len(item.seen) or not (
                    instance.mailbox.keys() <= set(item.seen)
                )
                self._hub.free(instance, self._now_us if unseen else item.wake_at_us)
            case Abandon():
                instance.hold_until_us = item.retry_at_us
                is_told = instance.instance_id not in self._row.marked
                at_once = bool(instance.final) and not is_told
                self._hub.free(instance, self._now_us if at_once else item.retry_at_us)
            case Park():
                instance.parked = item.reason
                instance.updated_at_us = self._now_us
                self._hub.free(instance, self._now_us if instance.final else None)
                self._hub.bequeath(instance)
                self._hub.hints.changed[instance.instance_id] = None
            case _:
                assert_never(item)

    # -- activities

    def _apply_to_running(self, row: ActivityRow, item: ActivityProgress | ActivityRecount) -> None:
        match item:
            case ActivityProgress():
                row.activity = msgspec.structs.replace(row.activity, options=item.options)
                self._letters.append(item.outgoing)
            case ActivityRecount():
                row.attempts = item.attempts
                if item.is_returned:
                    del self._row.activities[row.item_id]
                    self._hub.give_back(row)
            case _:
                assert_never(item)

    def _apply_result(self, result: ActivityResult) -> None:
        if result.item_id in self._row.activities:
            self._hub.drop_activity(self._hub.activities[result.item_id])
            self._letters.append(result.outgoing)

    def _apply_unclaimed(self, item: UnclaimedActivity) -> None:
        instance = self._hub.instances.get(item.instance_id)
        if instance is None or instance.execution != item.execution:
            return
        rows = [self._hub.activities[one] for one in instance.activities.get(item.seq, ())]
        if rows and all(row.owner is None for row in rows):
            self._hub.cancel_activities(instance, item.seq)
            self._letters.append(item.outgoing)
