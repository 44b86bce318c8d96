"""A worker's commit: items applied one after the other to the ledger, and written together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, assert_never

from durable_async.backends._rows import encode_failure
from durable_async.model.records import (
    Abandon,
    ActivityProgress,
    ActivityRecount,
    ActivityResult,
    CommitItem,
    NewInstance,
    NextExecution,
    Outgoing,
    Park,
    Recount,
    Release,
    TurnCommit,
    UnclaimedActivity,
)
from durable_async.model.status import TERMINAL

from .ledger import Ledger
from .states import InstanceState
from .transaction import Statements, json_list

_OfOwned: TypeAlias = Release | Abandon | Park | Recount


class Batch:
    """One commit of one worker: what happens to its own instances comes first, then what leaves them.

    Attributes:
        dropped: Instances whose turn is not written.
    """

    def __init__(self, tx: Statements, worker_id: str, *, check_turns: bool) -> None:
        """Begin a batch; ``check_turns`` looks each turn up before it is applied, which only a conflict makes necessary."""
        self._tx = tx
        self._worker_id = worker_id
        self._check_turns = check_turns
        self._ledger = Ledger(tx)
        self._left_out: set[str] = set()
        self._refused: set[int] = set()
        self._written: set[tuple[int, int, int]] = set()
        self._claimed: dict[int, tuple[int, int, int]] = {}
        self._unclaimed: dict[int, tuple[int, int, int]] = {}
        self._children: list[NewInstance] = []
        self._letters: list[Outgoing] = []
        self.dropped: set[str] = set()

    def run(self, items: Sequence[CommitItem]) -> None:
        """Load what the items are about, apply them in order, write the result."""
        self._load(items)
        self._refused = {
            item.group
            for item in items
            if isinstance(item, TurnCommit) and item.group and self._fitting(item) is None
        }
        for item in items:
            if isinstance(item, TurnCommit):  # nearly all are
                self._apply_turn(item)
            else:
                self._apply(item)
        for child in self._children:
            self._ledger.create_child(child)
        for outgoing in self._letters:
            self._ledger.deliver(outgoing)
        self._ledger.flush()

    def _load(self, items: Sequence[CommitItem]) -> None:
        ids: dict[str, None] = {}
        created: dict[str, None] = {}
        claimed: list[int] = []
        given_up: list[UnclaimedActivity] = []
        for item in items:
            if isinstance(item, TurnCommit):
                ids[item.instance_id] = None
                if item.outbox or item.children:
                    _note_receivers(item, ids, created)
            elif isinstance(item, (ActivityResult, ActivityProgress)):
                claimed.append(item.item_id)
                ids[item.outgoing.instance_id] = None
            elif isinstance(item, ActivityRecount):
                claimed.append(item.item_id)
            else:
                ids[item.instance_id] = None
                if isinstance(item, UnclaimedActivity):
                    given_up.append(item)
        ids.update(created)
        self._ledger.load(ids)
        if created:
            self._ledger.load_tombstones(created)
        if claimed:
            self._load_claimed(claimed)
        if given_up:
            self._load_unclaimed(given_up)

    def _load_claimed(self, item_ids: list[int]) -> None:
        rows = self._tx.all(
            "load_claimed_activities",
            hub=self._tx.hub,
            worker=self._worker_id,
            ids=json_list(item_ids),
        )
        self._claimed = {item_id: (key, execution, seq) for item_id, key, execution, seq in rows}

    def _load_unclaimed(self, items: list[UnclaimedActivity]) -> None:
        states = ((self._ledger.find(item.instance_id), item.seq) for item in items)
        wanted = [(state.key, seq) for state, seq in states if state is not None]
        rows = self._tx.all("load_unclaimed_activities", wanted=json_list(wanted))
        self._unclaimed = {item_id: (key, execution, seq) for item_id, key, execution, seq in rows}

    def _apply(
        self,
        item: ActivityResult | ActivityProgress | ActivityRecount | UnclaimedActivity | _OfOwned,
    ) -> None:
        match item:
            case ActivityResult() | ActivityProgress() | ActivityRecount():
                if item.item_id in self._claimed:
                    self._apply_to_running(item)
            case UnclaimedActivity():
                self._apply_unclaimed(item)
            case Release() | Abandon() | Park() | Recount():
                state = self._owned(item.instance_id)
                if state is not None and item.execution in (None, state.execution):
                    self._apply_to_owned(state, item)
            case _:
                assert_never(item)

    def _apply_to_owned(self, state: InstanceState, item: _OfOwned) -> None:
        match item:
            case Recount():
                state.attempts = item.attempts
                self._ledger.touch(state)
            case Release():
                self._release(state, item)
            case Abandon():
                self._abandon(state, item)
            case Park():
                self._park(state, item)
            case _:
                assert_never(item)

    def _owned(self, instance_id: str) -> InstanceState | None:
        state = self._ledger.find(instance_id)
        if state is None or state.owner != self._worker_id or instance_id in self._left_out:
            return None
        return state

    def _change(self, state: InstanceState) -> None:
        state.updated_at_us = self._tx.now_us
        is_over = state.status in TERMINAL or state.parked is not None
        (self._tx.changed if is_over else self._tx.progress).add(state.id)
        self._ledger.touch(state)

    def _let_go(self, state: InstanceState) -> None:
        self._tx.brought_work = True
        self._ledger.touch(state)

    # -- turns

    def _apply_turn(self, item: TurnCommit) -> None:
        state = None if item.group in self._refused else self._fitting(item)
        if state is None:
            self._left_out.add(item.instance_id)
            self.dropped.add(item.instance_id)
            return
        if state.attempts:
            state.attempts = 0
            if item.state is None:  # a new state is written with no attempts
                self._ledger.touch(state)
        for seq in item.cancelled:
            self._ledger.cancel_queued(state, seq)
            self._forget_claimed(state.key, seq)
        for queued in item.queued:
            self._ledger.queue(state, queued)
        self._write_turn(state, item)
        self._children += item.children
        self._letters += item.outbox

    def _fitting(self, item: TurnCommit) -> InstanceState | None:
        """Return the instance that a turn is of, if it can be written."""
        state = self._owned(item.instance_id)
        if state is None or state.execution != item.execution:
            return None
        return None if item.events and self._is_taken(state, item.turn) else state

    def _is_taken(self, state: InstanceState, turn: int) -> bool:
        key, execution = state.key, state.execution
        if (key, execution, turn) in self._written:
            return True
        if not self._check_turns:
            return False
        return self._tx.one("turn_exists", key=key, execution=execution, turn=turn) is not None

    def _write_turn(self, state: InstanceState, item: TurnCommit) -> None:
        pending, key = self._ledger.pending, state.key
        if item.events:
            pending.insert_history.append((key, item.execution, item.turn, item.events))
            self._written.add((key, item.execution, item.turn))
        if item.consumed:
            self._ledger.consume(state, item.consumed)
        if item.answers:
            self._ledger.keep_answers(item.answers)
        if item.will is not None:
            self._ledger.leave_will(state, item.will)
        if item.state is not None:
            self._ledger.replace_snapshot(state, item.state)
        if item.custom_status is not None:
            pending.save_custom_statuses.append((item.custom_status or None, key))
            self._change(state)
        if item.status is not None:
            state.status = item.status
            self._change(state)
        if item.next_execution is not None:
            self._continue_as_new(state, item.next_execution)
        elif item.status in TERMINAL:
            self._end(state, item)

    def _end(self, state: InstanceState, item: TurnCommit) -> None:
        if item.output is not None or item.failure is not None:
            outcome = (item.output, encode_failure(item.failure), state.key)
            self._ledger.pending.save_outcomes.append(outcome)
        self._ledger.end(state)
        self._ledger.bequeath(state)
        self._forget_claimed(state.key)

    def _continue_as_new(self, state: InstanceState, following: NextExecution) -> None:
        state.version = following.version
        self._ledger.renew(state, following.events)
        self._ledger.drop_letters(state, before=state.execution)
        self._ledger.bequeath(state)
        self._forget_claimed(state.key)
        self._change(state)

    def _forget_claimed(self, key: int, seq: int | None = None) -> None:
        for rows in (self._claimed, self._unclaimed):
            for item_id, row in tuple(rows.items()):
                if row[0] == key and seq in (None, row[2]):
                    del rows[item_id]

    # -- the rest

    def _apply_to_running(self, item: ActivityResult | ActivityProgress | ActivityRecount) -> None:
        pending = self._ledger.pending
        match item:
            case ActivityResult():
                del self._claimed[item.item_id]
                pending.delete_queued.append((item.item_id,))
                self._letters.append(item.outgoing)
            case ActivityProgress():
                pending.save_options.append((item.options, item.item_id))
                self._letters.append(item.outgoing)
            case ActivityRecount():
                owner = None if item.is_returned else self._worker_id
                pending.recount_activities.append((item.attempts, owner, item.item_id))
                if item.is_returned:
                    del self._claimed[item.item_id]
                    self._tx.brought_work = True
            case _:
                assert_never(item)

    def _apply_unclaimed(self, item: UnclaimedActivity) -> None:
        state = self._ledger.find(item.instance_id)
        if state is None:
            return
        place = (state.key, item.execution, item.seq)
        found = [item_id for item_id, row in self._unclaimed.items() if row == place]
        if found:
            self._forget_claimed(state.key, item.seq)
            self._ledger.pending.delete_queued += [(item_id,) for item_id in found]
            self._letters.append(item.outgoing)

    def _abandon(self, state: InstanceState, item: Abandon) -> None:
        at_once = state.ending and state.unread_from is not None
        state.hold_until_us = item.retry_at_us
        state.free(self._tx.now_us if at_once else item.retry_at_us)
        self._let_go(state)

    def _park(self, state: InstanceState, item: Park) -> None:
        state.parked = item.reason
        state.free(self._tx.now_us if state.ending else None)
        self._change(state)
        self._ledger.bequeath(state)
        if state.ending:
            self._tx.brought_work = True

    def _release(self, state: InstanceState, item: Release) -> None:
        state.attempts = 0
        state.free(item.wake_at_us)
        self._ledger.touch(state)
        if item.wake_at_us is not None:
            self._tx.brought_work = True
        now_us = self._tx.now_us
        released = (now_us, now_us, state.key, json_list(item.seen))
        self._ledger.pending.wake_released.append(released)


def _note_receivers(turn: TurnCommit, ids: dict[str, None], created: dict[str, None]) -> None:
    """Add the instances that a turn does not change itself but reaches, and those that it may bring into being."""
    ids.update((out.instance_id, None) for out in turn.outbox)
    created.update((new.instance_id, None) for new in turn.children)
    created.update((out.instance_id, None) for out in turn.outbox if out.opens)
    parents = [new.parent for new in turn.children if new.refusal is not None]
    ids.update((parent.instance_id, None) for parent in parents if parent is not None)
