"""S7: signals to entities, each awaited by its sender until it is durable; and transfers between two entities under lock."""

from __future__ import annotations

import json

from benchmarks.suite.contest import Contender, Contest, Figure, Goal

CASES = {
    # Senders, entities, signals.
    "1 sender, 1 entity": [1, 1, 2_000],
    "50 senders, 1 entity": [50, 1, 10_000],
    "50 senders, 100 entities": [50, 100, 10_000],
}
LEAST = {"1 sender, 1 entity": 1.6, "50 senders, 1 entity": 25, "50 senders, 100 entities": 25}
TRANSFERS, AT_ONCE = 1_000, 50


def _ours(case: str) -> str:
    return f"durable_async, Postgres: {case}"


def _upstream(case: str) -> str:
    return f"durabletask, in memory: {case}"


def _contenders() -> list[Contender]:
    program, peer = "benchmarks.entities_postgres", "benchmarks/peer_entities.py"
    found = []
    for case, numbers in CASES.items():
        asked = json.dumps({"case": numbers})
        found.append(Contender(_ours(case), ("-m", program, asked)))
        found.append(Contender(_upstream(case), (peer, asked), peer="durabletask"))
    return found


def _costs(prefix: str, per: str) -> list[Figure]:
    return [
        Figure(f"CPU us/{per}", f"{prefix}_cpu_us"),
        Figure(f"server CPU us/{per}", f"{prefix}_server_cpu_us"),
        Figure(f"write transactions/{per}", f"{prefix}_commits", "{:,.3f}"),
        Figure(f"WAL bytes/{per}", f"{prefix}_wal_bytes"),
        Figure("deadlocks", "deadlocks"),
    ]


CONTESTS = [
    Contest(
        key="S7",
        title="signals to entities, until all are carried out; each sender awaits each of its own",
        contenders=_contenders(),
        figures=(
            Figure("operations/s", "case_per_second"),
            Figure("the same from threads", "case_threads_per_second"),
            *_costs("case", "operation"),
        ),
        goals=(
            *(
                Goal(
                    f"{case}: operations/s over durabletask's in memory, driven the same way",
                    "case_per_second",
                    _ours(case),
                    _upstream(case),
                    at_least=least,
                )
                for case, least in LEAST.items()
            ),
            Goal(
                "50 senders, 1 entity: operations/s",
                "case_per_second",
                _ours("50 senders, 1 entity"),
                at_least=20_000,
            ),
        ),
    ),
    Contest(
        key="S7",
        title=f"transfers between 100 accounts, each with both locked, {AT_ONCE} at once",
        contenders=(
            Contender(
                "durable_async, Postgres",
                (
                    "-m",
                    "benchmarks.entities_postgres",
                    json.dumps({"transfer": [TRANSFERS, AT_ONCE]}),
                ),
            ),
        ),
        figures=(
            Figure("transfers/s", "transfer_per_second"),
            *_costs("transfer", "transfer"),
        ),
    ),
]
