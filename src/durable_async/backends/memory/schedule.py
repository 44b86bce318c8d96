"""What is due, by name, oldest first."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", str, int)
ANY_NAME: Final = None
"""Stands for the name of what is claimed under every name."""


class Schedule(Generic[Key]):
    """Keys that become due at a time, to be claimed in the order ``(time, key)`` among some names.

    Two kinds of heaps: one for all that wait for their time, one a name for those that are due. What was removed or moved stays
    in its heap until it surfaces; when more than half is such chaff, the heaps are rebuilt. So every verb costs a logarithm.
    """

    def __init__(self) -> None:
        self._entries: dict[Key, tuple[int, str | None]] = {}
        self._waiting: list[tuple[int, Key]] = []
        self._due: dict[str | None, list[tuple[int, Key]]] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: Key, name: str | None, at_us: int) -> None:
        """Schedule a key, or move it to another time."""
        if self._entries.get(key) == (at_us, name):
            return
        self._entries[key] = (at_us, name)
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

    def claim(self, now_us: int, names: AbstractSet[str]) -> Key | None:
        """Take out the first key that is due under one of these names, or under any."""
        self._advance(now_us)
        due = [name for name in self._due if name is ANY_NAME or name in names]
        heads = [head for name in due if (head := self._head(name)) is not None]
        if not heads:
            return None
        _, key = min(heads)
        _, name = self._entries.pop(key)
        heappop(self._due[name])
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
        """Move what became due to the heap of its name."""
        while self._waiting and self._waiting[0][0] <= now_us:
            item = heappop(self._waiting)
            at_us, name = self._entries.get(item[1], (None, ""))
            if at_us == item[0]:
                heappush(self._due.setdefault(name, []), item)
            else:
                self._size -= 1

    def _head(self, name: str | None) -> tuple[int, Key] | None:
        """Return the first key of a name that is still wanted; the heap goes when it is empty."""
        heap = self._due[name]
        while heap and self._entries.get(heap[0][1]) != (heap[0][0], name):
            heappop(heap)
            self._size -= 1
        if heap:
            return heap[0]
        del self._due[name]
        return None

    def _rebuild(self) -> None:
        self._due.clear()
        self._waiting = [(at_us, key) for key, (at_us, _) in self._entries.items()]
        heapify(self._waiting)
        self._size = len(self._waiting)
