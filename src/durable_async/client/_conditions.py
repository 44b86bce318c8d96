"""Conditions: which orchestrations a query or a purge is about, and which entities a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict, TypeVar

from durable_async._kernel.entities.authoring import Entity
from durable_async.errors import ValidationError, shown
from durable_async.model.arguments import check_maybe, check_moment, check_several
from durable_async.model.identity import (
    ENTITY_MARK,
    EntityId,
    check_entity_name,
    check_name,
    check_prefix,
    check_tags,
)
from durable_async.model.records import EntityFilter, InstanceFilter
from durable_async.model.status import Status
from durable_async.registry import FunctionEntity

from ._connection import IdOrHandle, id_of

T = TypeVar("T")


class Conditions(TypedDict, total=False):
    """All that are given must hold. Times from are inclusive, times to exclusive; naive ones are UTC.

    Attributes:
        statuses: One of these.
        names: The orchestrator is one of these.
        id_prefix: The id begins with it.
        created_from: It was started then or later.
        created_to: It was started before.
        completed_from: It ended then or later.
        completed_to: It ended before.
        tags: Each of these keys with this value.
        parent: Sub-orchestrations of this instance.
        parked: Only parked ones (``True``), only others (``False``).
    """

    statuses: Sequence[Status]
    names: Sequence[str]
    id_prefix: str
    created_from: datetime | None
    created_to: datetime | None
    completed_from: datetime | None
    completed_to: datetime | None
    tags: Mapping[str, str] | None
    parent: IdOrHandle | None
    parked: bool | None


def filter_of(conditions: Conditions) -> InstanceFilter:
    """Return conditions as the store has them.

    Raises:
        ValidationError: There is no such condition, or it is not what it should be. What is misspelt must not be
            left out in silence: a purge would take everything.
    """
    _refuse_unknown(conditions, Conditions)
    parent = conditions.get("parent")
    return InstanceFilter(
        statuses=_several("statuses", conditions.get("statuses", ()), Status),
        names=tuple(
            check_name(name, "names")
            for name in _several("names", conditions.get("names", ()), str)
        ),
        id_prefix=check_prefix(conditions.get("id_prefix", ""), "id_prefix"),
        created_from_us=check_moment(conditions.get("created_from"), "created_from"),
        created_to_us=check_moment(conditions.get("created_to"), "created_to"),
        completed_from_us=check_moment(conditions.get("completed_from"), "completed_from"),
        completed_to_us=check_moment(conditions.get("completed_to"), "completed_to"),
        tags=check_tags(conditions.get("tags") or {}),
        parent_id=None if parent is None else id_of(parent),
        parked=check_maybe(conditions.get("parked"), "parked"),
    )


class EntityConditions(TypedDict, total=False):
    """All that are given must hold. Times from are inclusive, times to exclusive; naive ones are UTC.

    Attributes:
        name: The entity's name, where case does not matter, or what ``@entity`` made.
        key_prefix: The key begins with it; it needs a name.
        updated_from: Something of it changed then or later.
        updated_to: Nothing of it has changed since.
        has_state: Only those of which something is stored (``True``): a state, a lock, or parked operations; only others
            (``False``).
    """

    name: str | type[Entity[Any]] | FunctionEntity[..., Any]
    key_prefix: str
    updated_from: datetime | None
    updated_to: datetime | None
    has_state: bool | None


def entity_filter_of(conditions: EntityConditions) -> EntityFilter:
    """Return conditions as the store has them; ``ValidationError`` if they are not what they should be."""
    _refuse_unknown(conditions, EntityConditions)
    return EntityFilter(
        id_prefix=_entity_prefix(conditions.get("name"), conditions.get("key_prefix", "")),
        updated_from_us=check_moment(conditions.get("updated_from"), "updated_from"),
        updated_to_us=check_moment(conditions.get("updated_to"), "updated_to"),
        has_state=check_maybe(conditions.get("has_state"), "has_state"),
    )


def _entity_prefix(name: object, key_prefix: str) -> str:
    check_prefix(key_prefix, "key_prefix")
    if name is None and key_prefix:
        raise ValidationError("key_prefix", "needs the name of the entities that are meant")
    if name is None:
        return ENTITY_MARK
    if key_prefix:
        return str(EntityId(_entity_name(name), key_prefix))
    return f"{ENTITY_MARK}{_entity_name(name)}{ENTITY_MARK}"


def _entity_name(given: object) -> str:
    if isinstance(given, str):
        return check_entity_name(given, "name")
    if isinstance(given, FunctionEntity):
        return given.name
    if isinstance(given, type) and issubclass(given, Entity):
        return given.entity_id("any").name
    raise ValidationError("name", f"must be a name or what @entity made, not {shown(given)}")


def _refuse_unknown(conditions: Mapping[str, object], known: type) -> None:
    for name in conditions:
        if name not in known.__annotations__:
            names = ", ".join(known.__annotations__)
            raise ValidationError(name, f"there is no such condition; there are {names}")


def _several(field: str, given: Sequence[T], kind: type[T]) -> tuple[T, ...]:
    """Return a condition of several values; a lone text would be taken letter by letter."""
    values = () if isinstance(given, kind) else tuple(check_several(given, field, kind.__name__))
    wrong = [value for value in values if not isinstance(value, kind)]
    if wrong or isinstance(given, kind):
        raise ValidationError(field, f"must be a list of {kind.__name__}, not {shown(given)}")
    return values
