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

    def repeated(self) -> dict[str, list[Entry]]:
        """Return what began more than once."""
        return {key: entries for key, entries in self.began.items() if len(entries) > 1}
