"""Which fields of what passes through the port hold payloads, and records with some of them changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any, TypeAlias, TypeVar

import msgspec

from durable_async.model import records as r

R = TypeVar("R")


class Kind(Enum):
    """What a field holds: one payload, a body with payloads in it, or further records."""

    PAYLOAD = "payload"
    BODY = "body"
    RECORDS = "records"


Change: TypeAlias = Callable[[Kind, bytes], bytes]

_PAYLOAD, _BODY, _RECORDS = Kind.PAYLOAD, Kind.BODY, Kind.RECORDS

_FIELDS: dict[type[Any], tuple[tuple[str, Kind], ...]] = {
    r.TurnCommit: (
        ("events", _BODY),
        ("outbox", _RECORDS),
        ("children", _RECORDS),
        ("queued", _RECORDS),
        ("answers", _RECORDS),
        ("output", _PAYLOAD),
        ("custom_status", _PAYLOAD),
        ("next_execution", _RECORDS),
        ("state", _BODY),
        ("will", _RECORDS),
    ),
    r.ActivityResult: (("outgoing", _RECORDS),),
    r.UnclaimedActivity: (("outgoing", _RECORDS),),
    r.ActivityProgress: (("outgoing", _RECORDS), ("options", _BODY)),
    r.Release: (),
    r.Abandon: (),
    r.Park: (),
    r.Recount: (),
    r.ActivityRecount: (),
    r.NewInstance: (("events", _BODY), ("refusal", _BODY)),
    r.Outgoing: (("letter", _BODY),),
    r.Will: (("letter", _BODY),),
    r.Answer: (("answer", _BODY),),
    r.QueuedActivity: (("input", _PAYLOAD), ("options", _BODY)),
    r.NextExecution: (("events", _BODY),),
    r.Rewrite: (("events", _BODY), ("mail", _BODY)),
    r.HistoryRow: (("events", _BODY),),
    r.HistoryPage: (("rows", _RECORDS),),
    r.Mail: (("letter", _BODY),),
    r.ClaimedInstance: (("history", _RECORDS), ("mail", _RECORDS), ("state", _BODY)),
    r.ClaimedActivity: (("activity", _RECORDS),),
    r.InstanceRecord: (
        ("custom_status", _PAYLOAD),
        ("output", _PAYLOAD),
        ("started_events", _BODY),
    ),
    r.InstancePage: (("items", _RECORDS),),
    r.EntityRecord: (("state", _BODY),),
    r.EntityPage: (("items", _RECORDS),),
}


def contents(record: Any, is_wanted: Callable[[bytes], bool]) -> Iterator[tuple[Kind, bytes]]:
    """Yield the payloads and bodies of a record that are wanted, each with its kind."""
    for name, kind in _FIELDS[type(record)]:
        value = getattr(record, name)
        if not value:
            continue
        if kind is _RECORDS:
            for inner in value if isinstance(value, tuple) else (value,):
                yield from contents(inner, is_wanted)
        else:
            for data in value if isinstance(value, tuple) else (value,):
                if is_wanted(data):
                    yield kind, data


def changed(record: R, is_wanted: Callable[[bytes], bool], change: Change) -> R:
    """Return a record with its wanted payloads and bodies changed; the record itself if there are none."""
    changes: dict[str, Any] = {}
    for name, kind in _FIELDS[type(record)]:
        value = getattr(record, name)
        if not value:
            continue
        new = _changed(kind, value, is_wanted, change)
        if new is not value:
            changes[name] = new
    return msgspec.structs.replace(record, **changes) if changes else record  # type: ignore[type-var]


def _changed(kind: Kind, value: Any, is_wanted: Callable[[bytes], bool], change: Change) -> Any:
    if isinstance(value, tuple):
        several = tuple(_changed(kind, one, is_wanted, change) for one in value)
        return value if _are_same(value, several) else several
    if kind is _RECORDS:
        return changed(value, is_wanted, change)
    return change(kind, value) if is_wanted(value) else value


def _are_same(some: Iterable[Any], others: Iterable[Any]) -> bool:
    return all(one is other for one, other in zip(some, others, strict=True))
