"""What is due, by kind, oldest first."""

from __future__ import annotations

from collections.abc import Container, Hashable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, Final, Generic, TypeVar

Key = TypeVar("Key", str, int)
ANY_KIND: Final = None
"""Stands for the kind of what is claimed by everybody."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The kinds, each a name and a version, that somebody claims.

    Attributes:
        names: ``None`` stands for any.
        passed_over: Pairs of a name and a version that are left to others.
    """

    names: frozenset[str] | None
    passed_over: frozenset[tuple[str, str]] = frozenset()

    def __contains__(self, kind: Any) -> bool:
        return (self.names is None or kind[0] in self.names) and kind not in self.passed_over


class Schedule(Generic[Key]):
    """Keys that become due at a time, to be claimed in the order ``(time, key)`` among some kinds.

    There is one heap for all that wait for their time, and one a kind for those that are due. What was removed or moved stays
    in its heap until it surfaces; when more than half is such chaff, the heaps are rebuilt. So every verb costs a logarithm.
    """

    def __init__(self) -> None:
        self._entries: dict[Key, tuple[int, Hashable]] = {}
        self._waiting: list[tuple[int, Key]] = []
        self._due: dict[Hashable, list[tuple[int, Key]]] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: Key, kind: Hashable, at_us: int) -> None:
        """Schedule a key, or move it to another time."""
        if self._entries.get(key) == (at_us, kind):
            return
        self._entries[key] = (at_us, kind)
        heappush(self._waiting, (at_us, key))
        self._size += 1
        if self._size > 2 * len(self._entries) + 64:
            self._rebuild()

    def remove(self, key: Key) -> None:
        """Forget a key, if it is there."""
        self._entries.pop(key, None)

    def time_of(self, key: Key) -> int | None:
        """Return when a key is due."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def claim(self, now_us: int, wanted: Container[Any]) -> Key | None:
        """Take out the first key that is due and of one of these kinds, or of any."""
        self._advance(now_us)
        due = [kind for kind in self._due if kind is ANY_KIND or kind in wanted]
        heads = [head for kind in due if (head := self._head(kind)) is not None]
        if not heads:
            return None
        _, key = min(heads)
        _, kind = self._entries.pop(key)
        heappop(self._due[kind])
        self._size -= 1
        return key

    def next_after(self, now_us: int) -> int | None:
        """Return the earliest time later than now at which a key becomes due."""
        self._advance(now_us)
        while self._waiting and self.time_of(self._waiting[0][1]) != self._waiting[0][0]:
            heappop(self._waiting)
            self._size -= 1
        return self._waiting[0][0] if self._waiting else None

    def _advance(self, now_us: int) -> None:
        """Move what became due to the heap of its kind."""
        while self._waiting and self._waiting[0][0] <= now_us:
            item = heappop(self._waiting)
            at_us, kind = self._entries.get(item[1], (None, ""))
            if at_us == item[0]:
                heappush(self._due.setdefault(kind, []), item)
            else:
                self._size -= 1

    def _head(self, kind: Hashable) -> tuple[int, Key] | None:
        """Return the first key of a kind that is still wanted; the heap goes when it is empty."""
        heap = self._due[kind]
        while heap and self._entries.get(heap[0][1]) != (heap[0][0], kind):
            heappop(heap)
            self._size -= 1
        if heap:
            return heap[0]
        del self._due[kind]
        return None

    def _rebuild(self) -> None:
        self._due.clear()
        self._waiting = [(at_us, key) for key, (at_us, _) in self._entries.items()]
        heapify(self._waiting)
        self._size = len(self._waiting)
