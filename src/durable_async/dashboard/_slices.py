"""Slices: which rows of many stand on a page, and where those before and after them begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

LAST = 10**9
"""More than there can be: who asks for no slice sees the last."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some rows of many.

    Attributes:
        first: The number of the first one, from 0.
        count: How many there are in all.
        size: How many stand on a page.
    """

    first: int
    count: int
    size: int

    @classmethod
    def at(cls, wanted: int, count: int, size: int) -> Self:
        """Return the slice that begins where it is wanted; the last one, if that is behind its beginning."""
        last = max(0, (count - 1) // size * size)
        return cls(min(wanted, last), count, size)

    @property
    def end(self) -> int:
        """The number after the last one."""
        return min(self.first + self.size, self.count)

    @property
    def before(self) -> int | None:
        """Where the slice before begins, or ``None``."""
        return max(0, self.first - self.size) if self.first else None

    @property
    def after(self) -> int | None:
        """Where the next slice begins, or ``None``."""
        return self.end if self.end < self.count else None
