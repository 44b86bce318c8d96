"""Which faults there are, on which store, with how many workers, and what must be seen for a run to prove something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemeses.networks import CutOffs, LostAnswers, LostWakeups
from nemeses.processes import Kills, Zombies
from nemeses.servers import Crashes, Promotions, Storms
from nemeses.together import Together
from stores import PostgresPair, PostgresStore, ProxiedStore, SqliteStore
from world import World

LEASE_SECONDS = 2.0
_SHORT_LEASE = {"lease_seconds": LEASE_SECONDS, "heartbeat_seconds": 0.5}

Strike = Callable[[World], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """One kind of fault.

    Attributes:
        title: What is done.
        counted_from: Where the times begin.
        store: Makes the store in a folder.
        nemesis: Makes what strikes, for a number of faults.
        often: How many faults the long run brings, and
        seldom: how many the short one.
        limit_seconds: What the slowest may take, and
        median_seconds: what half of all may.
        customers: How many there are.
        measured_min: Instances that were hit with work due, for each fault; below it a run proves nothing.
        repeats_min: Activities begun again, for each fault; likewise.
        settings: Of the workers.
    """

    title: str
    counted_from: str
    store: Callable[[Path], Any]
    nemesis: Callable[[int, Any], Strike]
    often: int
    seldom: int
    limit_seconds: float
    median_seconds: float | None = None
    workers: int = 3
    customers: int = 30
    measured_min: float = 1.0
    repeats_min: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)


def _kills(store: Callable[[Path], Any], often: int = 100, **settings: Any) -> Scenario:
    return Scenario(
        "kill -9 of one of three workers" + (", which take from the queue" if settings else ""),
        "the kill",
        store,
        lambda number, store: Kills(number),
        often=often,
        seldom=3,
        limit_seconds=2.0,
        median_seconds=1.0,
        repeats_min=0.5,
        settings=settings,
    )


def _zombies(store: Callable[[Path], Any]) -> Scenario:
    return Scenario(
        "SIGSTOP of one of three workers for two leases",
        "the stop",
        store,
        lambda number, store: Zombies(number, LEASE_SECONDS),
        often=20,
        seldom=1,
        limit_seconds=LEASE_SECONDS + 2.0,
        repeats_min=0.5,
        settings=_SHORT_LEASE,
    )


POSTGRES = {
    "kills": _kills(PostgresStore),
    "queues": _kills(PostgresStore, often=30, activities_max=6, backlog_max=6),
    "zombies": _zombies(PostgresStore),
    "cut-offs": Scenario(
        "a worker's network is silent for two leases",
        "the cut",
        ProxiedStore,
        lambda number, store: CutOffs(number, LEASE_SECONDS, store),
        often=10,
        seldom=1,
        limit_seconds=LEASE_SECONDS + 2.0,
        repeats_min=0.5,
        settings=_SHORT_LEASE,
    ),
    "crashes": Scenario(
        "the server is stopped at once, and restarted",
        "the server's readiness",
        PostgresStore,
        Crashes,
        often=5,
        seldom=1,
        limit_seconds=2.0,
    ),
    "storms": Scenario(
        "all connections are terminated, six times in a row",
        "the last of them",
        PostgresStore,
        Storms,
        often=20,
        seldom=1,
        limit_seconds=2.0,
    ),
    "lost-answers": Scenario(
        "the answer to a COMMIT is lost",
        "",
        ProxiedStore,
        LostAnswers,
        often=200,
        seldom=10,
        limit_seconds=2.0,
        measured_min=0.0,
    ),
    "lost-wakeups": Scenario(
        "a NOTIFY is lost, the worker is idle",
        "the acknowledged event",
        ProxiedStore,
        LostWakeups,
        often=45,
        seldom=2,
        limit_seconds=1.0,
        workers=2,
        customers=0,
    ),
    "promotions": Scenario(
        "kill -9 of the primary, promotion of its synchronous standby",
        "the promotion",
        PostgresPair,
        Promotions,
        often=3,
        seldom=1,
        limit_seconds=2.0,
    ),
    "together": Scenario(
        "workers die, freeze and are cut off while the server crashes and answers get lost",
        "each fault",
        ProxiedStore,
        lambda number, store: Together(number, LEASE_SECONDS, store),
        often=30,
        seldom=2,
        limit_seconds=15.0,
        settings=_SHORT_LEASE,
    ),
}

SQLITE = {
    "kills": _kills(SqliteStore),
    "zombies": _zombies(SqliteStore),
}

SCENARIOS = {"sqlite": SQLITE, "postgres": POSTGRES}
