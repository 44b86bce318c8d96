"""A worker's commit: items about one instance folded into what they come to, and laid out as arrays.

Items about different instances are independent, but for the letters that they send each other, and those may be delivered in any
order that keeps the order of each sender. So the server takes the batch by kind instead of by item: first what turns change on their own instances,
then who is let go, then children, then letters.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, assert_never

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

from .columns import Columns, numbers
from .rows import (
    INSTANCE_WIDTH,
    LETTER_WIDTH,
    OPENS_COLUMN,
    instance_columns,
    letter_columns,
)

Place: TypeAlias = tuple[str, int, int]
"""Where a turn stands: instance, execution, turn."""


_UNKNOWN: frozenset[Place] = frozenset()
_NO_WILL_JSON = "[]"


@dataclass(slots=True)
class _Subject:
    """An instance that the batch is about, as the items so far have left it.

    One that was replaced and claimed anew may come twice, at two executions, of which the server knows the one that is there.

    Attributes:
        group: That its turn is part of, with which it is left out.
        will: As the batch has left it; ``None`` for what is stored.
    """

    instance_id: str
    place: int
    expected: int | None
    execution: int | None
    has_turn: bool = False
    group: int | None = None
    will: Will | None = None
    is_gone: bool = False
    is_left_out: bool = False
    change: dict[str, Any] = field(default_factory=dict)
    queued: list[QueuedActivity] = field(default_factory=list)
    attempts: int | None = None


SPARSE_IN_CHANGES = (1, 2, 3, 4, 6, 7, 8, 9, 10)
"""All but whose they are, and whether it ends."""


class Batch:
    """One commit of one worker, as the function ``commit_batch`` takes it.

    Attributes:
        dropped: Instances of which a turn is left out, found while folding.
        changed: Instances that may end or be parked, and requests that are answered.
        progress: Instances whose status may change otherwise.
        states: Entities whose state may change.
        places: The turns in the batch.
    """

    def __init__(self, items: Sequence[CommitItem], written: Collection[Place] = _UNKNOWN) -> None:
        """Fold items; ``written`` are turns that are in history already and are left out, with their groups and with what follows them."""
        self.dropped: set[str] = set()
        self.changed: set[str] = set()
        self.progress: set[str] = set()
        self.states: set[str] = set()
        self.places: list[Place] = []
        self._written = set(written)
        turns = (item for item in items if isinstance(item, TurnCommit) and item.group)
        self._lost_groups = {turn.group for turn in turns if self._is_written(turn)}
        self._subjects: list[_Subject] = []
        self._latest: dict[str, _Subject] = {}
        self._locks: dict[str, None] = {}
        self._dying: dict[str, None] = {}
        self._let_go_items: set[int] = set()
        self._turns = Columns(4)
        self._wills = Columns(3)
        self._answers = Columns(3)
        self._consumed = Columns(2)
        self._cancelled = Columns(2)
        self._recounted: dict[int, tuple[int, bool]] = {}
        self._reports: list[tuple[int, int]] = []
        self._options: dict[int, bytes] = {}
        self._results = Columns(2)
        self._given_up = Columns(4)
        self._letters = Columns(1 + LETTER_WIDTH)
        self._children = Columns(INSTANCE_WIDTH + 2)
        self._freed = Columns(4)
        self._seen: list[int] = []
        for item in items:
            self._fold(item)

    def subjects(self, places: Sequence[int]) -> list[str]:
        """Return the instances at these places."""
        return [self._subjects[place - 1].instance_id for place in places]

    def parameters(self) -> tuple[Any, ...]:
        """Return the arguments of ``commit_batch`` after the fence."""
        subjects = Columns(4)
        changes = Columns(11)
        queued = Columns(7)
        counts = Columns(2)
        for subject in self._subjects:
            subjects.add(subject.instance_id, subject.expected, subject.has_turn, subject.group)
            if subject.change:
                changes.add(subject.place, *_change_columns(subject))
            for item in subject.queued:
                queued.add(subject.place, *_queued_columns(item))
            if subject.attempts is not None:
                counts.add(subject.place, subject.attempts)
        return (
            list(self._locks),
            list(self._dying) or None,
            *(subjects.arrays(sparse=(3,)) if subjects else ([], [], [], None)),
            *self._turns.arrays(),
            numbers(self._consumed.column(0)),
            numbers(self._consumed.column(1)),
            *changes.arrays(sparse=SPARSE_IN_CHANGES),
            *self._wills.arrays(),
            *self._answers.arrays(),
            *self._cancelled.arrays(),
            *queued.arrays(),
            *counts.arrays(),
            *self._recounts().arrays(),
            *self._progress().arrays(),
            *self._results.arrays(),
            *self._given_up.arrays(),
            *self._letters.arrays(sparse=(1 + OPENS_COLUMN,)),
            *self._children.arrays(),
            *self._freed.arrays(),
            self._seen,
        )

    def _recounts(self) -> Columns:
        columns = Columns(3)
        for item_id, (attempts, is_returned) in self._recounted.items():
            columns.add(item_id, attempts, is_returned)
        return columns

    def _progress(self) -> Columns:
        columns = Columns(3)
        left = dict(self._options)
        for item_id, place in reversed(
            self._reports
        ):  # only the last has options, those to be kept
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
        subject = self._latest.get(instance_id)
        if subject is not None and not self._is_another(subject, execution):
            return subject
        subject = _Subject(instance_id, len(self._subjects) + 1, execution, execution)
        self._subjects.append(subject)
        self._latest[instance_id] = subject
        return subject

    @staticmethod
    def _is_another(subject: _Subject, execution: int | None) -> bool:
        """Tell whether an item is about a life before or after the one that the batch is about, with all its executions so far."""
        if execution is None or subject.is_left_out:
            return False
        if subject.expected is None or subject.execution is None:
            if not subject.is_gone:
                subject.expected = subject.execution = execution
            return False
        return not subject.expected <= execution <= subject.execution

    def _fold_turn(self, item: TurnCommit) -> None:
        instance_id = item.instance_id
        subject = self._subject(instance_id, item.execution)
        place = (instance_id, item.execution, item.turn)
        if (
            subject.is_gone
            or subject.is_left_out
            or subject.execution != item.execution
            or item.group in self._lost_groups
            or self._is_written(item)
        ):
            subject.is_left_out = True
            self.dropped.add(instance_id)
            return
        subject.has_turn = True
        subject.group = subject.group or item.group or None
        subject.attempts = None
        if item.events:
            self._written.add(place)
            self.places.append(place)
            self._turns.add(subject.place, item.execution, item.turn, item.events)
        for letter_id in item.consumed:
            self._consumed.add(subject.place, letter_id)
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
        change = subject.change
        if item.custom_status is not None:
            change["custom_status"] = item.custom_status
        if item.status is not None:
            change["status"] = item.status.value
        if item.will is not None:
            subject.will = change["will"] = item.will
        if item.next_execution is not None:
            subject.execution = item.execution + 1
            change["execution"] = subject.execution
            change["version"] = item.next_execution.version
            self._turns.add(subject.place, subject.execution, 0, item.next_execution.events)
            self.places.append((item.instance_id, subject.execution, 0))
            self._carry_out_will(subject)
        elif item.status in TERMINAL:
            change["output"] = item.output
            change["failure"] = encode_failure(item.failure)
            subject.is_gone = True
            self._carry_out_will(subject)
        if item.status in TERMINAL:
            self.changed.add(item.instance_id)
        elif change.keys() - {"will"}:
            self.progress.add(item.instance_id)
        if item.state is not None:
            change["state"] = item.state
            self.states.add(item.instance_id)
        if change:
            self._locks[item.instance_id] = None

    def _carry_out_will(self, subject: _Subject) -> None:
        will = subject.will
        if will is None:
            self._wills.add(subject.place, None, None)
            self._dying[subject.instance_id] = None
        elif will.receivers:
            self._wills.add(subject.place, orjson.dumps(will.receivers).decode(), will.letter)
            self._locks.update(dict.fromkeys(will.receivers))
        subject.will = NO_WILL
        if subject.change:
            subject.change["will"] = NO_WILL

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
        if item.execution not in (None, subject.execution):
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
        if item.execution not in (None, subject.execution):
            return
        subject.is_gone = True
        self._locks[item.instance_id] = None
        self._freed.add(subject.place, kind, at_us, reason)
        if kind == "park":
            self._carry_out_will(subject)
            self.changed.add(item.instance_id)


def _change_columns(subject: _Subject) -> tuple[Any, ...]:
    change = subject.change
    return (
        change.get("status"),
        change.get("execution"),
        change.get("version"),
        change.get("custom_status"),
        "output" in change,
        change.get("output"),
        change.get("failure"),
        change.get("state"),
        *_will_columns(change.get("will")),
    )


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
