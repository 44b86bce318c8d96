"""S4: how long a client waits for an orchestration of one activity."""

from __future__ import annotations

from benchmarks.suite.contest import Contender, Contest, Figure, Goal

RUNS = "200"

_OURS, _OURS_APART = "ours", "ours, another process"
_RAW, _RAW_APART = "raw, three commits", "raw, two processes with NOTIFY"
_DBOS, _DBOS_APART = "DBOS", "DBOS tuned, another process"
_FILE, _FILE_APART = "ours, SQLite", "ours, SQLite, another process"
_RAW_FILE = "raw, three commits, SQLite"

CONTESTS = [
    Contest(
        "S4",
        "start to result through the client, 1 activity",
        [
            Contender(_OURS, ("-m", "benchmarks.ours.latency", "here", RUNS)),
            Contender(_RAW, ("-m", "benchmarks.raw.latency", "here", RUNS)),
            Contender(_DBOS, ("benchmarks/peers/dbos_latency.py", "here", RUNS), "dbos"),
            Contender(_OURS_APART, ("-m", "benchmarks.ours.latency", "apart", RUNS)),
            Contender(_RAW_APART, ("-m", "benchmarks.raw.latency", "apart", RUNS)),
            Contender(_DBOS_APART, ("benchmarks/peers/dbos_latency.py", "apart", RUNS), "dbos"),
            Contender(_FILE, ("-m", "benchmarks.ours.latency", "sqlite", RUNS)),
            Contender(_RAW_FILE, ("-m", "benchmarks.raw.latency", "sqlite", RUNS)),
            Contender(_FILE_APART, ("-m", "benchmarks.ours.latency", "sqlite-apart", RUNS)),
        ],
        [
            Figure("ms, p50", "ms_p50", "{:,.2f}"),
            Figure("ms, p99", "ms_p99", "{:,.2f}"),
            Figure("CPU us of the client's process", "cpu_us_per_run"),
            Figure("write transactions", "commits_per_run", "{:,.1f}"),
            Figure("WAL bytes", "wal_bytes_per_run"),
        ],
        [
            Goal("in process, p50 to the raw loop", "ms_p50", _OURS, _RAW, at_most=1.5),
            Goal("in process, p50 to DBOS", "ms_p50", _OURS, _DBOS, at_most=0.2),
            Goal("another process, ms at p50", "ms_p50", _OURS_APART, at_most=4),
            Goal("another process, ms at p99", "ms_p99", _OURS_APART, at_most=20),
            Goal(
                "another process, p50 to DBOS tuned",
                "ms_p50",
                _OURS_APART,
                _DBOS_APART,
                at_most=1 / 7,
            ),
            Goal("SQLite in process, p50 to the raw loop", "ms_p50", _FILE, _RAW_FILE, at_most=1.5),
        ],
    )
]
