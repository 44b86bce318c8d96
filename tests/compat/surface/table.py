"""What the table says of each name: same, better, or declined, and why."""

from __future__ import annotations

import fnmatch
import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
TABLE = ROOT / "compat" / "surface.toml"
SNAPSHOT = ROOT / "compat" / "surface.json"

SAME, BETTER, DECLINED = "same", "better", "declined"


@dataclass(frozen=True)
class Entry:
    """One name of the SDK: where it is, what it is there, and what it is here."""

    module: str
    name: str  # or Class.member
    described: dict[str, Any]
    status: str
    reason: str

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def owner(self) -> str:
        return self.name.partition(".")[0]

    @property
    def member(self) -> str:
        return self.name.partition(".")[2]


@dataclass(frozen=True)
class Section:
    """What the table says of one module, or of several that a pattern names."""

    pattern: str
    about: str
    only: list[str] | None
    reasons: dict[str, dict[str, str]]  # status -> pattern -> reason

    def verdict(self, name: str) -> tuple[str, str, str]:
        """Return status, reason, and the line of the table that says so."""
        owner = name.partition(".")[0]
        for status in (BETTER, DECLINED):
            if name in self.reasons[status]:
                return status, self.reasons[status][name], name
        for status, asked in ((BETTER, {name}), (DECLINED, {name, owner})):
            for line, reason in self.reasons[status].items():
                if any(fnmatch.fnmatchcase(one, line) for one in asked):
                    return status, reason, line
        return SAME, "", ""


@dataclass(frozen=True)
class Table:
    """The whole table: its sections, and the modules of the SDK that it leaves out."""

    sections: list[Section]
    outside: dict[str, str]

    def section(self, module: str) -> Section | None:
        """Return the section that names a module; else, if it is not outside, the one with a pattern for it."""
        fitting = {
            one.pattern: one for one in self.sections if fnmatch.fnmatchcase(module, one.pattern)
        }
        if module in fitting:
            return fitting[module]
        return None if self.is_outside(module) else next(iter(fitting.values()), None)

    def is_outside(self, module: str) -> bool:
        return any(fnmatch.fnmatchcase(module, pattern) for pattern in self.outside)


def load_table() -> Table:
    raw = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    outside = raw.pop("outside")
    sections = [
        Section(
            pattern=pattern,
            about=section["about"],
            only=section.get("only"),
            reasons={status: section.get(status, {}) for status in (BETTER, DECLINED)},
        )
        for pattern, section in raw.items()
    ]
    return Table(sections, outside)


def load_snapshot() -> dict[str, Any]:
    return json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def entries(table: Table, modules: dict[str, dict[str, Any]]) -> Iterator[Entry]:
    """Yield every name, and every member of every class."""
    for module, things in modules.items():
        section = table.section(module)
        assert section is not None, f"{module} is not in {TABLE.name}"
        for name, described in things.items():
            for inner, what in parts(name, described):
                status, reason, _ = section.verdict(inner)
                yield Entry(module, inner, what, status, reason)


def parts(name: str, described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a name, and of a class its constructor and its members."""
    yield name, described
    if described.get("parameters") is not None and "members" in described:
        yield (
            f"{name}.__init__",
            {"kind": "constructor", "parameters": described["parameters"]},
        )
    for member, what in described.get("members", {}).items():
        yield f"{name}.{member}", what


def count(found: list[Entry]) -> Counter[str]:
    return Counter(entry.status for entry in found)


def stale_lines(table: Table, modules: dict[str, dict[str, Any]]) -> list[str]:
    """Return what the table says about nothing."""
    stale: list[str] = []
    for section in table.sections:
        used: set[str] = set()
        own = [module for module in modules if table.section(module) is section]
        for module in own:
            for name, described in modules[module].items():
                used |= {section.verdict(inner)[2] for inner, _ in parts(name, described)}
        lines = {line for reasons in section.reasons.values() for line in reasons}
        stale += [f"{section.pattern}: {line}" for line in sorted(lines - used)]
        stale += [] if own else [f"{section.pattern}: no such module"]
    return stale
