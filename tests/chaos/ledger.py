"""The ledger outside of the engine: what activities wrote about themselves."""

from __future__ import annotations

import collections
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

    def rates(self) -> list[float]:
        """Return how many activities a second each process began while it was there, the slowest first; those of a few seconds left out."""
        times: dict[int, list[int]] = collections.defaultdict(list)
        for entries in self.began.values():
            for entry in entries:
                times[entry.pid].append(entry.at_us)
        spans = ((len(all_us), (max(all_us) - min(all_us)) / 1e6) for all_us in times.values())
        return sorted(round(count / seconds, 1) for count, seconds in spans if seconds > 2.0)

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
