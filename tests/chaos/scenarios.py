"""Which faults there are, on which store, with how many workers, and what must be seen for a run to prove something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bank.customers import Bank
from errands.customers import Errands
from load import Customers, Load
from nemeses.networks import CutOffs, HalfOpenings, LostAnswers, LostWakeups
from nemeses.processes import Kills, Zombies
from nemeses.servers import Crashes, Promotions, Storms
from nemeses.throughout import Throughout
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
        customers: How many there are, and
        kind: which.
        errands_often: How many of their errands are done in the long run, at least, and
        errands_seldom: how many in the short one.
        measured_min: Instances that were hit with work due, for each fault; below it a run proves nothing.
        repeats_min: Activities begun again, for each fault; likewise.
        notes_min: What must have been counted, for each fault; likewise.
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
    kind: type[Customers] = Load
    errands_often: int = 0
    errands_seldom: int = 0
    measured_min: float = 1.0
    repeats_min: float = 0.0
    notes_min: dict[str, float] = field(default_factory=dict)
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


def _bank(
    store: Callable[[Path], Any], title: str, nemesis: Callable[[int, Any], Strike], **other: Any
) -> Scenario:
    return Scenario(
        title,
        "each fault",
        store,
        nemesis,
        often=100,
        kind=Bank,
        errands_often=10_000,
        errands_seldom=100,
        measured_min=0.5,
        **other,
    )


def _bank_kills(store: Callable[[Path], Any]) -> Scenario:
    return _bank(
        store,
        "bank transfers under lock while workers are killed",
        lambda number, store: Throughout(number, [Kills(1, engaged_share=0.7)]),
        seldom=3,
        limit_seconds=2.0,
        median_seconds=1.0,
        notes_min={"hit_between": 0.3},
    )


def _errands(store: Callable[[Path], Any]) -> Scenario:
    return Scenario(
        "kill -9 of workers while events stream, attempts fail, trees grow and workers start orchestrations",
        "the kill",
        store,
        lambda number, store: Kills(number),
        often=50,
        seldom=3,
        limit_seconds=2.0,
        median_seconds=1.0,
        customers=12,
        kind=Errands,
        repeats_min=0.3,
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
    "half-openings": Scenario(
        "the server has forgotten a connection, and its worker does not know",
        "that moment",
        ProxiedStore,
        HalfOpenings,
        often=12,
        seldom=3,
        limit_seconds=LEASE_SECONDS + 2.0,
        settings=_SHORT_LEASE,
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
    "bank": _bank_kills(PostgresStore),
    "errands": _errands(PostgresStore),
    "bank-together": _bank(
        PostgresStore,
        "bank transfers under lock while workers die and freeze, the server crashes and connections are terminated",
        lambda number, store: Throughout(
            number,
            [*[Kills(1, engaged_share=0.7)] * 5, Zombies(1, LEASE_SECONDS)],
            beside=[Crashes(1, store), Storms(1, store), Storms(1, store)],
        ),
        seldom=5,
        limit_seconds=15.0,
        settings=_SHORT_LEASE,
    ),
}

SQLITE = {
    "kills": _kills(SqliteStore),
    "zombies": _zombies(SqliteStore),
    "bank": _bank_kills(SqliteStore),
    "errands": _errands(SqliteStore),
}

SCENARIOS = {"sqlite": SQLITE, "postgres": POSTGRES}
