"""Draw a plan from a seed: each draws its own workloads, its own faults and how often each, so that rare company occurs."""

from __future__ import annotations

import random
from typing import Any

from .plan import Action, Plan, Profile, StoreKind, Strike, StrikeKind
from .workloads import WORKLOADS, Workload

TOGETHER_MAX = 3
ALONE_SHARE = 0.12
"""Share of seeds with one of the workloads that bear no company."""
CALM_SHARE = 0.04
"""Share of seeds in which nothing goes wrong: then there are fewer excuses."""
SKEW_SECONDS_MAX = 600.0
KILLS_MAX = 12
LATE_PERIOD = 3.0
"""Strikes fall until so long after the last action."""


def draw(seed: int, *, store: StoreKind = "memory", workload: str | None = None) -> Plan:
    """Draw a plan.

    Args:
        seed: From which everything follows.
        store: What everything is kept in.
        workload: Name of the only one that plays; by default, some are drawn.
    """
    chance = random.Random(f"{seed}:plan")
    kinds = _workloads(chance, workload)
    actions = sorted(
        (action for kind in kinds for action in kind.draw(chance)), key=lambda action: action.at
    )
    workers, clients = chance.randint(1, 4), chance.choice([1, 2, 3])
    is_calm = chance.random() < CALM_SHARE
    settings = _settings(chance)
    profile = Profile() if is_calm else _profile(chance)
    nodes = [f"w{n}" for n in range(1, workers + 1)] + [f"c{n}" for n in range(1, clients + 1)]
    strikes = [] if is_calm else _strikes(chance, nodes, _end(actions), store)
    return Plan(
        seed=seed,
        store=store,
        workers=workers,
        clients=clients,
        residents=chance.randint(0, clients) if chance.random() < 0.5 else 0,
        workloads=tuple(kind.name for kind in kinds),
        is_trusting=chance.random() < 0.4,
        settings=settings,
        profile=profile,
        actions=tuple(actions),
        strikes=tuple(sorted(strikes, key=lambda strike: strike.at)),
    )


def _end(actions: list[Action]) -> float:
    return max((action.at for action in actions), default=0.0) + LATE_PERIOD


def _workloads(chance: random.Random, only: str | None) -> list[type[Workload]]:
    if only is not None:
        return [kind for kind in WORKLOADS if kind.name == only]
    social = [kind for kind in WORKLOADS if not kind.is_alone]
    alone = [kind for kind in WORKLOADS if kind.is_alone]
    if alone and chance.random() < ALONE_SHARE:
        return [chance.choice(alone)]
    count = min(len(social), chance.randint(1, TOGETHER_MAX))
    drawn = set(chance.sample(range(len(social)), count))
    return [kind for number, kind in enumerate(social) if number in drawn]


def _settings(chance: random.Random) -> dict[str, Any]:
    lease = chance.choice([1.0, 2.0, 3.0])
    return {
        "lease_seconds": lease,
        "heartbeat_seconds": round(lease / chance.choice([4, 8]), 3),
        "sweep_seconds": chance.choice([0.3, 1.0]),
        "poll_seconds": chance.choice([0.25, 0.75]),
        "instances_max": chance.choice([2, 4, 10, 100]),
        "history_bytes_max": chance.choice([1, 1 << 20, 1 << 20]),
        "activities_max": chance.choice([1, 3, 20]),
        "backlog_max": chance.choice([1, 10]),
        "operations_max": chance.choice([1, 20]),
        "claim_batch": chance.choice([1, 3, 10, 64]),
        "turns_ahead": chance.choice([1, 10, 50]),
        "batch_turns_max": chance.choice([1, 3, 20, 64]),
        "shutdown_seconds": chance.choice([0.5, 2.0]),
    }


def _profile(chance: random.Random) -> Profile:
    return Profile(
        before=chance.choice([0.0, 0.02, 0.1]),
        after=chance.choice([0.0, 0.02, 0.1]),
        reset=chance.choice([0.0, 0.0, 0.02]),
        late=chance.choice([0.0, 0.02, 0.05]),
        latency=chance.choice([0.0, 0.005, 0.05, 0.2]),
        tail=chance.choice([0.0, 0.0, 0.05]),
        tail_seconds=1.5,
        hints_lost=chance.choice([0.0, 0.2, 1.0]),
        hints_doubled=chance.choice([0.0, 0.2]),
        hints_late=chance.choice([0.0, 0.3, 1.0]),
        hints_late_seconds=chance.choice([0.1, 2.0]),
    )


def _strikes(chance: random.Random, nodes: list[str], end: float, store: StoreKind) -> list[Strike]:
    strikes: list[Strike] = []

    def add(kind: StrikeKind, most: int, seconds: float, amount: float = 0.0) -> None:
        if chance.random() < 0.5:
            strikes.extend(
                Strike(
                    at=round(chance.uniform(0.0, end), 3),
                    kind=kind,
                    node=chance.choice(nodes),
                    seconds=round(chance.uniform(0.0, seconds), 3),
                    amount=round(chance.uniform(-amount, amount), 3),
                )
                for _ in range(chance.randint(1, most))
            )

    add("kill", KILLS_MAX, 2.0)
    add("freeze", 4, 8.0)
    add("stall", 3, 6.0)
    add("stop", 4, 1.0)
    add("cancel", 4, 1.0)
    add("partition", 3, 6.0)
    add("deafness", 3, 8.0)
    add("evict", 8, 0.0)
    if chance.random() < 0.2:
        add("outage", 2, 10.0)
    if store == "memory":
        add("skew", 6, 0.0, SKEW_SECONDS_MAX)
        if chance.random() < 0.3:
            add("clock", 2, 0.0, 5.0)
    return [_unnoticed(chance, strike) for strike in strikes]


def _unnoticed(chance: random.Random, strike: Strike) -> Strike:
    """Let the store not notice one death out of three."""
    if strike.kind != "kill" or chance.random() > 1 / 3:
        return strike
    return Strike(strike.at, strike.kind, strike.node, strike.seconds, 1.0)
