"""Which instances: the conditions of a list, as they stand in its address."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.datastructures import QueryParams

from durable_async.client import Conditions
from durable_async.errors import ValidationError
from durable_async.model.status import Status

FIELDS = ("q", "status", "name", "prefix", "tags", "from", "to", "parked", "parent")


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions as they were typed, and as the client takes them.

    Attributes:
        typed: What stands in the fields of the form.
        conditions: What it means.
        problem: Why it means nothing, or ``None``.
    """

    typed: dict[str, str]
    conditions: Conditions = field(default_factory=Conditions)
    problem: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.conditions

    @property
    def said(self) -> str:
        """Return it on one line, for people and for the audit log."""
        return " ".join(f"{name}={value}" for name, value in self.typed.items()) or "everything"


def filter_of(query: QueryParams) -> Filter:
    """Read conditions; what cannot be understood is said, and never left out in silence."""
    typed = {name: value for name in FIELDS if (value := query.get(name, "").strip())}
    try:
        return Filter(typed, _conditions(typed))
    except ValueError as error:
        return Filter(typed, problem=str(error))


def _conditions(typed: dict[str, str]) -> Conditions:
    found: Conditions = {}
    if "status" in typed:
        found["statuses"] = [_status(typed["status"])]
    if "name" in typed:
        found["names"] = [typed["name"]]
    if prefix := typed.get("prefix", typed.get("q")):
        found["id_prefix"] = prefix
    if "tags" in typed:
        found["tags"] = dict(_tag(one) for one in typed["tags"].split(","))
    if "from" in typed:
        found["created_from"] = _moment(typed["from"], "from")
    if "to" in typed:
        found["created_to"] = _moment(typed["to"], "to")
    if "parked" in typed:
        found["parked"] = True
    if "parent" in typed:
        found["parent"] = typed["parent"]
    return found


def _status(text: str) -> Status:
    try:
        return Status(text)
    except ValueError:
        raise ValidationError("status", f"there is no status {text!r}") from None


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ValidationError("tags", f"{text.strip()!r} is not of the form key=value")
    return key.strip(), value.strip()


def _moment(text: str, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValidationError(name, f"{text!r} is no date, such as 2026-11-26T03:00") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
