"""S12: how long something takes from one process to another."""

from __future__ import annotations

from benchmarks.suite.contest import Contender, Contest, Figure, Goal

ROUNDS = "200"

_BALL = "ours, a signal from entity to entity"
_CHILD = "ours, a child or its result"
_CALL = "ours, a call of an entity or its answer"
_COMMIT = "raw, one commit"
_RAW_BALL = "raw, an insert that notifies"

CONTESTS = [
    Contest(
        "S12",
        "entities that signal each other, and children, across two processes: one hop",
        [
            Contender(_BALL, ("-m", "benchmarks.ours.hops", "ball", ROUNDS)),
            Contender(_CHILD, ("-m", "benchmarks.ours.hops", "child", ROUNDS)),
            Contender(_CALL, ("-m", "benchmarks.ours.hops", "call", ROUNDS)),
            Contender(_COMMIT, ("-m", "benchmarks.raw.hops", "commit", ROUNDS)),
            Contender(_RAW_BALL, ("-m", "benchmarks.raw.hops", "ball", ROUNDS)),
        ],
        [
            Figure("ms a hop, p50", "ms_p50", "{:,.2f}"),
            Figure("ms a hop, p99", "ms_p99", "{:,.2f}"),
            Figure("CPU us a hop, both processes", "cpu_us_per_hop"),
            Figure("write transactions a hop", "commits_per_hop", "{:,.2f}"),
            Figure("WAL bytes a hop", "wal_bytes_per_hop"),
        ],
        [
            Goal(f"{name}: p50 in raw commits", "ms_p50", name, _COMMIT, at_most=4)
            for name in (_BALL, _CHILD, _CALL)
        ],
    )
]
