"""S13: workloads of S1, S2 and S4 where each sync takes 1 ms or 10 ms longer, as on a disk that is reached over a network."""

from __future__ import annotations

from benchmarks.suite.contest import Contender, Contest, Figure, Goal

DELAYS_MS = (0, 1, 10)
SEQUENCE = ("1", "100", "1")
MANY = ("500", "10", "200")
RUNS = "100"

ABSURD, ABSURD_TUNED, DBOS = "Absurd", "Absurd, tuned", "DBOS"
FASTEST = Figure("fastest commit, ms", "fastest_commit_ms", "{:,.2f}")
"""Which the server was found to make, by a single row."""

STORES = {"postgres": "Postgres", "sqlite": "SQLite"}


def _slowed(name: str, store: str, ms: int, program: tuple[str, ...], peer: str = "") -> Contender:
    arguments = ("-m", "benchmarks.slow_disk", store, str(ms * 1000), peer or "ours", *program)
    return Contender(_name(name, ms), arguments)


def _name(who: str, ms: int) -> str:
    return f"{who}, +{ms} ms" if ms else who


def _sequence(store: str) -> Contest:
    ours, raw = "durable_async", "raw loop, a commit a step"
    contenders = []
    for ms in DELAYS_MS:
        sequence = ("-m", "benchmarks.ours.sequence", store, *SEQUENCE)
        contenders.append(_slowed(ours, store, ms, sequence))
        loop = ("-m", "benchmarks.raw.sequence", store, SEQUENCE[1])
        contenders.append(_slowed(raw, store, ms, loop))
        if store == "postgres":
            peer = ("benchmarks/peers/absurd_sequence.py", *SEQUENCE, "default")
            contenders.append(_slowed(ABSURD, store, ms, peer, "absurd"))
    return Contest(
        key="S13",
        title=f"S1 on a slow disk: 1 orchestration x 100 activities in sequence, {STORES[store]}",
        contenders=contenders,
        figures=(
            Figure("ms/step p50", "ms_p50", "{:,.2f}"),
            Figure("p99", "ms_p99", "{:,.2f}"),
            Figure("CPU us/step", "cpu_us_per_step"),
            Figure("write transactions/step", "commits_per_step", "{:.2f}"),
            Figure("WAL bytes/step", "wal_bytes_per_step"),
            *((FASTEST,) if store == "postgres" else ()),
        ),
        # The raw loop makes one commit a step. Where the sync is most of it, nothing but the number of syncs shows.
        goals=[
            Goal(
                f"+{ms} ms: a step is one commit: p50 over the raw loop's",
                "ms_p50",
                _name(ours, ms),
                _name(raw, ms),
                at_most=bound,
            )
            for ms, bound in ((1, 1.5), (10, 1.1))
        ],
        needs_postgres=False,
    )


def _many(store: str) -> Contest:
    ours, raw = "durable_async", "raw loop, group commit"
    contenders = []
    for ms in DELAYS_MS:
        sequence = ("-m", "benchmarks.ours.sequence", store, *MANY)
        contenders.append(_slowed(ours, store, ms, sequence))
        loop = ("-m", "benchmarks.raw.group_commit", store, *MANY)
        contenders.append(_slowed(raw, store, ms, loop))
        if store == "postgres":
            peer = ("benchmarks/peers/absurd_sequence.py", *MANY, "tuned")
            contenders.append(_slowed(ABSURD_TUNED, store, ms, peer, "absurd"))
    goals = [
        Goal(
            "what +1 ms leaves of the steps/s",
            "steps_per_second",
            _name(ours, 1),
            ours,
            at_least=0.7,
        )
    ]
    if store == "postgres":
        goals += [
            Goal(
                f"+{ms} ms: steps/s over Absurd's, tuned",
                "steps_per_second",
                _name(ours, ms),
                _name(ABSURD_TUNED, ms),
                at_least=10,
            )
            for ms in DELAYS_MS[1:]
        ]
    return Contest(
        key="S13",
        title=f"S2 on a slow disk: 500 x 10 steps, 200 in flight, {STORES[store]}",
        contenders=contenders,
        figures=(
            Figure("steps/s", "steps_per_second"),
            Figure("CPU us/step", "cpu_us_per_step"),
            Figure("write transactions/step", "commits_per_step", "{:.4f}"),
            Figure("WAL bytes/step", "wal_bytes_per_step"),
        ),
        goals=goals,
        needs_postgres=False,
    )


def _latency(store: str) -> Contest:
    ours, raw = "durable_async", "raw loop, three commits"
    how = {"postgres": "here", "sqlite": "sqlite"}[store]
    contenders = []
    for ms in DELAYS_MS:
        here = ("-m", "benchmarks.ours.latency", how, RUNS)
        contenders.append(_slowed(ours, store, ms, here))
        loop = ("-m", "benchmarks.raw.latency", how, RUNS)
        contenders.append(_slowed(raw, store, ms, loop))
        if store == "postgres":
            peer = ("benchmarks/peers/dbos_latency.py", how, RUNS)
            contenders.append(_slowed(DBOS, store, ms, peer, "dbos"))
    return Contest(
        key="S13",
        title=f"S4 on a slow disk: start to result in one process, 1 activity, {STORES[store]}",
        contenders=contenders,
        figures=(
            Figure("ms p50", "ms_p50", "{:,.2f}"),
            Figure("p99", "ms_p99", "{:,.2f}"),
            Figure("CPU us", "cpu_us_per_run"),
            Figure("write transactions", "commits_per_run", "{:,.1f}"),
            Figure("WAL bytes", "wal_bytes_per_run"),
            *((FASTEST,) if store == "postgres" else ()),
        ),
        goals=[
            Goal(
                f"+{ms} ms: three commits: p50 over the raw loop's",
                "ms_p50",
                _name(ours, ms),
                _name(raw, ms),
                at_most=bound,
            )
            for ms, bound in ((1, 1.5), (10, 1.1))
        ],
        needs_postgres=False,
    )


CONTESTS = [
    _sequence("postgres"),
    _many("postgres"),
    _latency("postgres"),
    _sequence("sqlite"),
    _many("sqlite"),
    _latency("sqlite"),
]
