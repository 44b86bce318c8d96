"""What a server really did: each statement's plan, also of those inside functions, out of its log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETTINGS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "log",
    "log_line_prefix": "<%a> ",
    "autovacuum": "off",  # so that nothing but the test itself makes a session plan anew
}

_ENTRY = re.compile(
    r"^<(?P<application>[^>]*)> LOG:  duration: [^\n]* plan:\n(?P<json>(?:\t[^\n]*\n)+)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Visit:
    """One node of a plan that reads a table.

    Attributes:
        removed: Rows that were read in vain, for each time the node ran.
    """

    kind: str
    table: str
    index: str | None
    removed: int


@dataclass(frozen=True)
class Plan:
    """A statement, and how it was executed."""

    application: str
    sql: str
    root: dict[str, Any]

    def visits(self) -> Iterator[Visit]:
        """Yield every read of a table."""
        yield from _visits(self.root, None)


def plans_in(log: str) -> list[Plan]:
    """Return the plans in a piece of the log."""
    return [_plan(entry) for entry in _ENTRY.finditer(log)]


def _plan(entry: re.Match[str]) -> Plan:
    told = json.loads(entry["json"].replace("\n\t", "\n"))
    return Plan(entry["application"], " ".join(told["Query Text"].split()), told["Plan"])


def _visits(node: dict[str, Any], table: str | None) -> Iterator[Visit]:
    table = node.get("Relation Name", table)
    kind = node["Node Type"]
    if (
        kind.endswith("Scan")
        and kind != "Bitmap Heap Scan"
        and ("Index Name" in node or "Relation Name" in node)
    ):
        removed = sum(
            node.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Index Recheck")
        )
        yield Visit(kind, str(table), node.get("Index Name"), int(removed))
    elif kind == "Bitmap Heap Scan":
        removed = node.get("Rows Removed by Filter", 0)
        yield Visit(kind, str(table), None, int(removed))
    for child in node.get("Plans", ()):
        yield from _visits(child, table)


class Log:
    """A server's log, from where it was last read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0

    def read(self) -> str:
        """Return what is new."""
        with self._file.open("rb") as log:
            log.seek(self._offset)
            text = log.read()
        self._offset += len(text)
        return text.decode()
