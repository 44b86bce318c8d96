"""Which instances: the conditions of a list, as they stand in its address."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.datastructures import QueryParams

from durable_async.client import Conditions
from durable_async.errors import ValidationError
from durable_async.model.status import Status

FIELDS = (
    "q",
    "status",
    "name",
    "prefix",
    "tags",
    "from",
    "to",
    "ended_from",
    "ended_to",
    "parked",
    "parent",
)
TAG = "tag"
"""May be there several times, each ``key=value``, exactly; ``tags`` is what somebody typed, parted by commas."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions as they were typed, and as the client takes them.

    Attributes:
        typed: What stands in the fields of the form.
        tags: Tags that were chosen and not typed.
        conditions: What it means.
        problem: Why it means nothing, or ``None``.
    """

    typed: dict[str, str]
    tags: list[str]
    conditions: Conditions = field(default_factory=Conditions)
    problem: str | None = None

    @property
    def query(self) -> dict[str, str | list[str]]:
        """Return it as an address has it."""
        return {**self.typed, **({TAG: self.tags} if self.tags else {})}

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Return it as fields of a form."""
        return [*self.typed.items(), *((TAG, tag) for tag in self.tags)]

    @property
    def said(self) -> str:
        """Return it on one line, for people and for the audit log."""
        return " ".join(f"{name}={value}" for name, value in self.fields) or "everything"


def filter_of(query: QueryParams) -> Filter:
    """Read conditions; what cannot be understood is said, and never left out in silence."""
    typed = {name: value for name in FIELDS if (value := query.get(name, "").strip())}
    tags = [tag for tag in query.getlist(TAG) if tag]
    try:
        return Filter(typed, tags, _conditions(typed, tags))
    except ValueError as error:
        return Filter(typed, tags, problem=str(error))


def _conditions(typed: dict[str, str], tags: list[str]) -> Conditions:
    found = _times(typed)
    if "status" in typed:
        found["statuses"] = [_status(typed["status"])]
    if "name" in typed:
        found["names"] = [typed["name"]]
    if prefix := typed.get("prefix", typed.get("q")):
        found["id_prefix"] = prefix
    if wanted := tags_of(typed.get("tags", "")) | dict(map(_tag, tags)):
        found["tags"] = wanted
    if "parked" in typed:
        found["parked"] = True
    if "parent" in typed:
        found["parent"] = typed["parent"]
    return found


def _times(typed: dict[str, str]) -> Conditions:
    found: Conditions = {}
    if "from" in typed:
        found["created_from"] = _moment(typed["from"], "from")
    if "to" in typed:
        found["created_to"] = _moment(typed["to"], "to")
    if "ended_from" in typed:
        found["completed_from"] = _moment(typed["ended_from"], "ended_from")
    if "ended_to" in typed:
        found["completed_to"] = _moment(typed["ended_to"], "ended_to")
    return found


def tags_of(text: str) -> dict[str, str]:
    """Return tags that somebody typed: ``team=shop, env=live``.

    Raises:
        ValidationError: One of them has no ``=``.
    """
    return dict(_tag(one.strip()) for one in text.split(",") if one.strip())


def _status(text: str) -> Status:
    try:
        return Status(text)
    except ValueError:
        raise ValidationError("status", f"there is no status {text!r}") from None


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValidationError("tags", f"{text!r} is not of the form key=value")
    return key, value


def _moment(text: str, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValidationError(name, f"{text!r} is no date, such as 2026-11-26T03:00") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
