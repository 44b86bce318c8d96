"""S2: five hundred orchestrations of ten activities, two hundred in flight, in one worker process."""

from __future__ import annotations

from benchmarks.suite.contest import Contender, Contest, Figure, Goal

SHAPE = ("500", "10", "200")
"""Orchestrations, steps of each, in flight."""
BURNT_US = "100"

OURS = "durable_async"
RAW = "raw loop, group commit"
RAW_BURNT = f"raw loop, group commit, +{BURNT_US} us of CPU a step"
DBOS, DBOS_TUNED = "DBOS, defaults", "DBOS, queue, tuned"
ABSURD, ABSURD_TUNED = "Absurd, defaults", "Absurd, tuned: 8 workers"
DUROXIDE = "duroxide, tuned"

FIGURES = (
    Figure("steps/s", "steps_per_second"),
    Figure("CPU us/step", "cpu_us_per_step"),
    Figure("write transactions/step", "commits_per_step", "{:.4f}"),
)
WAL = Figure("WAL bytes/step", "wal_bytes_per_step")


def at_least(other: str, bound: float) -> Goal:
    """Return the goal on steps a second."""
    return Goal(f"steps/s against {other}", "steps_per_second", OURS, other, at_least=bound)


def ours_and_raw(store: str) -> tuple[Contender, ...]:
    """Return those who run in our own environment."""
    raw = ("-m", "benchmarks.raw.group_commit", store, *SHAPE)
    return (
        Contender(RAW, raw),
        Contender(RAW_BURNT, (*raw, BURNT_US)),
        Contender(OURS, ("-m", "benchmarks.ours.sequence", store, *SHAPE)),
        # For information: what is judged is what everybody has.
        Contender(f"{OURS}, uvloop", ("-m", "benchmarks.ours.sequence", store, *SHAPE, "uvloop")),
    )


def dbos(store: str) -> tuple[Contender, ...]:
    """Return DBOS in both ways."""
    program = ("benchmarks/peers/dbos_sequence.py", store, *SHAPE)
    return (
        Contender(DBOS_TUNED, (*program, "queue"), "dbos"),
        Contender(DBOS, (*program, "direct"), "dbos"),
    )


def absurd() -> tuple[Contender, ...]:
    """Return Absurd in both ways."""
    program = ("benchmarks/peers/absurd_sequence.py", *SHAPE)
    return (
        Contender(ABSURD_TUNED, (*program, "tuned"), "absurd"),
        Contender(ABSURD, (*program, "default"), "absurd"),
    )


def duroxide(store: str) -> Contender:
    """Return duroxide."""
    return Contender(
        DUROXIDE, ("benchmarks/peers/duroxide_sequence.py", store, *SHAPE[:2]), "duroxide"
    )


BEYOND = Goal(f"beyond: against {RAW}", "steps_per_second", OURS, RAW, at_least=0.5)
CPU_GOAL = Goal("us of Python CPU a step", "cpu_us_per_step", OURS, at_most=80)
COMMITS_GOAL = Goal("write transactions a step", "commits_per_step", OURS, at_most=0.02)

CONTESTS = [
    Contest(
        key="S2",
        title="500 orchestrations x 10 activities, 200 in flight, Postgres",
        contenders=(*ours_and_raw("postgres"), *absurd(), *dbos("postgres"), duroxide("postgres")),
        figures=(*FIGURES, WAL),
        goals=(
            at_least(DBOS_TUNED, 40),
            at_least(DBOS, 40),
            at_least(ABSURD_TUNED, 10),
            at_least(DUROXIDE, 40),
            at_least(RAW, 0.3),
            BEYOND,
            CPU_GOAL,
            COMMITS_GOAL,
            Goal(
                "WAL bytes a step against Absurd",
                "wal_bytes_per_step",
                OURS,
                ABSURD_TUNED,
                at_most=0.6,
            ),
        ),
    ),
    Contest(
        key="S2s",
        title="500 orchestrations x 10 activities, 200 in flight, SQLite (duroxide: NORMAL, the others: FULL)",
        contenders=(*ours_and_raw("sqlite"), *dbos("sqlite"), duroxide("sqlite")),
        figures=FIGURES,
        goals=(
            at_least(DBOS_TUNED, 40),
            at_least(DBOS, 40),
            at_least(DUROXIDE, 40),
            at_least(RAW, 0.3),
            CPU_GOAL,
            COMMITS_GOAL,
        ),
        needs_postgres=False,
    ),
]
