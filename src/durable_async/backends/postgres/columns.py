"""Columns: the rows of one array parameter group of a function, gathered row by row and passed as arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any


class Columns:
    """Rows that go to the server as one array for each column; an empty group goes as nulls, so that its statement is not run."""

    __slots__ = ("_rows", "_width")

    def __init__(self, width: int) -> None:
        self._width = width
        self._rows: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, *values: Any) -> int:
        """Add a row; returns its place, counted from 1 as the server counts."""
        assert len(values) == self._width
        self._rows.append(values)
        return len(self._rows)

    def column(self, index: int) -> list[Any]:
        """Return one column."""
        return [row[index] for row in self._rows]

    def arrays(self, *, sparse: Collection[int] = ()) -> tuple[Sequence[Any] | None, ...]:
        """Return the columns as parameters.

        Args:
            sparse: Columns that go as null, too, if no row has anything but null or false there: the driver looks at each element of an
                array, which is a good part of what a letter costs.
        """
        if not self._rows:
            return (None,) * self._width
        columns: list[Sequence[Any] | None] = list(zip(*self._rows, strict=True))
        for index in sparse:
            if all(value is None or value is False for value in columns[index] or ()):
                columns[index] = None
        return tuple(columns)


def numbers(values: Iterable[int]) -> str | None:
    """Return numbers as the text of an array, which is cast in the statement: cheaper than an array where there are many. None go as null."""
    text = ",".join(map(str, values))
    return f"{{{text}}}" if text else None
