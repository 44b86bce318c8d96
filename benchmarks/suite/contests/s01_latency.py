"""S1: one orchestration that calls an activity a hundred times, one call after the other."""

from __future__ import annotations

from benchmarks.suite.contest import Contender, Contest, Figure, Goal

SHAPE = ("1", "100", "1")
"""Orchestrations, steps of each, in flight."""

OURS = "durable_async"
RAW = "raw loop, a commit a step"
RAW_GROUP = "raw loop, rows by way of a writer task"
DBOS, ABSURD, DUROXIDE = "DBOS", "Absurd", "duroxide, tuned"

FIGURES = (
    Figure("ms/step p50", "ms_p50", "{:,.2f}"),
    Figure("p99", "ms_p99", "{:,.2f}"),
    Figure("steps/s", "steps_per_second"),
    Figure("CPU us/step", "cpu_us_per_step"),
    Figure("write transactions/step", "commits_per_step", "{:.2f}"),
)
WAL = Figure("WAL bytes/step", "wal_bytes_per_step")


def at_most(other: str, bound: float) -> Goal:
    """Return the goal on the time of a step."""
    return Goal(f"ms/step p50 against {other}", "ms_p50", OURS, other, at_most=bound)


def ours_and_raw(store: str) -> tuple[Contender, ...]:
    """Return those who run in our own environment."""
    return (
        Contender(RAW, ("-m", "benchmarks.raw.sequence", store, SHAPE[1])),
        Contender(RAW_GROUP, ("-m", "benchmarks.raw.group_commit", store, *SHAPE)),
        Contender(OURS, ("-m", "benchmarks.ours.sequence", store, *SHAPE)),
    )


def dbos(store: str) -> Contender:
    """Return DBOS, whose workflow is started in the process that runs it."""
    return Contender(DBOS, ("benchmarks/peers/dbos_sequence.py", store, *SHAPE, "direct"), "dbos")


def duroxide(store: str) -> Contender:
    """Return duroxide."""
    return Contender(
        DUROXIDE, ("benchmarks/peers/duroxide_sequence.py", store, *SHAPE[:2]), "duroxide"
    )


CONTESTS = [
    Contest(
        key="S1",
        title="1 orchestration x 100 activities in sequence, Postgres",
        contenders=(
            *ours_and_raw("postgres"),
            Contender(ABSURD, ("benchmarks/peers/absurd_sequence.py", *SHAPE, "default"), "absurd"),
            dbos("postgres"),
            duroxide("postgres"),
        ),
        figures=(*FIGURES, WAL),
        goals=(
            at_most(RAW, 1.5),
            at_most(RAW_GROUP, 1.5),
            at_most(ABSURD, 0.5),
            at_most(DBOS, 0.5),
            at_most(DUROXIDE, 0.5),
        ),
    ),
    Contest(
        key="S1s",
        title="1 orchestration x 100 activities in sequence, SQLite (duroxide: NORMAL, the others: FULL)",
        contenders=(*ours_and_raw("sqlite"), dbos("sqlite"), duroxide("sqlite")),
        figures=FIGURES,
        goals=(
            at_most(RAW, 1.5),
            at_most(RAW_GROUP, 1.5),
            at_most(DBOS, 0.5),
            at_most(DUROXIDE, 0.5),
        ),
        needs_postgres=False,
    ),
]
