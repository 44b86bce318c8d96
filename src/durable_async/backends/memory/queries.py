"""Queries: which instances, in which order, from where."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from durable_async.errors import ValidationError
from durable_async.model.records import (
    EntityFilter,
    EntityPage,
    InstanceFilter,
    InstancePage,
    InstanceRecord,
    QueryOrder,
)
from durable_async.model.status import Status
from durable_async.model.upkeep import Expired, Expiry, Place

from .rows import Instance
from .state import HubState


def run_query(
    hub: HubState,
    where: InstanceFilter,
    limit: int,
    page: str | None,
    order: QueryOrder,
    *,
    payloads: bool,
) -> InstancePage:
    """Return up to ``limit`` instances that match, after those of the page before."""
    found: list[Instance] = []
    for instance in _candidates(hub, where, order, None if page is None else _decode(page, order)):
        if not _matches(where, instance):
            continue
        if len(found) == limit:
            return _page(found, order, payloads=payloads, more=True)
        found.append(instance)
    return _page(found, order, payloads=payloads, more=False)


def run_entity_query(
    hub: HubState, where: EntityFilter, limit: int, page: str | None
) -> EntityPage:
    """Return up to ``limit`` entities that match, after the one that ``page`` is the id of."""
    begin = bisect_left(hub.entities, where.id_prefix)
    if page is not None:
        begin = max(begin, bisect_right(hub.entities, page))
    found: list[Instance] = []
    for position in range(begin, len(hub.entities)):
        entity = hub.instances[hub.entities[position]]
        if not entity.instance_id.startswith(where.id_prefix):
            break
        if not _is_wanted(where, entity):
            continue
        if len(found) == limit:
            return _entity_page(found, next_page=found[-1].instance_id if found else None)
        found.append(entity)
    return _entity_page(found, next_page=None)


def find_expired(
    hub: HubState, expiry: Expiry, now_us: int, limit: int, after: Place | None
) -> Expired:
    """Return which of the next ``limit`` that ended are old enough to be deleted."""
    begin = 0 if after is None else bisect_right(hub.ended, after)
    end = bisect_left(hub.ended, (now_us - expiry.age_us + 1, ""))
    looked_at = hub.ended[begin : min(end, begin + limit)]
    ended = (hub.instances[instance_id] for _, instance_id in looked_at)
    return Expired(
        names={one.instance_id: one.name for one in ended if _is_expired(hub, expiry, one)},
        place=looked_at[-1] if looked_at else after,
        more=len(looked_at) == limit,
    )


def _is_expired(hub: HubState, expiry: Expiry, instance: Instance) -> bool:
    return (
        instance.status in expiry.statuses
        and (not expiry.names or instance.name in expiry.names)
        and instance.name not in expiry.other_than
        and not _is_of_one_that_may_need_it(hub, instance)
    )


def _is_of_one_that_may_need_it(hub: HubState, instance: Instance) -> bool:
    link = instance.parent
    parent = None if link is None else hub.instances.get(link.instance_id)
    return (
        link is not None
        and parent is not None
        and parent.execution == link.execution
        and (parent.status is Status.FAILED or not parent.status.is_terminal)
    )


def _entity_page(found: list[Instance], next_page: str | None) -> EntityPage:
    return EntityPage(items=tuple(one.entity_record() for one in found), next_page=next_page)


def _is_wanted(where: EntityFilter, entity: Instance) -> bool:
    return _within(entity.updated_at_us, where.updated_from_us, where.updated_to_us) and (
        where.has_state is None or where.has_state == (entity.state is not None)
    )


def _page(found: list[Instance], order: QueryOrder, *, payloads: bool, more: bool) -> InstancePage:
    items = tuple(instance.record(payloads=payloads) for instance in found)
    return InstancePage(
        items=items, next_page=_encode(items[-1], order) if more and items else None
    )


def _candidates(
    hub: HubState, where: InstanceFilter, order: QueryOrder, after: tuple[int, str] | None
) -> Iterator[Instance]:
    """Yield instances in an order, using the index that leaves the fewest."""
    if where.parent_id is not None:
        yield from _siblings(hub, where.parent_id, order, after)
        return
    places = hub.order if order.is_by_creation else hub.ended
    for position in _positions(places, where, order, after):
        yield hub.instances[places[position][1]]


def _positions(
    places: Sequence[tuple[int, str]],
    where: InstanceFilter,
    order: QueryOrder,
    after: tuple[int, str] | None,
) -> range:
    """Return the part of an index that lies between a query's bounds and beyond the page before, from the end where the query begins."""
    by_creation = order.is_by_creation
    end_us = where.created_to_us if by_creation else where.completed_to_us
    begin, end = 0, len(places)
    if end_us is not None:
        end = bisect_left(places, (end_us, ""))
    if order.is_backward:
        from_us = where.created_from_us if by_creation else where.completed_from_us
        begin = 0 if from_us is None else bisect_left(places, (from_us, ""))
        end = end if after is None else min(end, bisect_left(places, after))
        return range(end - 1, begin - 1, -1)
    begin = begin if after is None else bisect_right(places, after)
    return range(begin, end)


def _siblings(
    hub: HubState, parent_id: str, order: QueryOrder, after: tuple[int, str] | None
) -> Iterator[Instance]:
    siblings = [hub.instances[one] for one in hub.children.get(parent_id, ())]
    places = [
        (one.sort_key if order.is_by_creation else (one.completed_at_us, one.instance_id))
        for one in siblings
        if order.is_by_creation or one.completed_at_us is not None
    ]
    for place in sorted(places, reverse=order.is_backward):
        is_beyond = after is None or (place < after if order.is_backward else place > after)
        if is_beyond:
            yield hub.instances[place[1]]


def _matches(where: InstanceFilter, instance: Instance) -> bool:
    return (
        (not where.statuses or instance.status in where.statuses)
        and (not where.names or instance.name in where.names)
        and instance.instance_id.startswith(where.id_prefix)
        and _within(instance.created_at_us, where.created_from_us, where.created_to_us)
        and _within(instance.completed_at_us, where.completed_from_us, where.completed_to_us)
        and where.tags.items() <= instance.tags.items()
        and (where.parked is None or where.parked == (instance.parked is not None))
    )


def _within(at_us: int | None, from_us: int | None, to_us: int | None) -> bool:
    if from_us is None and to_us is None:
        return True
    if at_us is None:
        return False
    return (from_us is None or at_us >= from_us) and (to_us is None or at_us < to_us)


def _encode(last: InstanceRecord, order: QueryOrder) -> str:
    at_us, instance_id = order.place_of(last)
    return f"{order.value}:{at_us}:{instance_id}"


def _decode(page: str, order: QueryOrder) -> tuple[int, str]:
    name, at_us, instance_id = [*page.split(":", 2), "", ""][:3]
    is_number = len(at_us) < 20 and at_us.removeprefix("-").isdecimal()  # of 64 bits
    if name != order.value or not is_number:
        raise ValidationError("page", "is not a page of this query")
    return int(at_us), instance_id
