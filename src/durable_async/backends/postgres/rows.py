"""Rows of tables, and the records that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson

from durable_async.backends._rows import STATUSES, decode_failure, decode_tags, encode_parent
from durable_async.model.history import ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import EntityRecord, InstanceRecord, Mail, NewInstance, Outgoing

from .columns import flags, numbers, values

Row: TypeAlias = Mapping[str, Any]

_REUSE = {
    ReusePolicy.REJECT: 0,
    ReusePolicy.RETURN_EXISTING: 0,
    ReusePolicy.REPLACE_TERMINAL: 1,
    ReusePolicy.REPLACE: 2,
}


_NO_PARENT = (None, None, None)

# id, execution, letter, urgent, final, opens, parent
LETTER = (values, numbers, values, flags, flags, values, values, numbers, numbers)


def letter_columns(out: Outgoing) -> tuple[Any, ...]:
    """Return a letter as ``put_letters`` takes it, without its request."""
    parent = out.parent
    return (
        out.instance_id,
        out.execution,
        out.letter,
        out.urgent,
        out.final,
        out.opens,
        *(_NO_PARENT if parent is None else encode_parent(parent)[:3]),
    )


PARENT = (values, numbers, numbers, numbers)
# id, name, version, events, created at, start at, tags, reuse, parent
INSTANCE = (values, values, values, values, numbers, numbers, values, numbers, *PARENT)


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
        *encode_parent(new.parent),
    )


def parent_of(row: Row) -> ParentLink | None:
    """Return the parent that four columns stand for."""
    if row["parent_id"] is None:
        return None
    return ParentLink(
        row["parent_id"], row["parent_execution"], row["parent_seq"], row["parent_depth"]
    )


def instance_record(row: Row) -> InstanceRecord:
    """Return what a client sees; the columns are those of ``instance_columns``."""
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
        tags=decode_tags(row["tags"]),
        parent=parent_of(row),
        custom_status=row["custom_status"],
        output=row["output"],
        failure=decode_failure(row["id"], row["failure"]),
        parked=row["parked"],
        owner=row["owner"],
        started_events=row["started_events"],
    )


def entity_record(row: Row) -> EntityRecord:
    """Return what a client sees; the columns are those of ``entity_columns``."""
    return EntityRecord(
        instance_id=row["id"],
        name=row["name"],
        state=row["state"],
        created_at_us=row["created_at_us"],
        updated_at_us=row["updated_at_us"],
        letters=row["letters"],
        parked=row["parked"],
        owner=row["owner"],
    )


def mail_of(row: Row) -> Mail:
    """Return a letter in a mailbox."""
    return Mail(
        id=row["id"],
        instance_id=row["instance_id"],
        execution=row["execution"],
        letter=row["letter"],
    )
