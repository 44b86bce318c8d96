"""The window: the commands that history holds between one input and the next.

A command takes the first entry that is equal in kind and content. In the usual case that is the next one, and taking it moves a cursor;
only when the code issues commands in another order than it did are entries taken out of line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from durable_async.model.history import (
    COMMANDS,
    ActivityScheduled,
    ExecutionRewound,
    HistoryEvent,
)

_COMMANDS = frozenset(COMMANDS)
WINDOW_KINDS = _COMMANDS | {ExecutionRewound}
"""What stands in a window. A rewind does not end it: corrected code goes on where the old code failed, in the midst of it."""


class Window:
    """A stretch of a history that is not copied, with a cursor.

    It is as long as there are commands. Nobody counts them beforehand: what the cursor meets that is no command is its end.

    Attributes:
        cursor: Index of the first event that was not taken; once the window is empty, of the next input. To set it one further
            opens the next window.
    """

    __slots__ = ("_events", "_in_line", "_length", "_taken", "cursor")

    def __init__(self) -> None:
        self._events: Sequence[HistoryEvent] = ()
        self._length = 0
        self._in_line = True
        self._taken: set[int] | None = None
        self.cursor = 0

    def look_at(self, events: Sequence[HistoryEvent]) -> None:
        """Begin with another stretch of the history."""
        self._events = events
        self._length = len(events)
        self._in_line = True
        self._taken = None
        self.cursor = 0

    @property
    def is_empty(self) -> bool:
        """Whether every command was taken."""
        self._advance()
        cursor = self.cursor
        return cursor >= self._length or type(self._events[cursor]) not in _COMMANDS

    @property
    def goes_on(self) -> bool:
        """Whether it is empty and stays open, since history ends with a rewind: what the code does now is new."""
        return (
            self.is_empty
            and self.cursor == self._length
            and self._length > 0
            and type(self._events[-1]) is ExecutionRewound
        )

    def left(self) -> Iterator[HistoryEvent]:
        """Go through the commands that were not taken."""
        return (self._events[index] for index in self._left())

    def take_activity(self, name: str, payload: bytes) -> ActivityScheduled | None:
        """Take the next command if it is this call: the usual case of a replay, with no command made to compare."""
        cursor = self.cursor
        if self._in_line and cursor < self._length:
            entry = self._events[cursor]
            if type(entry) is ActivityScheduled and entry.input == payload and entry.name == name:
                self.cursor = cursor + 1
                return entry
        return None

    def take(self, command: Any, content: Callable[[Any], Any]) -> Any:
        """Take the first command equal to this one; ``None`` if there is none."""
        self._advance()
        kind = type(command)
        wanted = content(command)
        for index in self._left():
            entry = self._events[index]
            if type(entry) is kind and content(entry) == wanted:
                self._take(index)
                return entry
        return None

    def _left(self) -> Iterator[int]:
        taken = self._taken or ()
        for index in range(self.cursor, self._length):
            kind = type(self._events[index])
            if kind in _COMMANDS and index not in taken:
                yield index
            elif kind not in WINDOW_KINDS:
                return

    def _take(self, index: int) -> None:
        if index != self.cursor:
            if self._taken is None:
                self._taken = set()
            self._taken.add(index)
            self._in_line = False
            return
        self.cursor += 1
        if self._taken:
            self._advance()

    def _advance(self) -> None:
        """Move the cursor to what is left: over what was taken out of line, and over rewinds."""
        while self.cursor < self._length:
            if self._taken and self.cursor in self._taken:
                self._taken.discard(self.cursor)
            elif type(self._events[self.cursor]) is not ExecutionRewound:
                break
            self.cursor += 1
        self._in_line = not self._taken
