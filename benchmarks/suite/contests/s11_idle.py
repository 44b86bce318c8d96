"""S11: what a process costs while nothing happens, extrapolated to an hour."""

from __future__ import annotations

from benchmarks.idle import SETTINGS
from benchmarks.suite.contest import Contender, Contest, Figure, Goal

SECONDS = 120
"""Long enough that one statement more or less is one in a hundred."""

WAYS = {
    "client": "client",
    "client, 100 calls wait": "waiting_client",
    "worker": "worker",
    "worker, 100 instances wait": "worker_with_instances",
}
BOUNDS = {
    "statements_an_hour": ("statements an hour", 2_500),
    "connections": ("connections", 4),
    "core_percent": ("% of a core", 0.2),
}

CONTESTS = [
    Contest(
        key="S11",
        title=f"one idle process on Postgres, counted for {SECONDS} s",
        contenders=[
            Contender(name, ("-m", "benchmarks.ours.idle", way, str(SECONDS)))
            for name, way in WAYS.items()
        ],
        figures=(
            Figure("statements/h", "statements_an_hour"),
            Figure("connections", "connections"),
            Figure("% of a core", "core_percent", "{:,.3f}"),
        ),
        goals=[
            Goal(f"{name}: {told}", key, name, at_most=bound)
            for name in WAYS
            for key, (told, bound) in BOUNDS.items()
        ],
        server_settings=SETTINGS,
        at_once=True,
        rounds_max=1,
    )
]
