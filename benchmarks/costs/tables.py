"""The counts of the ledger as tables for a page: of one more step, of one more item, of a whole workload."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.samples import table

from .ledger import Lines, numbers


@dataclass(frozen=True)
class Line:
    """One line of a table: a workload, or what one more item of it costs.

    Attributes:
        told: What the table calls it.
        of: The workload.
        less: Another one, to be taken away.
        items: How many items the rest is for.
    """

    told: str
    of: str
    less: str | None = None
    items: int = 1

    def count(self, ledger: Mapping[str, Lines], name: str) -> dict[str, float]:
        """Return a count of it by parts, such as statements by name."""
        more = numbers(ledger[self.of].get(name, ""))
        less = numbers(ledger[self.less].get(name, "")) if self.less else {}
        parts = {part: (count - less.get(part, 0)) / self.items for part, count in more.items()}
        return {part: count for part, count in parts.items() if round(count, 2)}

    def total(self, ledger: Mapping[str, Lines], name: str) -> float:
        """Return a count of it."""
        return sum(self.count(ledger, name).values())


ONE, MANY = "start to result, 1 activity", "101 activities, one after the other"
FEW, WIDE = "fan-out of 100 activities", "fan-out of 1,000 activities"
CROWD = "200 x 10 activities, all in flight"
STARTS = "100 starts in a batch, to their results"
IDLE = "ten minutes of an idle worker"
FAR, FARTHER = (
    "1 activity in another process",
    "11 activities in another process, one after the other",
)

STEP = Line("one more activity, alone in its commit", MANY, ONE, 100)
LINES = (
    Line("start to result, no activity", "start to result, no activity"),
    Line("start to result, one activity", ONE),
    STEP,
    Line("one of 100 starts in a batch, to its result", STARTS, items=100),
    Line("one of 200 x 10 activities, all in flight, starts and ends included", CROWD, items=2000),
    Line("one more activity of a fan-out", WIDE, FEW, 900),
    Line("an event for one that waits, to the result", "1 event, to the result"),
    Line("one of 100 events in a batch, to its result", "100 events in a batch, to the results", items=100),
    Line("a timer, start to result", "a timer of a minute, start to result"),
    Line("one child, with its parent's start and result", "1 child, start to result"),
    Line("one more of 100 children", "100 children, start to result", "1 child, start to result", 99),
    Line("a signal to an entity, acknowledged", "10 signals, each acknowledged", items=10),
    Line("one of 100 signals at once", "100 signals at once", items=100),
    Line("a client's call of an entity", "a client's call of an entity"),
    Line("an orchestration's call of an entity, start to result", "an orchestration's call of an entity"),
    Line("a transfer under lock, of new accounts", "a transfer under lock, of new accounts"),
    Line("the same, when both are at home in the worker", "a transfer under lock, the sixth of two accounts"),
    Line("one more activity in another process", FARTHER, FAR, 10),
    Line("one of 100 such activities, fanned out", "fan-out of 100 activities to another process", items=100),
    Line("a minute of an idle worker", IDLE, items=10),
)  # fmt: skip


def on_postgres(ledger: Mapping[str, Lines]) -> str:
    """Return the table of what things cost on Postgres."""
    rows = [
        [
            line.told,
            _figure(line.total(ledger, "statements")),
            _figure(line.total(ledger, "commits")),
            _rows(line.count(ledger, "rows")),
            _figure(line.total(ledger, "notifications")),
            _figure(line.total(ledger, "WAL bytes"), 10),
            _figure(line.total(ledger, "python calls"), 1),
        ]
        for line in LINES
    ]
    head = (
        "", "round trips", "write transactions", "rows (+ inserted, ~ updated, - deleted)", "notifications",
        "WAL bytes, about", "Python calls, about",
    )  # fmt: skip
    return table(head, rows)


def on_sqlite(ledger: Mapping[str, Lines]) -> str:
    """Return the same of SQLite, where a commit is a sync of the disk."""
    rows = [
        [
            line.told,
            _figure(line.total(ledger, "commits")),
            _figure(line.total(ledger, "rows")),
            _figure(line.total(ledger, "statements")),
            _figure(line.total(ledger, "python calls"), 1),
        ]
        for line in LINES
        if line.of in ledger
    ]
    return table(("", "commits", "rows written", "statements", "Python calls, about"), rows)


def by_floor(ledger: Mapping[str, Lines]) -> str:
    """Return the table of where the calls of Python functions are."""
    lines = {
        "alone in its commit": STEP,
        "200 x 10, starts and ends included": LINES[4],
        "in a fan-out": LINES[5],
    }
    counts = {told: line.count(ledger, "python calls") for told, line in lines.items()}
    floors = sorted({floor for each in counts.values() for floor in each})
    rows = [
        [floor, *(_figure(each.get(floor, 0), 0.1) for each in counts.values())] for floor in floors
    ]
    rows.append(["in all", *(_figure(sum(each.values()), 0.1) for each in counts.values())])
    return table(("calls of Python functions for an activity", *counts), rows)


def _figure(value: float, step: float = 0.01) -> str:
    """Write a number with as much of it as matters."""
    rounded = round(value / step) * step
    return f"{rounded:,.2f}".rstrip("0").rstrip(".")


def _rows(counts: Mapping[str, float]) -> str:
    tables: dict[str, str] = {}
    for part, count in counts.items():
        name, sign = re.fullmatch(r"(\w+) ([+~-])", part).groups()  # type: ignore[union-attr]
        tables[name] = f"{tables.get(name, name)} {sign}{_figure(count)}"
    return ", ".join(tables.values())
