"""The ledger: what one transaction decides about instances, first in memory, then written in a few statements.

SQLite has one writer, so what was loaded at the start of a transaction stays true until its end. Decisions are therefore
taken in Python, one after the other on the state that the one before left, and their rows gathered by kind; ``flush`` writes each kind
with one statement, whatever the size of the batch. Except for history, deletes come before inserts: whatever was decided to go and
was not written yet is taken out of the gathered rows at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import orjson

from durable_async.backends._rows import (
    STATUSES,
    decode_ids,
    decode_parent,
    encode_parent,
    started,
)
from durable_async.model.history import ParentLink
from durable_async.model.identity import ENTITY_MARK
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import (
    Answer,
    ClaimedInstance,
    Delivery,
    NewInstance,
    Outgoing,
    QueuedActivity,
    StartOutcome,
    Will,
)
from durable_async.model.status import TERMINAL, Status

from .finals import FinalLetters
from .rows import unique
from .states import BRINGS_WORK, WRITES, InstanceState, Pending, Row
from .transaction import Statements, json_list, json_map

_outcomes = msgspec.json.Decoder(tuple[bool, str, int])

_EVERY_EXECUTION = 2**62


class Ledger:
    """The instances that one transaction touches, as its decisions so far have left them."""

    def __init__(self, tx: Statements) -> None:
        self.tx = tx
        self.now_us = tx.now_us
        self._states: dict[str, InstanceState] = {}
        self._last_executions: dict[str, int] = {}
        self._next_key: int | None = None
        self._next_letter: int | None = None
        self._mailboxes: dict[int, int] = {}
        self._finals = FinalLetters(tx)
        self._gathered: set[int] = set()
        self._bequests: list[tuple[int, Will | None]] = []
        self.pending = Pending()

    # -- what is there

    def load(self, ids: Iterable[str]) -> None:
        """Load instances; to be called before anything is decided about them."""
        wanted = dict.fromkeys(ids)
        states = self.tx.known.take(wanted)
        for state in states:
            self._states[state.id] = state
            del wanted[state.id]
        if wanted:
            rows = self.tx.all("load_instances", hub=self.tx.hub, ids=json_list(wanted))
            loaded = [InstanceState(*row) for row in rows]
            self._states.update((state.id, state) for state in loaded)
            states += loaded
        ending = [state.key for state in states if state.ending]
        if ending:
            self._finals.load(ending)

    def load_tombstones(self, ids: Iterable[str]) -> None:
        """Load the last executions of ids that may be created or opened."""
        absent = [one for one in ids if one not in self._states]
        if absent:
            rows = self.tx.all("load_tombstones", hub=self.tx.hub, ids=json_list(absent))
            self._last_executions.update(rows)

    def find(self, instance_id: str) -> InstanceState | None:
        """Return an instance that was loaded, or created here."""
        return self._states.get(instance_id)

    def touch(self, state: InstanceState) -> None:
        """Have a state written that was changed."""
        if state.key not in self.pending.created:
            self.pending.dirty[state.key] = state

    # -- decisions

    def create(self, new: NewInstance, owner: str | None = None) -> StartOutcome:
        """Create an instance if its reuse policy allows it; otherwise tell what is there. With an owner, who has it claimed if its id is free."""
        there = self._states.get(new.instance_id)
        if there is None:
            execution = self._last_executions.get(new.instance_id, 0) + 1
        elif _may_replace(new.reuse, there):
            execution = there.execution + 1
            # What is replaced may be the same worker's, which is told of it by a fetch.
            owner = None
            self.bequeath(there)
            self.remove(there)
        else:
            return StartOutcome(created=False, status=there.status, execution=there.execution)
        self._add(new, execution, owner)
        return StartOutcome(created=True, status=Status.PENDING, execution=execution)

    def create_child(self, new: NewInstance) -> None:
        """Create an instance as part of a turn; if nothing is created, its parent gets the refusal."""
        outcome = self.create(new)
        if outcome.created or new.refusal is None or new.parent is None:
            return
        parent = new.parent
        self.deliver(
            Outgoing(instance_id=parent.instance_id, execution=parent.execution, letter=new.refusal)
        )

    def created_for(self, owner: str) -> list[ClaimedInstance]:
        """Return what a worker owns of what was created here."""
        created = self.pending.created.values()
        return [started(new, state.execution) for state, new in created if state.owner == owner]

    def _add(self, new: NewInstance, execution: int, owner: str | None) -> None:
        state = self._insert(new, Status.PENDING, execution)
        if owner is None:
            state.ready_at_us = max(self.now_us, new.start_at_us)
            self.tx.brought_work = True
        else:
            state.owner = owner
            state.attempts = 1
        self.pending.insert_history.append((state.key, execution, 0, new.events))
        self.pending.insert_tags += [
            (self.tx.hub, tag, text, state.key) for tag, text in new.tags.items()
        ]

    def _open(self, instance_id: str, name: str) -> InstanceState:
        """Let an entity be there, with nothing to do yet."""
        new = NewInstance(
            instance_id=instance_id,
            name=name,
            version=None,
            events=b"",
            created_at_us=self.now_us,
        )
        execution = self._last_executions.get(instance_id, 0) + 1
        return self._insert(new, Status.RUNNING, execution)

    def _insert(self, new: NewInstance, status: Status, execution: int) -> InstanceState:
        key = self._take_key()
        state = InstanceState(
            new.instance_id,
            key,
            status.value,
            execution,
            new.version,
            None,
            None,
            0,
            new.start_at_us,
            None,
            0,
            0,
            None,
            self.now_us,
            None,
            0,
        )
        self._states[new.instance_id] = state
        self.pending.created[key] = (state, new)
        return state

    def _take_key(self) -> int:
        if self._next_key is None:
            found = self.tx.one("next_key")
            assert found is not None
            self._next_key = int(found[0])
        key = self._next_key
        self._next_key += 1
        return key

    def deliver(self, out: Outgoing, letters_max: int | None = None) -> Delivery:
        """Put a letter into a mailbox, if the receiver can take it, and see to it that somebody looks."""
        state = self._states.get(out.instance_id)
        if state is None and out.opens is not None:
            state = self._open(out.instance_id, out.opens)
        if state is None or out.execution not in (None, state.execution):
            return Delivery.NOT_FOUND
        if out.parent is not None and not self._is_child(state, out.parent):
            return Delivery.NOT_FOUND
        if state.status in TERMINAL:
            return Delivery.TERMINAL
        is_first_final = out.final and not state.ending
        is_full = letters_max is not None and not self._has_room(state, letters_max)
        if is_full and not is_first_final:
            return Delivery.FULL
        self.pending.insert_letters.append((state.key, out.execution, out.letter, int(out.final)))
        self._gathered.add(state.key)
        if out.final:
            self._finals.add(state.key, out.execution)
            self._set_ending(state, True)
        if state.owner is not None:
            self._mark(state)
        elif out.final:
            self._wake(state, self.now_us)
        elif state.parked is None:
            start_at_us = 0 if out.urgent else state.start_at_us
            self._wake(state, max(self.now_us, state.hold_until_us, start_at_us))
        return Delivery.DELIVERED

    def _is_child(self, state: InstanceState, parent: ParentLink) -> bool:
        created = self.pending.created.get(state.key)
        if created is not None:
            link = created[1].parent
        else:
            link = decode_parent(self.tx.one("parent_of", key=state.key) or (None,) * 4)
        return link is not None and link.is_same_operation(parent)

    def _has_room(self, state: InstanceState, letters_max: int) -> bool:
        held = self._mailboxes.get(state.key)
        if held is None:
            found = self.tx.one("count_letters", key=state.key, limit=letters_max)
            assert found is not None
            held = int(found[0])
        self._mailboxes[state.key] = held + (held < letters_max)
        return held < letters_max

    def _mark(self, state: InstanceState) -> None:
        self.tx.brought_work = True
        if state.unread_from is None:
            state.unread_from = self._read_next_letter()
            self.touch(state)

    def _read_next_letter(self) -> int:
        if self._next_letter is None:
            found = self.tx.one("next_letter")
            assert found is not None
            self._next_letter = int(found[0])
        return self._next_letter

    def _wake(self, state: InstanceState, ready_at_us: int) -> None:
        if state.ready_at_us is None or ready_at_us < state.ready_at_us:
            state.ready_at_us = ready_at_us
            self.touch(state)
            self.tx.brought_work = True

    def _set_ending(self, state: InstanceState, ending: bool) -> None:
        if state.ending != ending:
            state.ending = int(ending)
            self.touch(state)
            # It may have been ready before, but for those alone who register its name.
            self.tx.brought_work |= ending

    def consume(self, state: InstanceState, letter_ids: Sequence[int]) -> None:
        """Take letters that a turn consumed out of their mailbox."""
        self.pending.delete_letters += [(letter_id, state.key) for letter_id in letter_ids]
        if state.ending:
            self._set_ending(state, self._finals.consume(state.key, letter_ids))

    def replace_snapshot(self, state: InstanceState, snapshot: bytes) -> None:
        """Give an entity another state, in a turn; empty for none."""
        state.updated_at_us = self.now_us
        self.pending.save_snapshots.append((snapshot or None, self.now_us, state.key))
        self.tx.changed.add(state.id)

    def keep_answers(self, answers: Iterable[Answer]) -> None:
        """Keep answers for clients that wait for them."""
        for one in answers:
            row = (self.tx.hub, one.request_id, one.answer, self.now_us)
            self.pending.insert_answers.append(row)
            self.tx.changed.add(one.request_id)

    def leave_will(self, state: InstanceState, will: Will) -> None:
        """Have a letter sent when an instance ends, in place of what it left before."""
        if will.receivers or state.has_will:
            self.pending.wills[state.key] = will if will.receivers else None
            state.has_will = int(bool(will.receivers))

    def bequeath(self, state: InstanceState) -> None:
        """Have what an instance that ends has left as its will sent after all other letters, and forget it."""
        if state.has_will:
            self._bequests.append((state.key, self.pending.wills.get(state.key)))
            self.pending.wills[state.key] = None
            state.has_will = 0

    def _execute_wills(self) -> None:
        # Few instances end with a will that still stands, so that wills and receivers are loaded only here.
        stored = [key for key, will in self._bequests if will is None]
        rows = self.tx.all("load_wills", keys=json_list(stored))
        loaded = {key: Will(receivers=decode_ids(ids), letter=letter) for key, ids, letter in rows}
        wills = [loaded[key] if will is None else will for key, will in self._bequests]
        receivers = unique(one for will in wills for one in will.receivers)
        self.load([one for one in receivers if one not in self._states])
        for will in wills:
            for receiver in will.receivers:
                self.deliver(Outgoing(instance_id=receiver, execution=None, letter=will.letter))

    def queue(self, state: InstanceState, item: QueuedActivity) -> None:
        """Put an activity into the queue, unless its execution is over."""
        if state.status in TERMINAL or item.execution != state.execution:
            return
        self.pending.insert_queued.append(
            (
                self.tx.hub,
                state.key,
                item.execution,
                item.seq,
                item.attempt,
                item.name,
                item.input,
                item.options,
            )
        )
        self._gathered.add(state.key)
        self.tx.brought_work = True

    def cancel_queued(self, state: InstanceState, seq: int) -> None:
        """Take an activity out of the queue."""
        key = state.key
        self.pending.delete_queued_seq.append((key, seq))
        if key in self._gathered:
            self.pending.insert_queued = [
                row for row in self.pending.insert_queued if row[1] != key or row[3] != seq
            ]

    def end(self, state: InstanceState) -> None:
        """Free an instance that has got a terminal status, with all that waits for it."""
        state.free(None)
        state.completed_at_us = self.now_us
        self.drop_letters(state)
        self.drop_queued(state)

    def renew(self, state: InstanceState, events: bytes) -> None:
        """Begin the next execution with a new turn 0 in place of the history so far."""
        state.execution += 1
        self.pending.delete_history_before.append((state.key, state.execution))
        self.pending.insert_history.append((state.key, state.execution, 0, events))
        self.drop_queued(state)
        self.touch(state)

    def remove(self, state: InstanceState) -> None:
        """Delete an instance with everything that belongs to it."""
        key = state.key
        del self._states[state.id]
        self.pending.delete_history_before.append((key, _EVERY_EXECUTION))
        self.drop_letters(state)
        self.drop_queued(state)
        pending = self.pending
        pending.dirty.pop(key, None)
        pending.insert_tags = [row for row in pending.insert_tags if row[3] != key]
        pending.wills.pop(key, None)
        for rows in (
            pending.save_outcomes,
            pending.save_custom_statuses,
            pending.save_snapshots,
            pending.save_parents,
        ):
            rows[:] = [row for row in rows if row[-1] != key]
        if pending.created.pop(key, None) is None:
            pending.delete_instances.append((key,))

    def bury(self, state: InstanceState) -> None:
        """Delete an instance, and remember its last execution: a later life goes on above it."""
        self.remove(state)
        self.pending.insert_tombstones.append((self.tx.hub, state.id, state.execution, self.now_us))

    def drop_letters(self, state: InstanceState, before: int | None = None) -> None:
        """Empty a mailbox; with ``before``, only of letters for earlier executions."""
        key = state.key
        if state.ending:
            self._set_ending(state, self._finals.drop(key, before))
        if before is None:
            self.pending.delete_letters_of.append((key,))
        else:
            self.pending.delete_letters_before.append((key, before))
        if key in self._gathered:
            self.pending.insert_letters = [
                row
                for row in self.pending.insert_letters
                if row[0] != key or (before is not None and (row[1] is None or row[1] >= before))
            ]

    def drop_queued(self, state: InstanceState) -> None:
        """Take all activities of an instance out of the queue."""
        key = state.key
        self.pending.delete_queued_of.append((key,))
        if key in self._gathered:
            self.pending.insert_queued = [
                row for row in self.pending.insert_queued if row[1] != key
            ]

    # -- writing

    def flush(self) -> None:
        """Execute wills, and write what was decided. The ledger is of no use afterwards."""
        if self._bequests:
            self._execute_wills()
        pending, tx = self.pending, self.tx
        self._make_rows()
        for name in WRITES:
            rows = getattr(pending, name)
            if rows and tx.each(name, rows) and name in BRINGS_WORK:
                tx.brought_work = True
        self._keep_known()

    def _make_rows(self) -> None:
        """Make rows of what is known only now to be final."""
        pending = self.pending
        if pending.created:
            created = pending.created.values()
            pending.insert_instances = [self._created_row(state, new) for state, new in created]
        if pending.dirty:
            pending.save_instances = [state.row() for state in pending.dirty.values()]
        if pending.wills:
            pending.save_wills = [_will_row(key, will) for key, will in pending.wills.items()]
        if pending.delete_instances:
            pending.delete_tags = self._tags_of(key for (key,) in pending.delete_instances)

    def _tags_of(self, keys: Iterable[int]) -> list[Row]:
        rows = self.tx.all("tags_of", keys=json_list(keys))
        return [(self.tx.hub, *row) for row in rows]

    def _keep_known(self) -> None:
        """Know from now on what was written of those that a worker holds; others may never be heard of again."""
        held = {one: state for one, state in self._states.items() if state.owner is not None}
        self.tx.known.keep(held)

    def _created_row(self, state: InstanceState, new: NewInstance) -> Row:
        return (
            state.key,
            self.tx.hub,
            state.id,
            new.name,
            state.status.value,
            state.execution,
            state.version,
            state.owner,
            state.ready_at_us,
            state.hold_until_us,
            state.start_at_us,
            state.unread_from,
            state.ending,
            state.attempts,
            state.parked,
            new.created_at_us,
            state.updated_at_us,
            state.completed_at_us,
            *encode_parent(new.parent),
            json_map(new.tags) if new.tags else None,
        )


def _may_replace(policy: ReusePolicy, there: InstanceState) -> bool:
    if policy is ReusePolicy.REPLACE:
        return not there.id.startswith(ENTITY_MARK)
    return policy is ReusePolicy.REPLACE_TERMINAL and there.status in TERMINAL


def _will_row(key: int, will: Will | None) -> Row:
    return (None, None, key) if will is None else (json_list(will.receivers), will.letter, key)


def encode_outcome(outcome: StartOutcome) -> str:
    """Return the answer to a start as text."""
    return orjson.dumps([outcome.created, outcome.status.value, outcome.execution]).decode()


def decode_outcome(text: str) -> StartOutcome:
    """Return the answer that ``encode_outcome`` stored; `ValueError` if it is none."""
    created, status, execution = _outcomes.decode(text)
    return StartOutcome(created=created, status=STATUSES[status], execution=execution)
