"""A worker's fetch: the rows of ``claim_work``, and the work that they stand for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar

from durable_async.backends._rows import STATUSES
from durable_async.model.records import (
    Census,
    ClaimedActivity,
    ClaimedInstance,
    HistoryRow,
    Mail,
    QueuedActivity,
    Work,
)

from .rows import Row, parent_of

T = TypeVar("T")


def any_or(names: frozenset[str] | None) -> list[str] | None:
    """Return names as a parameter; none stands for any."""
    return None if names is None else list(names)


def pairs_or_none(
    pairs: frozenset[tuple[str, str]],
) -> tuple[list[str], list[str]] | tuple[None, None]:
    """Return pairs as two parameters; none where there are none, so that nothing is looked up."""
    if not pairs:
        return None, None
    return [name for name, _ in pairs], [version for _, version in pairs]


def census_of(hub: Row) -> Census:
    """Read what the first row tells of the workers, if it was asked for."""
    return Census(workers=hub["execution"], dead=hub["attempts"], commits=hub["parent_seq"])


def work_of(rows: Iterable[Row], next_ready_us: int | None, census: Census | None) -> Work:
    """Put together what the rows after the first tell."""
    kinds: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        kinds[row["kind"]].append(row)
    letters = kinds["letter"]
    claimed = {row["key"]: row for row in sorted(kinds["instance"], key=_order)}
    mail = _by_key((row["key"], _mail(row)) for row in letters if row["key"] in claimed)
    turns = _by_key((row["key"], row) for row in kinds["turn"])
    queued = _by_key((row["key"], row["n"]) for row in kinds["queued"])
    return Work(
        claimed=tuple(
            _claimed(row, turns[key], mail[key], queued[key]) for key, row in claimed.items()
        ),
        mail=tuple([_mail(row) for row in letters if row["key"] not in claimed]),
        activities=tuple(_activity(row) for row in kinds["activity"]),
        next_ready_us=next_ready_us,
        census=census,
    )


def _order(row: Row) -> int:
    place: int = row["n"]
    return place


def _by_key(pairs: Iterable[tuple[int, T]]) -> defaultdict[int, list[T]]:
    found: defaultdict[int, list[T]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found


def _claimed(
    row: Row, turns: list[Row], mail: Iterable[Mail], queued: Iterable[int]
) -> ClaimedInstance:
    return ClaimedInstance(
        instance_id=row["id"],
        name=row["name"],
        version=row["version"],
        status=STATUSES[row["status"]],
        execution=row["execution"],
        attempts=row["attempts"],
        start_at_us=row["at_us"],
        parent=parent_of(row),
        history=tuple(HistoryRow(turn=turn["n"], events=turn["body"]) for turn in turns),
        more_history=bool(turns) and turns[-1]["flag"],
        mail=tuple(mail),
        queued=tuple(queued),
        state=row["body"],
    )


def _mail(row: Row) -> Mail:
    return Mail(id=row["n"], instance_id=row["id"], execution=row["execution"], letter=row["body"])


def _activity(row: Row) -> ClaimedActivity:
    return ClaimedActivity(
        item_id=row["key"],
        attempts=row["attempts"],
        activity=QueuedActivity(
            instance_id=row["id"],
            execution=row["execution"],
            seq=row["n"],
            attempt=row["parent_execution"],
            name=row["name"],
            input=row["body"],
            options=row["options"],
        ),
    )
