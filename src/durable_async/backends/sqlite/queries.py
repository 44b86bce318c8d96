"""Clients' reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from durable_async.backends._rows import (
    NOWHERE,
    STATUSES,
    bounds_of,
    encode_page,
    is_narrow,
)
from durable_async.model.records import (
    HistoryPage,
    HubStatistics,
    InstanceFilter,
    InstancePage,
    InstanceRecord,
    Mail,
    QueryOrder,
)
from durable_async.model.status import Status
from durable_async.model.upkeep import Expiry, Place

from .rows import bounded_history, instance_record
from .states import Row
from .transaction import Statements, json_list, json_map, snapshot

_QUERIES = {
    QueryOrder.CREATED: ("query_instances", "query_few_instances"),
    QueryOrder.COMPLETED: ("query_ended", "query_few_ended"),
    QueryOrder.NEWEST: ("query_newest", "query_few_newest"),
    QueryOrder.LATEST: ("query_latest", "query_few_latest"),
}


def read_instances(
    tx: Statements, instance_ids: Sequence[str], *, payloads: bool
) -> list[InstanceRecord | None]:
    """Return instances in the order of the arguments."""
    rows = tx.rows("read_instances", hub=tx.hub, ids=json_list(instance_ids), payloads=payloads)
    found = {row[0]: instance_record(row) for row in rows}
    return [found.get(instance_id) for instance_id in instance_ids]


def query_instances(
    tx: Statements,
    where: InstanceFilter,
    *,
    limit: int,
    page: str | None,
    payloads: bool,
    order: QueryOrder,
) -> InstancePage:
    """Return orchestrations in an order."""
    from_us, to_us, after_us, after_id, rest = bounds_of(where, order, page)
    tag, value = next(iter(where.tags.items()), (None, None))
    rows = tx.all(
        _QUERIES[order][is_narrow(where)],
        hub=tx.hub,
        payloads=payloads,
        from_us=from_us,
        to_us=to_us,
        after_us=after_us,
        after_id=after_id,
        statuses=_any_of(status.value for status in where.statuses),
        names=_any_of(where.names),
        id_prefix=where.id_prefix,
        created_from_us=rest.created_from_us,
        created_to_us=rest.created_to_us,
        completed_from_us=rest.completed_from_us,
        completed_to_us=rest.completed_to_us,
        parent_id=where.parent_id,
        parked=where.parked,
        tags=json_map(where.tags),
        tag=tag,
        value=value,
        limit=limit + 1,
    )
    items = tuple(instance_record(row) for row in rows[:limit])
    next_page = encode_page(items[-1], order) if len(rows) > limit else None
    return InstancePage(items=items, next_page=next_page)


def look_for_expired(tx: Statements, expiry: Expiry, limit: int, after: Place | None) -> list[Row]:
    """Return the next ones that ended so long ago: id, name, execution, when it ended, and whether it is to go."""
    after_us, after_id = NOWHERE if after is None else after
    return tx.all(
        "expired_instances",
        hub=tx.hub,
        statuses=json_list(status.value for status in expiry.statuses),
        names=_any_of(expiry.names),
        other_than=json_list(expiry.other_than),
        after_us=after_us,
        after_id=after_id,
        until_us=tx.now_us - expiry.age_us,
        limit=limit,
    )


def _any_of(values: Iterable[str]) -> str | None:
    wanted = list(values)
    return json_list(wanted) if wanted else None


def read_history(
    tx: Statements, instance_id: str, execution: int | None, after_turn: int, bytes_max: int
) -> HistoryPage | None:
    """Return rows of an execution, or ``None`` if there is no such instance."""
    with snapshot(tx.connection):
        found = tx.one("find_instance", hub=tx.hub, id=instance_id)
        if found is None:
            return None
        key, current = found
        wanted = current if execution is None else execution
        rows = tx.rows("history_after", key=key, execution=wanted, after_turn=after_turn)
        taken, more = bounded_history(rows, bytes_max)
    return HistoryPage(execution=wanted, rows=taken, more=more)


def read_answers(tx: Statements, request_ids: Sequence[str]) -> list[bytes | None]:
    """Return the answers to requests in the order of the arguments."""
    found: dict[str, bytes] = dict(tx.rows("read_answers", hub=tx.hub, ids=json_list(request_ids)))
    return [found.get(request_id) for request_id in request_ids]


def read_letters(tx: Statements, instance_id: str, limit: int) -> list[Mail]:
    """Return the first letters that lie in a mailbox, in order of arrival."""
    return [
        Mail(id=letter_id, instance_id=instance_id, execution=execution, letter=letter)
        for letter_id, execution, letter in tx.rows(
            "first_letters", hub=tx.hub, id=instance_id, limit=limit
        )
    ]


def read_queued(tx: Statements, instance_id: str) -> dict[int, str | None]:
    """Return which activities of an instance are in the queue, and who has claimed each."""
    return dict(tx.rows("read_queued", hub=tx.hub, id=instance_id))


def statistics(tx: Statements) -> HubStatistics:
    """Count what the hub holds."""
    with snapshot(tx.connection):
        counts = tx.all("count_by_status", hub=tx.hub)
        [(workers, letters, queued_activities)] = tx.all("count_rows", hub=tx.hub)
    by_status: Counter[Status] = Counter()
    for is_entity, status, count, _ in counts:
        if not is_entity:
            by_status[STATUSES[status]] += count
    return HubStatistics(
        by_status=dict(by_status),
        entities=sum(count for is_entity, _, count, _ in counts if is_entity),
        parked=sum(parked for *_, parked in counts),
        workers=workers,
        letters=letters,
        queued_activities=queued_activities,
    )
