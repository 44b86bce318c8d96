"""Rows of tables, and the records that they stand for."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
import orjson

from durable_async.errors import ValidationError
from durable_async.failure import FailureDetails
from durable_async.model.history import ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import InstanceRecord, NewInstance, Outgoing
from durable_async.model.status import Status

Row: TypeAlias = Mapping[str, Any]

STATUSES: dict[str, Status] = {status.value: status for status in Status}

_REUSE = {
    ReusePolicy.REJECT: 0,
    ReusePolicy.RETURN_EXISTING: 0,
    ReusePolicy.REPLACE_TERMINAL: 1,
    ReusePolicy.REPLACE: 2,
}
_NO_PARENT = (None, None, None, None)
_failures = msgspec.json.Decoder(FailureDetails)


def encode_failure(failure: FailureDetails | None) -> bytes | None:
    """Return a failure as bytes."""
    return None if failure is None else msgspec.json.encode(failure)


def parent_columns(parent: ParentLink | None) -> tuple[Any, ...]:
    """Return the four columns of a parent."""
    if parent is None:
        return _NO_PARENT
    return (parent.instance_id, parent.execution, parent.seq, parent.depth)


def letter_columns(out: Outgoing) -> tuple[Any, ...]:
    """Return a letter as ``put_letters`` takes it, without its request."""
    parent = out.parent
    return (
        out.instance_id,
        out.execution,
        out.letter,
        out.urgent,
        out.final,
        *parent_columns(parent)[:3],
    )


def instance_columns(new: NewInstance) -> tuple[Any, ...]:
    """Return an instance as ``put_instances`` takes it, without its request."""
    return (
        new.instance_id,
        new.name,
        new.version,
        new.events,
        new.created_at_us,
        new.start_at_us,
        orjson.dumps(new.tags).decode() if new.tags else None,
        _REUSE[new.reuse],
        *parent_columns(new.parent),
    )


LETTER_WIDTH = 8
INSTANCE_WIDTH = 12


def parent_of(row: Row) -> ParentLink | None:
    """Return the parent that four columns stand for."""
    if row["parent_id"] is None:
        return None
    return ParentLink(
        row["parent_id"], row["parent_execution"], row["parent_seq"], row["parent_depth"]
    )


def instance_record(row: Row) -> InstanceRecord:
    """Return what a client sees; the columns are those of ``instance_columns``."""
    failure = row["failure"]
    tags = row["tags"]
    return InstanceRecord(
        instance_id=row["id"],
        name=row["name"],
        version=row["version"],
        status=STATUSES[row["status"]],
        execution=row["execution"],
        created_at_us=row["created_at_us"],
        updated_at_us=row["updated_at_us"],
        completed_at_us=row["completed_at_us"],
        start_at_us=row["start_at_us"],
        tags={} if tags is None else orjson.loads(tags),
        parent=parent_of(row),
        custom_status=row["custom_status"],
        output=row["output"],
        failure=None if failure is None else _failures.decode(failure),
        parked=row["parked"],
        owner=row["owner"],
        started_events=row["started_events"],
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
