"""What SQL stores write the same way: statuses, failures, parents, and where a page of a query ends."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from durable_async.errors import CorruptHistoryError, ValidationError
from durable_async.failure import FailureDetails
from durable_async.model.history import ParentLink
from durable_async.model.records import (
    ClaimedInstance,
    HistoryRow,
    InstanceFilter,
    InstanceRecord,
    NewInstance,
    QueryOrder,
)
from durable_async.model.status import Status


class _Statuses(dict[str, Status]):
    """Statuses by how they are stored. What is none is told as one that is yet to begin, so that the next turn sets it right."""

    def __missing__(self, stored: str) -> Status:
        return Status.PENDING


STATUSES: dict[str, Status] = _Statuses((status.value, status) for status in Status)

REQUESTS_KEPT_US = 24 * 3600 * 1_000_000
"""How long the answer to a request is kept: far longer than any client goes on repeating a call."""

TOMBSTONES_KEPT_US = 30 * 24 * 3600 * 1_000_000
"""How long the last execution of a purged id is kept: longer than any letter to it can be under way."""

_failures = msgspec.json.Decoder(FailureDetails)
_ids = msgspec.json.Decoder(tuple[str, ...])


def encode_failure(failure: FailureDetails | None) -> bytes | None:
    """Return a failure as bytes."""
    return None if failure is None else msgspec.json.encode(failure)


def decode_failure(instance_id: str, stored: bytes | None) -> FailureDetails | None:
    """Return the failure that bytes stand for; if they stand for none, one that says so, for others are read along with it."""
    if stored is None:
        return None
    try:
        return _failures.decode(stored)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return FailureDetails.of(CorruptHistoryError(instance_id, f"its failure: {error}"))


def decode_tags(stored: str | None) -> dict[str, str]:
    """Return the tags that a text stands for, as far as it does."""
    try:
        found = {} if stored is None else orjson.loads(stored)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def decode_ids(stored: str) -> tuple[str, ...]:
    """Return the ids that a text stands for; none if it does not."""
    try:
        return _ids.decode(stored)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ()


def damaged_answer(instance_id: str, stored: str) -> CorruptHistoryError:
    """Return what is raised if the answer to a request was kept, is asked for again, and cannot be read."""
    return CorruptHistoryError(instance_id, f"what a request was answered: {stored[:80]!r}")


def encode_parent(parent: ParentLink | None) -> tuple[Any, ...]:
    """Return the four columns of a parent."""
    if parent is None:
        return (None, None, None, None)
    return (parent.instance_id, parent.execution, parent.seq, parent.depth)


def decode_parent(columns: Sequence[Any]) -> ParentLink | None:
    """Return the parent that four columns stand for."""
    return None if columns[0] is None else ParentLink(*columns)


FIRST_US = -(2**62)
LAST_US = 2**62

NOWHERE = (FIRST_US - 1, "")
"""A place before all others."""


def bounds_of(
    where: InstanceFilter, order: QueryOrder, page: str | None
) -> tuple[int, int, int, str, InstanceFilter]:
    """Return what a query goes by: from when, to when, beyond which time and id, and the conditions that are left.

    Raises:
        ValidationError: ``page`` is not the ``next_page`` of any page in this order.
    """
    start_us = LAST_US + 1 if order.is_backward else FIRST_US - 1
    after_us, after_id = (start_us, "") if page is None else decode_page(page, order)
    if order.is_by_creation:
        from_us, to_us = where.created_from_us, where.created_to_us
        rest = msgspec.structs.replace(where, created_from_us=None, created_to_us=None)
    else:
        from_us, to_us = where.completed_from_us, where.completed_to_us
        rest = msgspec.structs.replace(where, completed_from_us=None, completed_to_us=None)
    to_us = LAST_US if to_us is None else to_us
    if order.is_backward:
        to_us = min(to_us, after_us + 1)  # which an index can begin at
    return (
        FIRST_US if from_us is None else from_us,
        to_us,
        after_us,
        after_id,
        rest,
    )


def is_narrow(where: InstanceFilter) -> bool:
    """Tell whether a query is about a few instances, found by their parent or by tags, that are sorted afterwards."""
    return where.parent_id is not None or bool(where.tags)


def encode_page(last: InstanceRecord, order: QueryOrder) -> str:
    """Return where a query goes on after an instance."""
    text = orjson.dumps([order.value, *order.place_of(last)])
    return base64.urlsafe_b64encode(text).decode()


def decode_page(page: str, order: QueryOrder) -> tuple[int, str]:
    """Return time and id of the last instance seen.

    Raises:
        ValidationError: It is not the ``next_page`` of any page in this order.
    """
    try:
        name, at_us, instance_id = orjson.loads(
            base64.b64decode(page, altchars=b"-_", validate=True)
        )
    except (binascii.Error, ValueError, TypeError) as error:
        raise ValidationError("page", "is not the next_page of an earlier page") from error
    if name != order.value or not isinstance(at_us, int) or not isinstance(instance_id, str):
        raise ValidationError("page", "is not the next_page of an earlier page")
    if not FIRST_US <= at_us <= LAST_US or "\0" in instance_id:
        raise ValidationError("page", "is not the next_page of an earlier page")
    return at_us, instance_id


def started(new: NewInstance, execution: int) -> ClaimedInstance:
    """Return an instance as it is when it has just been created and claimed."""
    return ClaimedInstance(
        instance_id=new.instance_id,
        name=new.name,
        version=new.version,
        status=Status.PENDING,
        execution=execution,
        attempts=1,
        start_at_us=new.start_at_us,
        parent=new.parent,
        history=(HistoryRow(turn=0, events=new.events),),
        more_history=False,
        mail=(),
    )
