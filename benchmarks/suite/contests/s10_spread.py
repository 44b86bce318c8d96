"""S10: the throughput of several worker processes, with the activities in others than the orchestrators."""

from __future__ import annotations

from benchmarks.suite.contest import Contender, Contest, Figure, Goal

_ONE = "ours, 1 process"
_APART = {count: f"ours, {count} processes, half of them for activities" for count in (2, 4)}
_ALIKE = {count: f"ours, {count} processes alike" for count in (2, 4)}
_RAW = "raw, steps in another process"
_ABSURD = {count: f"Absurd tuned, {count} worker processes" for count in (2, 4)}

CONTESTS = [
    Contest(
        "S10",
        "500 orchestrations of 10 steps, 200 in flight, over several worker processes",
        [
            Contender(_ONE, ("-m", "benchmarks.ours.spread", "1")),
            Contender(_APART[2], ("-m", "benchmarks.ours.spread", "2")),
            Contender(_APART[4], ("-m", "benchmarks.ours.spread", "4")),
            Contender(_ALIKE[2], ("-m", "benchmarks.throughput_postgres", "2")),
            Contender(_ALIKE[4], ("-m", "benchmarks.throughput_postgres", "4")),
            Contender(_RAW, ("-m", "benchmarks.raw.spread")),
            Contender(_ABSURD[2], ("benchmarks/peers/absurd_spread.py", "2"), "absurd"),
            Contender(_ABSURD[4], ("benchmarks/peers/absurd_spread.py", "4"), "absurd"),
        ],
        [
            Figure("steps/s", "steps_per_second"),
            Figure("CPU us a step", "cpu_us_per_step"),
            Figure("server CPU us a step", "server_cpu_us_per_step"),
            Figure("write transactions a step", "commits_per_step", "{:,.4f}"),
            Figure("WAL bytes a step", "wal_bytes_per_step"),
            Figure("steps run again", "steps_again"),
            Figure("deadlocks", "deadlocks"),
        ],
        [
            *(
                Goal(
                    f"{count} processes, steps/s to the raw loop",
                    "steps_per_second",
                    _APART[count],
                    _RAW,
                    at_least=0.3,
                )
                for count in (2, 4)
            ),
            *(
                Goal(
                    f"{count} processes, steps/s to Absurd tuned",
                    "steps_per_second",
                    _APART[count],
                    _ABSURD[count],
                    at_least=3,
                )
                for count in (2, 4)
            ),
            *(
                Goal(
                    f"{name}, write transactions a step to one process",
                    "commits_per_step",
                    name,
                    _ONE,
                    at_most=1,
                )
                for name in (*_APART.values(), *_ALIKE.values())
            ),
        ],
    )
]
