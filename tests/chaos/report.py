"""What a scenario showed, as a row of a table and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from faults import quantile
from scenarios import Scenario
from world import Findings

_SHOWN = 5


@dataclass
class Row:
    """One scenario's figures.

    Times are in seconds.

    Attributes:
        repeats: Activities that began again, as they may after a fault, and
        repeated: those that did so without a reason, which is a broken promise.
        measured: How many recoveries were measured.
        counted_from: Where their times begin.
        seconds: How long the run took.
        idle: Why the run proves nothing, if it met too little.
        slow: Which times are over their limits.
        broken: The promises that were broken: examples, and how many more.
    """

    scenario: str
    title: str
    faults: int
    instances: int
    activities: int
    repeats: int
    lost: int
    stuck: int
    doubled: int
    repeated: int
    measured: int
    p50: float | None
    p99: float | None
    slowest: float | None
    limit: float
    counted_from: str
    seconds: float
    notes: dict[str, Any] = field(default_factory=dict)
    idle: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def make_row(
    name: str,
    scenario: Scenario,
    wanted: int,
    findings: Findings,
    errors: list[str],
    seconds: float,
) -> Row:
    """Put together what was found."""
    verdict, times = findings.verdict, findings.times
    row = Row(
        scenario=name,
        title=scenario.title,
        faults=len(findings.faults),
        instances=verdict.instances,
        activities=verdict.activities,
        repeats=verdict.repeats,
        lost=len(verdict.lost),
        stuck=len(verdict.stuck),
        doubled=len(verdict.doubled),
        repeated=len(verdict.repeated),
        measured=len(times.seconds),
        p50=quantile(times.seconds, 0.5),
        p99=quantile(times.seconds, 0.99),
        slowest=quantile(times.seconds, 1.0),
        limit=scenario.limit_seconds,
        counted_from=scenario.counted_from,
        seconds=round(seconds, 1),
        notes={
            "events": verdict.events,
            "by_zombies": verdict.by_zombies,
            "commits": findings.audit.commits,
            "lost_and_landed": findings.audit.resumed,
            "server_errors": len(errors),
            **findings.notes,
        },
    )
    for found in (*verdict.broken, findings.audit.broken, findings.surprises, errors):
        row.broken += some_of(found)
    _judge(row, scenario, wanted)
    return row


def _judge(row: Row, scenario: Scenario, wanted: int) -> None:
    if row.faults < wanted:
        row.idle.append(f"{row.faults} faults instead of {wanted}")
    if row.measured < scenario.measured_min * wanted:
        row.idle.append(f"only {row.measured} instances with work due were hit")
    if row.repeats < scenario.repeats_min * wanted:
        row.idle.append(f"only {row.repeats} activities were hit while they ran")
    for name, least in scenario.notes_min.items():
        if row.notes.get(name, 0) < least * wanted:
            row.idle.append(f"{name}: only {row.notes.get(name, 0)}")
    if row.p99 is not None and row.p99 > scenario.limit_seconds:
        row.slow.append(f"p99 {row.p99:.2f} s, over {scenario.limit_seconds:g} s")
    if (
        row.p50 is not None
        and scenario.median_seconds is not None
        and row.p50 > scenario.median_seconds
    ):
        row.slow.append(f"p50 {row.p50:.2f} s, over {scenario.median_seconds:g} s")


def some_of(found: list[str]) -> list[str]:
    """Return the first few, and how many more there are."""
    more = len(found) - _SHOWN
    return [*found[:_SHOWN], *([f"... and {more} more"] if more > 0 else [])]


_COLUMNS = (
    ("scenario", 13),
    ("faults", 7),
    ("instances", 10),
    ("activities", 11),
    ("repeats", 8),
    ("lost", 5),
    ("stuck", 6),
    ("doubled", 8),
    ("repeated", 9),
    ("measured", 9),
    ("p50", 6),
    ("p99", 6),
    ("slowest", 8),
    ("limit", 6),
    ("counted_from", 0),
)


def table(rows: list[Row]) -> str:
    """Return the figures as a table; times are seconds."""
    lines = ["".join(f"{name:<{width}}" for name, width in _COLUMNS)]
    for row in rows:
        cells = (f"{_cell(getattr(row, name)):<{width}}" for name, width in _COLUMNS)
        lines.append("".join(cells))
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
