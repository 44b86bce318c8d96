"""Rows of tables, and the records that they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from durable_async.backends._rows import STATUSES, decode_failure, decode_parent, decode_tags
from durable_async.model.records import HistoryRow, InstanceRecord

from .states import Row


def bounded_history(rows: Iterator[Row], bytes_max: int) -> tuple[tuple[HistoryRow, ...], bool]:
    """Take rows up to a number of bytes, at least one; tell whether there are more."""
    taken: list[HistoryRow] = []
    size = 0
    for turn, events in rows:
        size += len(events)
        if taken and size > bytes_max:
            return tuple(taken), True
        taken.append(HistoryRow(turn=turn, events=events))
    return tuple(taken), False


def instance_record(row: Row) -> InstanceRecord:
    """Return what a client sees; the columns are those of ``instance_columns``."""
    (
        instance_id,
        name,
        version,
        status,
        execution,
        created_at_us,
        updated_at_us,
        completed_at_us,
        start_at_us,
        tags,
        *parent,
        custom_status,
        failure,
        parked,
        owner,
        output,
        started_events,
    ) = row
    return InstanceRecord(
        instance_id=instance_id,
        name=name,
        version=version,
        status=STATUSES[status],
        execution=execution,
        created_at_us=created_at_us,
        updated_at_us=updated_at_us,
        completed_at_us=completed_at_us,
        start_at_us=start_at_us,
        tags=decode_tags(tags),
        parent=decode_parent(parent),
        custom_status=custom_status,
        output=output,
        failure=decode_failure(instance_id, failure),
        parked=parked,
        owner=owner,
        started_events=started_events,
    )


def unique(ids: Iterable[str]) -> list[str]:
    """Return ids without doubles, in the order in which they came."""
    return list(dict.fromkeys(ids))
