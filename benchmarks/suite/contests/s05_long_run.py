"""S5: one orchestration of 10,000 steps, one after the other: the last cost what the first did, and no history is read."""

from __future__ import annotations

from benchmarks.suite.contest import Contender, Contest, Figure, Goal

STEPS = 10_000
GROWTH_MAX = 1.1

OURS = [
    Contender(f"durable_async, {title}", ("-m", "benchmarks.ours.long_run", store, str(STEPS)))
    for store, title in (("postgres", "Postgres"), ("sqlite", "SQLite"))
]

CONTESTS = [
    Contest(
        key="S5",
        title=f"1 x {STEPS:,} sequential activities",
        contenders=OURS,
        figures=[
            Figure("ms a step, first 1,000", "ms_first", "{:.3f}"),
            Figure("last 1,000", "ms_last", "{:.3f}"),
            Figure("last to first", "growth", "{:.2f}"),
            Figure("steps/s", "per_second"),
            Figure("CPU µs a step", "cpu_us"),
            Figure("first 1,000", "cpu_us_first"),
            Figure("last 1,000", "cpu_us_last"),
            Figure("write transactions a step", "commits", "{:.3f}"),
            Figure("WAL bytes a step", "wal_bytes"),
            Figure("rows of history claimed", "history_rows_read"),
            Figure("pages of history read", "history_pages_read"),
        ],
        goals=[
            goal
            for ours in OURS
            for goal in (
                Goal(
                    f"{ours.name}: last 1,000 steps to the first 1,000",
                    "growth",
                    ours.name,
                    at_most=GROWTH_MAX,
                ),
                # The same without the noise of a machine that others use, too.
                Goal(
                    f"{ours.name}: CPU of the last 1,000 steps to the first 1,000",
                    "cpu_growth",
                    ours.name,
                    at_most=GROWTH_MAX,
                ),
                Goal(
                    f"{ours.name}: pages of history read",
                    "history_pages_read",
                    ours.name,
                    at_most=0,
                ),
                # The one row is the input, which comes with the one claim.
                Goal(
                    f"{ours.name}: rows of history claimed",
                    "history_rows_read",
                    ours.name,
                    at_most=1,
                ),
            )
        ],
    )
]
