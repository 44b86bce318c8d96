"""Columns: the rows of one array parameter group of a function, gathered row by row and passed as arrays."""

from __future__ import annotations

from typing import Any


class Columns:
    """Rows that go to the server as one array for each column; an empty group goes as nulls, so that its statement is not run."""

    __slots__ = ("_columns",)

    def __init__(self, width: int) -> None:
        self._columns: tuple[list[Any], ...] = tuple([] for _ in range(width))

    def __len__(self) -> int:
        return len(self._columns[0])

    def add(self, *values: Any) -> int:
        """Add a row; returns its place, counted from 1 as the server counts."""
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        return len(self._columns[0])

    def column(self, index: int) -> list[Any]:
        """Return one column."""
        return self._columns[index]

    def arrays(self, *, sparse: int | None = None) -> tuple[list[Any] | None, ...]:
        """Return the columns as parameters; one that is mostly empty goes as null, too, if it is."""
        if not self._columns[0]:
            return (None,) * len(self._columns)
        if sparse is None or any(value is not None for value in self._columns[sparse]):
            return self._columns
        return (*self._columns[:sparse], None, *self._columns[sparse + 1 :])
