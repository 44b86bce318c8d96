"""A worker's commit: items about one instance folded into what they come to, and laid out as arrays.

Items about different instances are independent, but for the letters that they send each other, and those may be delivered in any
order that keeps the order of each sender. So the server takes the batch by kind instead of by item: first what turns change on their own instances,
then who is let go, then children, then letters.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, TypeAlias, assert_never

import msgspec
import orjson

from durable_async.backends._rows import encode_failure
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import (
    NO_WILL,
    Abandon,
    ActivityProgress,
    ActivityRecount,
    ActivityResult,
    CommitItem,
    Outgoing,
    Park,
    QueuedActivity,
    Recount,
    Release,
    TurnCommit,
    UnclaimedActivity,
    Will,
)
from durable_async.model.status import TERMINAL

from .columns import Columns, flags, numbers, values
from .rows import INSTANCE, LETTER, instance_columns, letter_columns

Place: TypeAlias = tuple[str, int, int]
"""Where a turn stands: instance, execution, turn."""

_UNKNOWN: frozenset[Place] = frozenset()
_NO_WILL_JSON = "[]"


def is_bare(turn: TurnCommit) -> bool:
    """Tell whether a turn appends to history, takes letters out of its mailbox, and does nothing else but that it may show a status."""
    return not (
        turn.outbox
        or turn.children
        or turn.state is not None
        or turn.custom_status is not None
        or turn.queued
        or turn.cancelled
        or turn.answers
        or turn.group
        or turn.will is not None
        or turn.next_execution is not None
    )


def lone_turn(items: Sequence[CommitItem]) -> TurnCommit | None:
    """Return the only turn of a batch that is one row of history, and perhaps a status, and nothing else."""
    if len(items) != 1:
        return None
    item = items[0]
    if isinstance(item, TurnCommit) and item.events and not item.consumed and is_bare(item):
        return item
    return None


class _Change(msgspec.Struct, eq=False):
    """What a subject's turns come to on its row; ``None`` for what stays."""

    status: str | None = None
    execution: int | None = None
    version: str | None = None
    custom_status: bytes | None = None
    is_end: bool = False
    output: bytes | None = None
    failure: bytes | None = None
    state: bytes | None = None
    will: Will | None = None

    def columns(self) -> tuple[Any, ...]:
        """Return it as the server takes it."""
        return (
            self.status,
            self.execution,
            self.version,
            self.custom_status,
            self.is_end,
            self.output,
            self.failure,
            self.state,
            *_will_columns(self.will),
        )


class _Subject(msgspec.Struct, eq=False):
    """An instance that the batch is about, as the items so far have left it.

    One that was replaced and claimed anew may come twice, at two executions, of which the server knows the one that is there.

    Attributes:
        execution: At which it has to be; ``None`` for whichever.
        reached: At which the batch leaves it.
        turn: Its first turn, with ``events``; those that follow are apart.
        group: That its turn is part of, with which it is left out.
        will: As the batch has left it; ``None`` for what is stored.
    """

    instance_id: str
    place: int
    execution: int | None
    reached: int | None
    turn: int | None = None
    events: bytes = b""
    group: int = 0
    will: Will | None = None
    is_gone: bool = False
    is_left_out: bool = False
    change: _Change | None = None
    queued: list[QueuedActivity] = []
    attempts: int | None = None


_WILL: Final = (values, values)
_CHANGE: Final = (numbers, values, numbers, values, values, flags, values, values, values, *_WILL)
_QUEUED: Final = (numbers, numbers, numbers, numbers, values, values, values)


class Batch:
    """One commit of one worker, as the function ``commit_batch`` takes it.

    Attributes:
        dropped: Instances of which a turn is left out, found while folding.
        changed: Instances that may end or be parked, and requests that are answered.
        progress: Instances whose status may change otherwise.
        states: Entities whose state may change.
    """

    def __init__(self, items: Sequence[CommitItem], written: Collection[Place] = _UNKNOWN) -> None:
        """Fold items; ``written`` are turns that are in history already and are left out, with their groups and with what follows them."""
        self.dropped: set[str] = set()
        self.changed: set[str] = set()
        self.progress: set[str] = set()
        self.states: set[str] = set()
        self._written = set(written)
        turns = (item for item in items if isinstance(item, TurnCommit) and item.group)
        self._lost_groups = {turn.group for turn in turns if self._is_written(turn)}
        # By their places. A turn that only appends stands for its subject, until there is something else to remember of it.
        self._subjects: list[_Subject | TurnCommit] = []
        self._latest: dict[str, int] = {}
        self._locks: dict[str, None] = {}
        self._dying: dict[str, None] = {}
        self._let_go_items: set[int] = set()
        self._further_places: list[Place] = []
        self._further = Columns((numbers, numbers, numbers, values))
        self._consumed = Columns((numbers, numbers))
        self._wills = Columns((numbers, *_WILL))
        self._answers = Columns((numbers, values, values))
        self._cancelled = Columns((numbers, numbers))
        self._recounted: dict[int, tuple[int, bool]] = {}
        self._reports: list[tuple[int, int]] = []
        self._options: dict[int, bytes] = {}
        self._results = Columns((numbers, numbers))
        self._given_up = Columns((values, numbers, numbers, numbers))
        self._letters = Columns((numbers, *LETTER))
        self._children = Columns((*INSTANCE, numbers, values))
        self._freed = Columns((numbers, values, numbers, values))
        self._seen: list[int] = []
        for item in items:
            if (
                isinstance(item, TurnCommit)
                and item.instance_id not in self._latest
                and item.status is None
                and is_bare(item)
                and not (written and self._is_written(item))
            ):
                self._fold_append(item)
            else:
                self._fold(item)

    def subjects(self, places: Sequence[int]) -> list[str]:
        """Return the instances at these places."""
        return [self._subjects[place - 1].instance_id for place in places]

    def places(self) -> list[Place]:
        """Return where the batch writes to history."""
        firsts = [
            (one.instance_id, one.execution, one.turn)
            for one in self._subjects
            if one.execution is not None and one.turn is not None and one.events
        ]
        return firsts + self._further_places

    def parameters(self) -> tuple[Any, ...]:
        """Return the arguments of ``commit_batch`` after the fence."""
        changes = Columns(_CHANGE)
        queued = Columns(_QUEUED)
        counts = Columns((numbers, numbers))
        for subject in self._subjects:
            if isinstance(subject, TurnCommit):
                continue
            if subject.change is not None:
                changes.add(subject.place, *subject.change.columns())
            for item in subject.queued:
                queued.add(subject.place, *_queued_columns(item))
            if subject.attempts is not None:
                counts.add(subject.place, subject.attempts)
        return (
            list(self._locks) or None,
            list(self._dying) or None,
            *self._subject_parameters(),
            *self._further.parameters(),
            *self._consumed.parameters(),
            *changes.parameters(),
            *self._wills.parameters(),
            *self._answers.parameters(),
            *self._cancelled.parameters(),
            *queued.parameters(),
            *counts.parameters(),
            *self._recounts().parameters(),
            *self._progress().parameters(),
            *self._results.parameters(),
            *self._given_up.parameters(),
            *self._letters.parameters(),
            *self._children.parameters(),
            *self._freed.parameters(),
            numbers(self._seen),
        )

    def _subject_parameters(self) -> tuple[Any, ...]:
        subjects = self._subjects
        return (
            [one.instance_id for one in subjects],
            numbers([one.execution for one in subjects]),
            numbers([one.turn for one in subjects]),
            values([one.events or None for one in subjects]),
            numbers([one.group or None for one in subjects]),
        )

    def _recounts(self) -> Columns:
        rows = ((item_id, *counted) for item_id, counted in self._recounted.items())
        return Columns((numbers, numbers, values), rows)

    def _progress(self) -> Columns:
        columns = Columns((numbers, numbers, values))
        left = dict(self._options)
        # Only the last has options, those to be kept.
        for item_id, place in reversed(self._reports):
            columns.add(item_id, place, left.pop(item_id, None))
        return columns

    # -- folding

    def _fold(self, item: CommitItem) -> None:
        match item:
            case TurnCommit():
                self._fold_turn(item)
            case ActivityResult() | ActivityProgress() | ActivityRecount():
                if item.item_id not in self._let_go_items:
                    self._fold_running(item)
            case Recount():
                self._fold_recount(item)
            case UnclaimedActivity():
                place = self._post(None, item.outgoing)
                self._locks[item.instance_id] = None
                self._given_up.add(item.instance_id, item.execution, item.seq, place)
            case Release():
                self._seen += item.seen
                self._let_go(item, "release", item.wake_at_us, None)
            case Abandon():
                self._let_go(item, "abandon", item.retry_at_us, None)
            case Park():
                self._let_go(item, "park", None, item.reason)
            case _:
                assert_never(item)

    def _subject(self, instance_id: str, execution: int | None) -> _Subject:
        place = self._latest.get(instance_id)
        if place is not None:
            subject = self._opened(place)
            if not self._is_another(subject, execution):
                return subject
        place = len(self._subjects) + 1
        subject = _Subject(instance_id, place, execution, execution)
        self._subjects.append(subject)
        self._latest[instance_id] = place
        return subject

    def _opened(self, place: int) -> _Subject:
        """Return a subject to be changed, also if a turn stood for it so far."""
        found = self._subjects[place - 1]
        if isinstance(found, _Subject):
            return found
        subject = _Subject(
            found.instance_id, place, found.execution, found.execution, found.turn, found.events
        )
        self._subjects[place - 1] = subject
        self._note_written(found)
        return subject

    @staticmethod
    def _is_another(subject: _Subject, execution: int | None) -> bool:
        """Tell whether an item is about a life before or after the one that the batch is about, with all its executions so far."""
        if execution is None or subject.is_left_out:
            return False
        if subject.execution is None or subject.reached is None:
            if not subject.is_gone:
                subject.execution = subject.reached = execution
            return False
        return not subject.execution <= execution <= subject.reached

    def _fold_append(self, item: TurnCommit) -> None:
        self._subjects.append(item)
        place = self._latest[item.instance_id] = len(self._subjects)
        self._consume(place, item.consumed)

    def _fold_turn(self, item: TurnCommit) -> None:
        instance_id = item.instance_id
        subject = self._subject(instance_id, item.execution)
        if (
            subject.is_gone
            or subject.is_left_out
            or subject.reached != item.execution
            or item.group in self._lost_groups
            or self._is_written(item)
        ):
            subject.is_left_out = True
            self.dropped.add(instance_id)
            return
        subject.group = subject.group or item.group
        subject.attempts = None
        self._note_written(item)
        if subject.turn is None:
            subject.turn, subject.events = item.turn, item.events
        elif item.events:
            self._add_further(subject, item.execution, item.turn, item.events)
        self._consume(subject.place, item.consumed)
        if item.queued or item.cancelled or subject.queued:
            self._fold_queue(subject, item)
        self._fold_change(subject, item)
        for answer in item.answers:
            self.changed.add(answer.request_id)
            self._answers.add(subject.place, answer.request_id, answer.answer)
        for new in item.children:
            self._locks[new.instance_id] = None
            if new.reuse is ReusePolicy.REPLACE:
                self._dying[new.instance_id] = None
            if new.refusal is not None and new.parent is not None:
                self._locks[new.parent.instance_id] = None
            self._children.add(*instance_columns(new), subject.place, new.refusal)
        for out in item.outbox:
            self._post(subject.place, out)

    def _consume(self, place: int, mail_ids: Sequence[int]) -> None:
        if mail_ids:
            self._consumed.extend([(place, mail_id) for mail_id in mail_ids])

    def _add_further(self, subject: _Subject, execution: int, turn: int, events: bytes) -> None:
        self._further_places.append((subject.instance_id, execution, turn))
        self._further.add(subject.place, execution, turn, events)

    def _note_written(self, item: TurnCommit) -> None:
        if item.events:
            self._written.add((item.instance_id, item.execution, item.turn))

    def _is_written(self, item: TurnCommit) -> bool:
        return bool(item.events) and (item.instance_id, item.execution, item.turn) in self._written

    def _fold_queue(self, subject: _Subject, item: TurnCommit) -> None:
        if item.cancelled:
            self._locks[item.instance_id] = None
            subject.queued = [one for one in subject.queued if one.seq not in item.cancelled]
            for seq in item.cancelled:
                self._cancelled.add(subject.place, seq)
        following = item.next_execution is not None
        if following or item.status in TERMINAL:
            subject.queued.clear()
        else:
            subject.queued += (one for one in item.queued if one.execution == item.execution)

    def _fold_change(self, subject: _Subject, item: TurnCommit) -> None:
        is_shown = (
            item.status is not None
            or item.custom_status is not None
            or item.next_execution is not None
        )
        if not is_shown and item.state is None and item.will is None:
            return
        self._locks[item.instance_id] = None
        change = subject.change = subject.change or _Change()
        if item.custom_status is not None:
            change.custom_status = item.custom_status
        if item.status is not None:
            change.status = item.status.value
        if item.state is not None:
            change.state = item.state
            self.states.add(item.instance_id)
        if item.will is not None:
            subject.will = change.will = item.will
        if is_shown:
            (self.changed if item.status in TERMINAL else self.progress).add(item.instance_id)
            self._fold_end(subject, change, item)

    def _fold_end(self, subject: _Subject, change: _Change, item: TurnCommit) -> None:
        if item.next_execution is not None:
            subject.reached = change.execution = item.execution + 1
            change.version = item.next_execution.version
            self._add_further(subject, subject.reached, 0, item.next_execution.events)
            self._carry_out_will(subject)
        elif item.status in TERMINAL:
            change.is_end = True
            change.output = item.output
            change.failure = encode_failure(item.failure)
            subject.is_gone = True
            self._carry_out_will(subject)

    def _carry_out_will(self, subject: _Subject) -> None:
        will = subject.will
        if will is None:
            self._wills.add(subject.place, None, None)
            self._dying[subject.instance_id] = None
        elif will.receivers:
            self._wills.add(subject.place, *_will_columns(will))
            self._locks.update(dict.fromkeys(will.receivers))
        subject.will = NO_WILL
        if subject.change is not None:
            subject.change.will = NO_WILL

    def _fold_running(self, item: ActivityResult | ActivityProgress | ActivityRecount) -> None:
        match item:
            case ActivityResult():
                self._let_go_items.add(item.item_id)
                self._results.add(item.item_id, self._post(None, item.outgoing))
            case ActivityProgress():
                self._reports.append((item.item_id, self._post(None, item.outgoing)))
                self._options[item.item_id] = item.options
            case ActivityRecount():
                self._recounted[item.item_id] = (item.attempts, item.is_returned)
                if item.is_returned:
                    self._let_go_items.add(item.item_id)
            case _:
                assert_never(item)

    def _fold_recount(self, item: Recount) -> None:
        subject = self._subject(item.instance_id, item.execution)
        if subject.is_gone or subject.is_left_out:
            return
        if item.execution not in (None, subject.reached):
            return
        subject.attempts = item.attempts
        self._locks[item.instance_id] = None

    def _post(self, sender: int | None, out: Outgoing) -> int:
        self._locks[out.instance_id] = None
        return self._letters.add(sender, *letter_columns(out))

    def _let_go(
        self, item: Release | Abandon | Park, kind: str, at_us: int | None, reason: str | None
    ) -> None:
        subject = self._subject(item.instance_id, item.execution)
        if subject.is_gone or subject.is_left_out:
            return
        if item.execution not in (None, subject.reached):
            return
        subject.is_gone = True
        self._locks[item.instance_id] = None
        self._freed.add(subject.place, kind, at_us, reason)
        if kind == "park":
            self._carry_out_will(subject)
            self.changed.add(item.instance_id)


def _will_columns(will: Will | None) -> tuple[str | None, bytes | None]:
    if will is None:
        return None, None
    if not will.receivers:
        return _NO_WILL_JSON, None
    return orjson.dumps(will.receivers).decode(), will.letter


def _queued_columns(item: QueuedActivity) -> tuple[Any, ...]:
    return (
        item.execution,
        item.seq,
        item.attempt,
        item.name,
        item.input,
        item.options,
    )
