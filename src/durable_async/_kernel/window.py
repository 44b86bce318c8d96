"""The window: the commands that history holds between one input and the next.

A command takes the first entry that is equal in kind and content. In the usual case that is the next one, and taking it moves a cursor;
only when the code issues commands in another order than it did are entries taken out of line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from durable_async.model.history import HistoryEvent


class Window:
    """A stretch of a history that is not copied, with a cursor."""

    __slots__ = ("_cursor", "_end", "_events", "_taken")

    def __init__(self) -> None:
        self._events: Sequence[HistoryEvent] = ()
        self._cursor = 0
        self._end = 0
        self._taken: set[int] | None = None

    def open(self, events: Sequence[HistoryEvent], begin: int, end: int) -> None:
        """Look at the commands from ``begin`` up to ``end``."""
        self._events = events
        self._cursor = begin
        self._end = end
        self._taken = None

    @property
    def is_empty(self) -> bool:
        """Whether every command was taken."""
        return self._cursor >= self._end

    def left(self) -> Iterator[HistoryEvent]:
        """Go through the commands that were not taken."""
        for index in range(self._cursor, self._end):
            if self._taken is None or index not in self._taken:
                yield self._events[index]

    def next_is(self, kind: type[Any]) -> Any:
        """Return the next command if it is of a kind and nothing was taken out of line; it is not taken yet."""
        if self._cursor < self._end and self._taken is None:
            entry = self._events[self._cursor]
            if type(entry) is kind:
                return entry
        return None

    def advance(self) -> None:
        """Take the next command."""
        self._cursor += 1

    def take(self, command: Any, content: Callable[[Any], Any]) -> Any:
        """Take the first command equal to this one; ``None`` if there is none."""
        kind = type(command)
        wanted = content(command)
        for index in range(self._cursor, self._end):
            if self._taken is not None and index in self._taken:
                continue
            entry = self._events[index]
            if type(entry) is kind and content(entry) == wanted:
                self._take(index)
                return entry
        return None

    def _take(self, index: int) -> None:
        if index != self._cursor:
            if self._taken is None:
                self._taken = set()
            self._taken.add(index)
            return
        self._cursor += 1
        while self._taken and self._cursor in self._taken:
            self._taken.discard(self._cursor)
            self._cursor += 1
        if not self._taken:
            self._taken = None
