"""S8: how fast a finished history of 10,000 steps replays, JSON encoded, compared and decoded at each."""

from __future__ import annotations

from benchmarks.suite.contest import Contender, Contest, Figure, Goal

OURS, LONGER = "durable_async", "durable_async, 100,000 steps"
UPSTREAM, TEMPORAL = "durabletask's executor", "Temporal's replayer, unsandboxed"


def _goals(shape: str, told: str) -> list[Goal]:
    events = f"{shape}_events_per_second"
    return [
        Goal(f"{told}: events/s over durabletask's executor", events, OURS, UPSTREAM, at_least=5),
        Goal(f"{told}: a step of 100,000 over one of 10,000", shape, LONGER, OURS, at_most=1.2),
    ]


CONTESTS = [
    Contest(
        key="S8",
        title="replay of 10,000 steps with JSON",
        contenders=(
            Contender(OURS, ("-m", "benchmarks.replay", "10000")),
            Contender(LONGER, ("-m", "benchmarks.replay", "100000")),
            Contender(UPSTREAM, ("benchmarks/peer_durabletask.py", "10000"), peer="durabletask"),
            Contender(
                TEMPORAL,
                ("benchmarks/peers/temporal_replay.py", "10000", "3", "fanned_out"),
                peer="temporal",
            ),
        ),
        figures=(
            Figure("sequential, us/step", "sequential", "{:,.2f}"),
            Figure("events/s", "sequential_events_per_second"),
            Figure("fan-out, us/step", "fanned_out", "{:,.2f}"),
            Figure("events/s", "fanned_out_events_per_second"),
        ),
        goals=(
            *_goals("sequential", "sequential"),
            *_goals("fanned_out", "fan-out"),
            # Temporal records three events where we record two: told both ways.
            Goal(
                "fan-out: events/s over Temporal's replayer",
                "fanned_out_events_per_second",
                OURS,
                TEMPORAL,
                at_least=40,
            ),
            Goal(
                "fan-out: time of a step over Temporal's replayer",
                "fanned_out",
                OURS,
                TEMPORAL,
                at_most=1 / 40,
            ),
        ),
        needs_postgres=False,
    ),
]
