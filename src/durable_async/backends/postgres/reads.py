"""Clients' reads: their parameters, and the records that rows stand for."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson

from durable_async.backends._rows import NOWHERE, STATUSES, bounds_of, encode_page, is_narrow
from durable_async.model.identity import ID_CHARS_MAX
from durable_async.model.records import (
    EntityFilter,
    EntityPage,
    HistoryPage,
    HistoryRow,
    HubStatistics,
    InstanceFilter,
    InstancePage,
    QueryOrder,
)
from durable_async.model.status import Status
from durable_async.model.upkeep import Expired, Expiry, Place, WorkerRecord

from .rows import Row, entity_record, instance_record

_LAST = chr(sys.maxunicode) * (ID_CHARS_MAX + 1)
"""After every id."""


_QUERIES = {
    QueryOrder.CREATED: ("query_instances", "query_few_instances"),
    QueryOrder.COMPLETED: ("query_ended", "query_few_ended"),
    QueryOrder.NEWEST: ("query_newest", "query_few_newest"),
    QueryOrder.LATEST: ("query_latest", "query_few_latest"),
}


def query_name(where: InstanceFilter, order: QueryOrder) -> str:
    """Return the statement that is made for such a query."""
    return _QUERIES[order][is_narrow(where)]


def query_values(
    where: InstanceFilter, limit: int, page: str | None, order: QueryOrder, *, payloads: bool
) -> tuple[Any, ...]:
    """Return a query's parameters after the hub.

    Raises:
        ValidationError: ``page`` is not the ``next_page`` of any page in this order.
    """
    *bounds, rest = bounds_of(where, order, page)
    return (
        payloads,
        *bounds,
        [status.value for status in where.statuses] or None,
        list(where.names) or None,
        where.id_prefix,
        rest.created_from_us,
        rest.created_to_us,
        rest.completed_from_us,
        rest.completed_to_us,
        where.parent_id,
        where.parked,
        orjson.dumps(where.tags).decode() if where.tags else None,
        limit + 1,
    )


def page_of(rows: Sequence[Row], limit: int, order: QueryOrder) -> InstancePage:
    """Return a page out of one row more than it holds."""
    items = tuple(instance_record(row) for row in rows[:limit])
    next_page = encode_page(items[-1], order) if len(rows) > limit else None
    return InstancePage(items=items, next_page=next_page)


def entity_query_values(where: EntityFilter, limit: int, page: str | None) -> tuple[Any, ...]:
    """Return the parameters of a query of entities after the hub; a page is the last id of the one before."""
    return (
        where.id_prefix,
        _end_of(where.id_prefix),
        page or "",
        where.updated_from_us,
        where.updated_to_us,
        where.has_state,
        limit + 1,
    )


def _end_of(prefix: str) -> str:
    """Return the first text in the order of UTF-8 bytes, which is that of code points, after all that begin so."""
    for place in range(len(prefix) - 1, -1, -1):
        following = ord(prefix[place]) + 1
        if following <= sys.maxunicode:
            # In place of surrogates, which are no text.
            char = "\ue000" if 0xD800 <= following <= 0xDFFF else chr(following)
            return prefix[:place] + char
    return _LAST


def entity_page(rows: Sequence[Row], limit: int) -> EntityPage:
    """Return a page out of one row more than it holds."""
    items = tuple(entity_record(row) for row in rows[:limit])
    more = bool(items) and len(rows) > limit
    return EntityPage(items=items, next_page=items[-1].instance_id if more else None)


def history_page(rows: Sequence[Row]) -> HistoryPage:
    """Return a page of history; one row without a turn tells that there is none."""
    taken = tuple(
        HistoryRow(turn=row["turn"], events=row["events"])
        for row in rows
        if row["turn"] is not None
    )
    return HistoryPage(
        execution=rows[0]["execution"], rows=taken, more=bool(taken) and rows[-1]["more"]
    )


def statistics_of(row: Row) -> HubStatistics:
    """Return what the hub holds."""
    by_status: Counter[Status] = Counter()
    for status, count in orjson.loads(row["by_status"]).items():
        by_status[STATUSES[status]] += count
    return HubStatistics(
        by_status=dict(by_status),
        entities=row["entities"],
        parked=row["parked"],
        workers=row["workers"],
        letters=row["letters"],
        queued_activities=row["queued_activities"],
    )


def expiry_values(expiry: Expiry, limit: int, after: Place | None) -> tuple[Any, ...]:
    """Return the parameters of an expiry after the hub."""
    return (
        expiry.age_us,
        [status.value for status in expiry.statuses],
        list(expiry.names) or None,
        list(expiry.other_than),
        *(NOWHERE if after is None else after),
        limit,
    )


def expired_of(rows: Sequence[Row], limit: int, after: Place | None) -> Expired:
    """Return what was old enough; the last row tells where the look ended, and none that there was nothing to look at."""
    if not rows:
        return Expired(names={}, place=after, more=False)
    *old, last = rows
    return Expired(
        names={row["id"]: row["name"] for row in old},
        place=(last["ended_us"], last["id"]),
        more=last["looked_at"] == limit,
    )


def worker_of(row: Row) -> WorkerRecord:
    """Return what is registered of a worker."""
    return WorkerRecord(
        worker_id=row["id"],
        host=row["host"],
        pid=row["pid"],
        registered_at_us=row["registered_at_us"],
        lease_until_us=row["lease_until_us"],
        is_alive=row["is_alive"],
        instances=row["instances"],
        activities=row["activities"],
        epoch=row["epoch"],
        commits=row["commits"],
    )
