"""What a run showed: as JSON, as a table, and as rows for a page."""

from __future__ import annotations

import platform
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from faults import quantile
from report import some_of
from world import Findings

Limits = Mapping[str, tuple[float, float]]
"""By the kind of fault: how many seconds p50 and p99 may be."""


@dataclass(frozen=True)
class Recovery:
    """How long what was hit by a kind of fault needed to go on, in seconds.

    Attributes:
        limits: Of p50 and p99; ``None`` where there is none.
    """

    measured: int
    p50: float
    p99: float
    slowest: float
    limits: tuple[float, float] | None


@dataclass
class Figures:
    """All of it.

    Attributes:
        quotas: What had to be done, by kind, and
        injected: what was.
        operations: What was acknowledged, by kind, of ``acknowledged`` in all.
        idle: Why the run proves nothing, if it met too little.
        slow: Which times are over their limits.
        broken: The promises that were broken: examples, and how many more.
    """

    scenario: str
    date: str
    commit: str
    machine: str
    seed: int
    minutes: float
    seconds: float
    quotas: dict[str, int]
    injected: dict[str, int]
    operations: dict[str, int]
    acknowledged: int
    lost: int
    doubled: int
    stuck: int
    repeated: int
    instances: int
    activities: int
    repeats: int
    recovery: dict[str, Recovery]
    notes: dict[str, float]
    idle: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def make_figures(
    scenario: str,
    *,
    seed: int,
    minutes: float,
    seconds: float,
    limits: Limits,
    quotas: dict[str, int],
    injected: Counter[str],
    operations: Mapping[str, int],
    findings: Findings,
    errors: list[str],
) -> Figures:
    """Put together what was found, and judge it."""
    verdict, notes = findings.verdict, findings.notes
    injected = Counter(injected)
    injected["fenced"] = int(notes["fenced"])
    injected["operations"] = sum(operations.values())
    injected["lost-answers"] = int(notes["answers_lost_and_landed"])  # the server is the witness
    figures = Figures(
        scenario=scenario,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        commit=_commit(),
        machine=f"Python {platform.python_version()}",
        seed=seed,
        minutes=minutes,
        seconds=round(seconds, 1),
        quotas=quotas,
        injected={name: injected[name] for name in quotas},
        operations=dict(operations),
        acknowledged=sum(operations.values()),
        lost=len(verdict.lost),
        doubled=len(verdict.doubled),
        stuck=len(verdict.stuck),
        repeated=len(verdict.repeated),
        instances=verdict.instances,
        activities=verdict.activities,
        repeats=verdict.repeats,
        recovery=_recovery(findings.times.by_kind, limits),
        notes={
            "commits": findings.audit.commits,
            "by_zombies": verdict.by_zombies,
            "events": verdict.events,
            "server_errors": len(errors),
            **{name: round(number, 3) for name, number in notes.items()},
        },
    )
    for found in (*verdict.broken, findings.audit.broken, findings.surprises, errors):
        figures.broken += some_of(found)
    _judge(figures)
    return figures


def _recovery(by_kind: Mapping[str, list[float]], limits: Limits) -> dict[str, Recovery]:
    return {
        kind: Recovery(
            len(seconds),
            *(round(quantile(seconds, share) or 0.0, 3) for share in (0.5, 0.99, 1.0)),
            limits=limits.get(kind),
        )
        for kind, seconds in sorted(by_kind.items())
    }


def _judge(figures: Figures) -> None:
    for name, wanted in figures.quotas.items():
        if figures.injected[name] < wanted:
            figures.idle.append(f"{name}: {figures.injected[name]} instead of {wanted}")
        is_measured = name in figures.recovery or name not in _MEASURED
        if wanted and not is_measured:
            figures.idle.append(f"{name}: nothing that had work due was hit")
    if figures.notes.get("leases_lost_to_blocks"):
        figures.broken.append("a worker lost its lease because its event loop was blocked")
    for kind, recovery in figures.recovery.items():
        if recovery.limits is None:
            continue
        for name, seconds, limit in zip(
            ("p50", "p99"), (recovery.p50, recovery.p99), recovery.limits, strict=True
        ):
            if seconds > limit:
                figures.slow.append(f"{kind}: {name} {seconds:.2f} s, over {limit:g} s")


_MEASURED = frozenset({"kills", "zombies", "crashes", "lost-wakeups"})
"""Kinds that hit somebody with work to do in every run that is long enough to have one of them."""


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


# -- for people


def text(figures: Figures) -> str:
    """Return a table for a terminal; times are seconds."""
    outcome = f"{figures.lost} lost, {figures.doubled} doubled, {figures.stuck} stuck"
    heads = ("injected", "done", "wanted", "measured", "p50", "p99", "slowest")
    lines = [
        f"{figures.scenario}: {figures.minutes:g} minutes, seed {figures.seed}, commit {figures.commit}",
        f"{figures.acknowledged:,} operations were acknowledged: {_kinds(figures.operations)}",
        f"{outcome}, {figures.repeated} activities repeated without a reason",
        "",
        "{:<20}{:>9}{:>9}{:>10}{:>7}{:>7}{:>9}  limits".format(*heads),
    ]
    for name in dict.fromkeys((*figures.quotas, *figures.recovery)):
        done = " " * 18
        if name in figures.quotas:
            done = f"{figures.injected[name]:>9}{figures.quotas[name]:>9}"
        lines.append(f"{name:<20}{done}{_times(figures.recovery.get(name))}")
    return "\n".join(lines)


def _times(recovery: Recovery | None) -> str:
    if recovery is None:
        return ""
    limits = "" if recovery.limits is None else "  {:g}, {:g}".format(*recovery.limits)
    times = f"{recovery.p50:>7.2f}{recovery.p99:>7.2f}{recovery.slowest:>9.2f}"
    return f"{recovery.measured:>10}{times}{limits}"


def markdown(figures: Figures) -> str:
    """Return rows for a page: what was done, what came of it, and the times."""
    injected = ", ".join(
        f"{number:,} {name}"
        for name, number in figures.injected.items()
        if number and name != "operations"
    )
    cells = (
        f"{figures.scenario}, {figures.minutes:g} min",
        f"{figures.date}, {figures.commit}",
        injected,
        f"{figures.acknowledged:,}",
        f"{figures.lost} lost, {figures.doubled} doubled, {figures.stuck} stuck",
    )
    lines = [
        "| run | date, commit | injected | acknowledged | of those |",
        "| --- | --- | --- | --- | --- |",
        f"| {' | '.join(cells)} |",
        "",
        "| recovery after | measured | p50, s | p99, s | limits, s |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for kind, one in figures.recovery.items():
        limits = "" if one.limits is None else "{:g}, {:g}".format(*one.limits)
        lines.append(f"| {kind} | {one.measured:,} | {one.p50:.2f} | {one.p99:.2f} | {limits} |")
    return "\n".join(lines)


def _kinds(operations: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in sorted(operations.items()))
