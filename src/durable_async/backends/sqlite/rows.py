"""Rows of tables, and the records that they stand for."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator

import msgspec
import orjson

from durable_async.errors import ValidationError
from durable_async.failure import FailureDetails
from durable_async.model.history import ParentLink
from durable_async.model.records import HistoryRow, InstanceRecord
from durable_async.model.status import Status

from .transaction import Row

STATUSES: dict[str, Status] = {status.value: status for status in Status}

_failures = msgspec.json.Decoder(FailureDetails)


def encode_failure(failure: FailureDetails | None) -> bytes | None:
    """Return a failure as bytes."""
    return None if failure is None else msgspec.json.encode(failure)


def encode_parent(parent: ParentLink | None) -> Row:
    """Return the four columns of a parent."""
    if parent is None:
        return (None, None, None, None)
    return (parent.instance_id, parent.execution, parent.seq, parent.depth)


def decode_parent(columns: Row) -> ParentLink | None:
    """Return the parent that four columns stand for."""
    return None if columns[0] is None else ParentLink(*columns)


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
        tags={} if tags is None else orjson.loads(tags),
        parent=decode_parent(tuple(parent)),
        custom_status=custom_status,
        output=output,
        failure=None if failure is None else _failures.decode(failure),
        parked=parked,
        owner=owner,
        started_events=started_events,
    )


def encode_page(last: InstanceRecord) -> str:
    """Return where a query goes on after an instance."""
    text = orjson.dumps([last.created_at_us, last.instance_id])
    return base64.urlsafe_b64encode(text).decode()


def decode_page(page: str) -> tuple[int, str]:
    """Return creation time and id of the last instance seen.

    Raises:
        ValidationError: It is not the ``next_page`` of any page.
    """
    try:
        created_at_us, instance_id = orjson.loads(
            base64.b64decode(page, altchars=b"-_", validate=True)
        )
    except (binascii.Error, ValueError, TypeError) as error:
        raise ValidationError("page", "is not the next_page of an earlier page") from error
    if not isinstance(created_at_us, int) or not isinstance(instance_id, str):
        raise ValidationError("page", "is not the next_page of an earlier page")
    return created_at_us, instance_id


def unique(ids: Iterable[str]) -> list[str]:
    """Return ids without doubles, in the order in which they came."""
    return list(dict.fromkeys(ids))
