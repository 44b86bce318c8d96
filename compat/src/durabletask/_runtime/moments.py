"""Orchestrator time as programs see it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


class Moment(datetime):
    """A naive time in UTC that also goes with aware times: it is compared with them, and subtracted, as what it is.

    Elsewhere it is a ``datetime`` like any other. Equality stays Python's own, in which a naive time equals no aware one.
    """

    @classmethod
    def of(cls, moment: datetime) -> Moment:
        """Return a time as one of these."""
        return cls.combine(moment.date(), moment.timetz())

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, datetime):
            return _beside(self, other) - _beside(other, self)
        return super().__sub__(other)

    def __rsub__(self, other: datetime) -> Any:
        return _beside(other, self) - _beside(self, other)

    def __lt__(self, other: Any) -> bool:
        if isinstance(other, datetime):
            return _beside(self, other) < _beside(other, self)
        return NotImplemented

    def __le__(self, other: Any) -> bool:
        if isinstance(other, datetime):
            return _beside(self, other) <= _beside(other, self)
        return NotImplemented

    def __gt__(self, other: Any) -> bool:
        if isinstance(other, datetime):
            return _beside(self, other) > _beside(other, self)
        return NotImplemented

    def __ge__(self, other: Any) -> bool:
        if isinstance(other, datetime):
            return _beside(self, other) >= _beside(other, self)
        return NotImplemented


def _beside(moment: datetime, other: datetime) -> datetime:
    """Return a time as a plain one that goes with another."""
    if not isinstance(moment, Moment):
        return moment
    zone = UTC if moment.tzinfo is None and other.utcoffset() is not None else moment.tzinfo
    return datetime.combine(moment.date(), moment.time(), zone)
