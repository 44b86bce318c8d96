"""Columns: rows that a function of the schema takes as one array for each column, and how an array becomes a parameter.

The driver asks each element of an array whether it is an array itself, by two checks against abstract classes, which cost more than the
rest of its way. So numbers go as text, which is cast in the statement, and a column in which nothing stands goes as null: a function that
unnests it beside others finds nulls there all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

Codec: TypeAlias = Callable[[Sequence[Any]], Any]
"""Makes a parameter of a column."""


def values(column: Sequence[Any]) -> Sequence[Any] | None:
    """Pass a column as an array; as null if nothing else is in it."""
    return None if column.count(None) == len(column) else column


def flags(column: Sequence[bool]) -> Sequence[bool] | None:
    """Pass booleans as an array; as null if none is true, so that null has to mean false."""
    return column if True in column else None


def numbers(column: Sequence[int | None]) -> str | None:
    """Pass whole numbers as the text of an array; as null if there are none. The statement casts it, as in ``$1::text::bigint[]``."""
    if column.count(None) == len(column):
        return None
    return "{" + ",".join(map(str, column)).replace("None", "NULL") + "}"


class Columns:
    """Rows of a group of array parameters. A group without rows goes as nulls, so that its statement is not run."""

    __slots__ = ("_codecs", "_rows")

    def __init__(self, codecs: Sequence[Codec], rows: Iterable[tuple[Any, ...]] = ()) -> None:
        """Begin with some rows; each column has its codec."""
        self._codecs = codecs
        self._rows = list(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, *row: Any) -> int:
        """Add a row; returns its place, counted from 1 as the server counts."""
        self._rows.append(row)
        return len(self._rows)

    def extend(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows whose places nobody asks for."""
        self._rows.extend(rows)

    def parameters(self) -> tuple[Any, ...]:
        """Return one parameter for each column."""
        if not self._rows:
            return (None,) * len(self._codecs)
        columns = zip(*self._rows, strict=True)
        return tuple(encode(column) for encode, column in zip(self._codecs, columns, strict=True))
