"""Conditions: which instances a query or a purge is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypedDict, TypeVar

from durable_async.errors import ValidationError
from durable_async.model.records import InstanceFilter
from durable_async.model.status import Status

from ._connection import Instance, id_of, us_of

T = TypeVar("T")


class Conditions(TypedDict, total=False):
    """All that are given must hold. Times from are inclusive, times to exclusive; naive ones are UTC.

    Attributes:
        statuses: One of these.
        names: The orchestrator is one of these.
        id_prefix: The id begins with it.
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
    parent: Instance | None
    parked: bool | None


def filter_of(conditions: Conditions) -> InstanceFilter:
    """Return conditions as the store has them.

    Raises:
        ValidationError: There is no such condition, or it is not what it should be. What is misspelt must not be
            left out in silence: a purge would take everything.
    """
    for name in conditions:
        if name not in Conditions.__annotations__:
            known = ", ".join(Conditions.__annotations__)
            raise ValidationError(name, f"there is no such condition; there are {known}")
    parent = conditions.get("parent")
    return InstanceFilter(
        statuses=_several("statuses", conditions.get("statuses", ()), Status),
        names=_several("names", conditions.get("names", ()), str),
        id_prefix=conditions.get("id_prefix", ""),
        created_from_us=us_of(conditions.get("created_from")),
        created_to_us=us_of(conditions.get("created_to")),
        completed_from_us=us_of(conditions.get("completed_from")),
        completed_to_us=us_of(conditions.get("completed_to")),
        tags=dict(conditions.get("tags") or {}),
        parent_id=None if parent is None else id_of(parent),
        parked=conditions.get("parked"),
    )


def _several(field: str, given: Sequence[T], kind: type[T]) -> tuple[T, ...]:
    """Return a condition of several values; a lone text would be taken letter by letter."""
    values = () if isinstance(given, (str, kind)) else tuple(given)
    wrong = [value for value in values if not isinstance(value, kind)]
    if wrong or isinstance(given, (str, kind)):
        raise ValidationError(field, f"must be a list of {kind.__name__}, not {given!r}")
    return values
