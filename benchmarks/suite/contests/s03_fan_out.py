"""S3: one orchestration that waits for 1,000 and for 10,000 no-op activities at once. S3d: 10,000 that sleep for a second."""

from __future__ import annotations

from benchmarks.suite.contest import Contender, Contest, Figure, Goal

SMALL, LARGE = 1_000, 10_000

OURS = {
    store: Contender(
        f"durable_async, {title}",
        ("-m", "benchmarks.ours.fan_out", store, str(SMALL), str(LARGE)),
    )
    for store, title in (("postgres", "Postgres"), ("sqlite", "SQLite"))
}
NAPS = {
    store: Contender(ours.name, ("-m", "benchmarks.ours.fan_out", store, str(LARGE), "--nap"))
    for store, ours in OURS.items()
}
PEERS = [
    Contender("DBOS", ("benchmarks/peers/dbos_fan_out.py", str(SMALL)), "dbos"),
    Contender("Absurd, tuned", ("benchmarks/peers/absurd_fan_out.py", str(SMALL)), "absurd"),
    Contender(
        "Durable Task SDK, in memory",
        ("benchmarks/peers/durabletask_fan_out.py", str(SMALL)),
        "durabletask",
    ),
]
TIMES_PEER = 25
GROWTH_MAX = 1.2
NAPS_SECONDS_MAX = 2.5


def _figures(size: int) -> list[Figure]:
    return [
        Figure(f"{size:,}: s", f"seconds_{size}", "{:,.3f}"),
        Figure("µs each", f"us_{size}"),
        Figure("each a second", f"per_second_{size}"),
        Figure("CPU µs each", f"cpu_us_{size}"),
        Figure("write transactions each", f"commits_{size}", "{:.4f}"),
        Figure("WAL bytes each", f"wal_bytes_{size}"),
    ]


CONTESTS = [
    Contest(
        key="S3",
        title=f"1 x {SMALL:,} and 1 x {LARGE:,} activities, fan-out and fan-in",
        contenders=[*OURS.values(), *PEERS],
        figures=[*_figures(SMALL), *_figures(LARGE), Figure("growth", "growth", "{:.2f}")],
        goals=[
            *(
                Goal(
                    f"{SMALL:,} activities, Postgres: times {peer.name}",
                    f"per_second_{SMALL}",
                    OURS["postgres"].name,
                    peer.name,
                    at_least=TIMES_PEER,
                )
                for peer in PEERS
            ),
            *(
                Goal(
                    f"{ours.name}: cost of one of {LARGE:,} to that of one of {SMALL:,}",
                    "growth",
                    ours.name,
                    at_most=GROWTH_MAX,
                )
                for ours in OURS.values()
            ),
        ],
    ),
    Contest(
        key="S3d",
        title=f"{LARGE:,} activities of asyncio.sleep(1), one process",
        contenders=list(NAPS.values()),
        figures=_figures(LARGE),
        goals=[
            Goal(
                f"{ours.name}: seconds in all",
                f"seconds_{LARGE}",
                ours.name,
                at_most=NAPS_SECONDS_MAX,
            )
            for ours in NAPS.values()
        ],
    ),
]
