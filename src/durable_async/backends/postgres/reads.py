"""Clients' reads: their parameters, and the records that rows stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from durable_async.backends._rows import STATUSES, decode_page, encode_page
from durable_async.model.records import (
    HistoryPage,
    HistoryRow,
    HubStatistics,
    InstanceFilter,
    InstancePage,
)

from .rows import Row, instance_record

_FIRST_US = -(2**62)
_LAST_US = 2**62


def query_name(where: InstanceFilter) -> str:
    """Return the statement that is made for such a filter."""
    is_narrow = where.parent_id is not None or bool(where.tags)
    return "query_few_instances" if is_narrow else "query_instances"


def query_values(
    where: InstanceFilter, limit: int, page: str | None, *, payloads: bool
) -> tuple[Any, ...]:
    """Return a query's parameters after the hub.

    Raises:
        ValidationError: ``page`` is not the ``next_page`` of any page.
    """
    after_us, after_id = (_FIRST_US - 1, "") if page is None else decode_page(page)
    return (
        payloads,
        _FIRST_US if where.created_from_us is None else where.created_from_us,
        _LAST_US if where.created_to_us is None else where.created_to_us,
        after_us,
        after_id,
        [status.value for status in where.statuses] or None,
        list(where.names) or None,
        where.id_prefix,
        where.completed_from_us,
        where.completed_to_us,
        where.parent_id,
        where.parked,
        orjson.dumps(where.tags).decode() if where.tags else None,
        limit + 1,
    )


def page_of(rows: Sequence[Row], limit: int) -> InstancePage:
    """Return a page out of one row more than it holds."""
    items = tuple(instance_record(row) for row in rows[:limit])
    return InstancePage(
        items=items, next_page=encode_page(items[-1]) if len(rows) > limit else None
    )


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
    counts = orjson.loads(row["by_status"])
    return HubStatistics(
        by_status={STATUSES[status]: count for status, count in counts.items()},
        parked=row["parked"],
        workers=row["workers"],
        letters=row["letters"],
        queued_activities=row["queued_activities"],
    )
