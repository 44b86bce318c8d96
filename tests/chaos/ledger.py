"""The ledger outside of the engine: what activities wrote about themselves."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """Something happened to an activity in a process at a time."""

    at_us: int
    pid: int


@dataclass
class Ledger:
    """All of it, by the activities' keys, in the order of time."""

    began: dict[str, list[Entry]] = field(default_factory=lambda: collections.defaultdict(list))
    ended: dict[str, list[Entry]] = field(default_factory=lambda: collections.defaultdict(list))
    _by_pid: dict[int, set[str]] | None = None

    @classmethod
    def read(cls, file: Path) -> Ledger:
        """Read the file; a last line that is not whole yet is left out."""
        ledger = cls()
        text = file.read_text() if file.exists() else ""
        for line in text[: text.rfind("\n") + 1].splitlines():
            what, key, at_us, pid = line.split()
            side = ledger.began if what == "began" else ledger.ended
            side[key].append(Entry(int(at_us), int(pid)))
        return ledger

    @property
    def executions(self) -> int:
        """How often any activity began."""
        return sum(len(entries) for entries in self.began.values())

    def idle_seconds(self, registered_us: Mapping[int, int]) -> float:
        """Return the longest time from the registration of a process to the first activity that it began, or else to the last of all."""
        last_us = max((one.at_us for entries in self.began.values() for one in entries), default=0)
        first_us = dict.fromkeys(registered_us, last_us)
        for entries in self.began.values():
            for entry in entries:
                first_us[entry.pid] = min(first_us.get(entry.pid, last_us), entry.at_us)
        idle_us = (first_us[pid] - since_us for pid, since_us in registered_us.items())
        return round(max(idle_us, default=0) / 1e6, 2)

    def begun_at(self, pids: frozenset[int], at_us: int) -> list[str]:
        """Return the activities whose last beginning before a time was in one of these processes."""
        if self._by_pid is None:
            self._by_pid = collections.defaultdict(set)
            for key, entries in self.began.items():
                for entry in entries:
                    self._by_pid[entry.pid].add(key)
        keys = set().union(*(self._by_pid[pid] for pid in pids))
        return sorted(key for key in keys if self._last_pid(key, at_us) in pids)

    def _last_pid(self, key: str, at_us: int) -> int:
        return next((one.pid for one in reversed(self.began[key]) if one.at_us <= at_us), 0)

    def repeated(self) -> dict[str, list[Entry]]:
        """Return what began more than once."""
        return {key: entries for key, entries in self.began.items() if len(entries) > 1}
