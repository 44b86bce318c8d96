"""A worker's fetch: what it takes from the hub in one transaction."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from durable_async.backends._rows import STATUSES, decode_parent
from durable_async.errors import FencedError
from durable_async.model.identity import ENTITY_MARK
from durable_async.model.records import (
    ClaimedActivity,
    ClaimedInstance,
    Fence,
    HistoryRow,
    Mail,
    QueuedActivity,
    Work,
)

from .rows import bounded_history
from .states import Row
from .transaction import Statements, json_list


class Range(NamedTuple):
    """A statement that gives, in order, the first of what may be claimed of one kind; the last column says which row."""

    statement: str
    values: Mapping[str, Any]


class Found(NamedTuple):
    """What there is for a worker.

    Attributes:
        instances: Where ready instances are.
        activities: Where queued activities are that nobody has claimed.
    """

    instances: Sequence[Range]
    has_mail: bool
    activities: Sequence[Range]
    next_ready_us: int | None


class Fetch:
    """One fetch of one worker, with its quotas."""

    def __init__(
        self,
        fence: Fence,
        *,
        number: int,
        instances: int,
        activities: int,
        names: frozenset[str] | None,
        activity_names: frozenset[str] | None,
        history_bytes_max: int,
        passed_over: frozenset[tuple[str, str]],
    ) -> None:
        self._fence = fence
        self._number = number
        self._instances = instances
        self._activities = activities
        self._names = names
        self._activity_names = activity_names
        self._passed_over = passed_over
        self._history_bytes_max = history_bytes_max

    def run(self, tx: Statements) -> Work:
        """Look without the write lock, and take it only if there is something to take."""
        found = self._look(tx)
        if not (found.instances or found.has_mail or found.activities):
            return Work(next_ready_us=found.next_ready_us)
        with tx.transaction():
            if not tx.count(
                "number_fetch", hub=tx.hub, worker=self._fence.worker_id, number=self._number
            ):
                return Work(next_ready_us=found.next_ready_us)
            # Asked again under the lock: a letter that came before a start is to be reported with it.
            found = self._look(tx)
            return Work(
                claimed=self._claim_instances(tx, found.instances) if found.instances else (),
                mail=self._collect_mail(tx) if found.has_mail else (),
                activities=self._claim_activities(tx, found.activities) if found.activities else (),
                next_ready_us=found.next_ready_us,
            )

    def _look(self, tx: Statements) -> Found:
        row = tx.one(
            "probe",
            hub=tx.hub,
            worker=self._fence.worker_id,
            now_us=tx.now_us,
            instances=self._instances,
            activities=self._activities,
        )
        if row is None or row[0] != self._fence.epoch:
            raise FencedError(self._fence.worker_id)
        some_ready, has_mail, some_queued, next_ready_us = row[1:]
        return Found(
            self._ready(tx) if some_ready else (),
            bool(has_mail),
            self._free(tx) if some_queued else (),
            next_ready_us,
        )

    def _ready(self, tx: Statements) -> Sequence[Range]:
        """Return where something is ready for this worker. Each kind is searched by itself: what is for others costs nothing."""
        at = {"hub": tx.hub, "now_us": tx.now_us}
        if self._names is None:
            passed_over = json_list(sorted(self._passed_over)) if self._passed_over else None
            ranges = [Range("ready_of_any", {**at, "passed_over": passed_over})]
            return ranges if _first(tx, ranges, 1) else ()
        ranges = [
            Range("ready_of_kind", {**at, "name": name, "version": version})
            for name, version in tx.rows("ready_kinds", **at, names=json_list(self._names))
            if (name, version) not in self._passed_over
        ]
        to_end = [Range("ready_to_end", at)]
        return ranges + to_end if _first(tx, to_end, 1) else ranges

    def _free(self, tx: Statements) -> Sequence[Range]:
        """Return where activities are queued that this worker runs, each name by itself."""
        if self._activity_names is None:
            return [Range("free_of_any", {"hub": tx.hub})]
        names = tx.rows("free_names", hub=tx.hub, names=json_list(self._activity_names))
        return [Range("free_of_name", {"hub": tx.hub, "name": name}) for (name,) in names]

    def _claim_instances(
        self, tx: Statements, ranges: Sequence[Range]
    ) -> tuple[ClaimedInstance, ...]:
        keys = _first(tx, ranges, self._instances)
        rows = tx.all("chosen_instances", keys=json_list(keys))
        self._own(tx, "claim_instances", rows)
        mail: dict[str, list[Mail]] = {}
        for one in _letters(tx, [(*row[:2], 0) for row in rows]):
            mail.setdefault(one.instance_id, []).append(one)
        queued: dict[int, list[int]] = {}
        for key, seq in tx.rows("queued_of", keys=json_list(row[0] for row in rows)):
            queued.setdefault(key, []).append(seq)
        return tuple(
            self._claimed(tx, row, mail.get(row[1], ()), queued.get(row[0], ())) for row in rows
        )

    def _claimed(
        self, tx: Statements, row: Row, mail: Iterable[Mail], queued: Iterable[int]
    ) -> ClaimedInstance:
        key, instance_id, name, version, status, execution, attempts, start_at_us, *rest = row
        state, *parent = rest
        history: tuple[HistoryRow, ...] = ()
        more_history = False
        if not instance_id.startswith(ENTITY_MARK):
            rows = tx.rows("history_after", key=key, execution=execution, after_turn=-1)
            history, more_history = bounded_history(rows, self._history_bytes_max)
        return ClaimedInstance(
            instance_id=instance_id,
            name=name,
            version=version,
            status=STATUSES[status],
            execution=execution,
            attempts=attempts,
            start_at_us=start_at_us,
            parent=decode_parent(parent),
            history=history,
            more_history=more_history,
            mail=tuple(mail),
            queued=tuple(queued),
            state=state,
        )

    def _collect_mail(self, tx: Statements) -> tuple[Mail, ...]:
        owned = {"hub": tx.hub, "worker": self._fence.worker_id}
        unread = tx.all("unread_instances", **owned)
        tx.known.take(row[1] for row in unread)
        tx.count("mark_read", **owned)
        return tuple(_letters(tx, unread))

    def _claim_activities(
        self, tx: Statements, ranges: Sequence[Range]
    ) -> tuple[ClaimedActivity, ...]:
        ids = _first(tx, ranges, self._activities)
        rows = tx.all("chosen_activities", ids=json_list(ids))
        self._own(tx, "claim_activities", rows)
        return tuple(_activity(row) for row in rows)

    def _own(self, tx: Statements, name: str, rows: Iterable[Row]) -> None:
        tx.each(name, [(self._fence.worker_id, self._number, row[0]) for row in rows])


def _first(tx: Statements, ranges: Sequence[Range], limit: int) -> list[int]:
    """Return which rows are the first of all these ranges."""
    each = [tx.all(one.statement, **one.values, limit=limit) for one in ranges]
    return [row[-1] for row in islice(heapq.merge(*each), limit)]


def unwanted_activities(tx: Statements, worker_id: str, item_ids: Iterable[int]) -> frozenset[int]:
    """Return those of these activities that a worker has no claim on."""
    asked = frozenset(item_ids)
    rows = tx.rows("claimed_activities", hub=tx.hub, worker=worker_id, ids=json_list(asked))
    return asked.difference(item_id for (item_id,) in rows)


def _letters(tx: Statements, unread: Iterable[Row]) -> list[Mail]:
    """Return letters of instances: of each key and id, those from a number on."""
    ids: dict[int, str] = {}
    wanted: list[tuple[int, int]] = []
    for key, instance_id, unread_from in unread:
        ids[key] = instance_id
        wanted.append((key, unread_from))
    return [
        Mail(id=letter_id, instance_id=ids[key], execution=execution, letter=letter)
        for letter_id, key, execution, letter in tx.rows("letters_of", wanted=json_list(wanted))
    ]


def _activity(row: Row) -> ClaimedActivity:
    item_id, attempts, instance_id, execution, seq, attempt, name, body, options = row
    return ClaimedActivity(
        item_id=item_id,
        attempts=attempts,
        activity=QueuedActivity(
            instance_id=instance_id,
            execution=execution,
            seq=seq,
            attempt=attempt,
            name=name,
            input=body,
            options=options,
        ),
    )
