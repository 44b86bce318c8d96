"""Times as texts, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload


def aware(value: datetime) -> datetime:
    """Return the same moment with a time zone; a naive datetime is UTC."""
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


@overload
def dt_to_iso(value: datetime) -> str: ...
@overload
def dt_to_iso(value: None) -> None: ...
@overload
def dt_to_iso(value: datetime | None) -> str | None: ...
def dt_to_iso(value: datetime | None) -> str | None:
    """Return a moment in ISO 8601, in UTC; a naive datetime is UTC."""
    return None if value is None else aware(value).astimezone(UTC).isoformat()


@overload
def dt_from_iso(value: str) -> datetime: ...
@overload
def dt_from_iso(value: None) -> None: ...
@overload
def dt_from_iso(value: str | None) -> datetime | None: ...
def dt_from_iso(value: str | None) -> datetime | None:
    """Return the moment of an ISO 8601 text, aware; one without offset is UTC.

    Raises:
        ValueError: It is no such text.
    """
    return None if value is None else aware(datetime.fromisoformat(value))
