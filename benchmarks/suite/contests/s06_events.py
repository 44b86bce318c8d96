"""S6: 2,000 orchestrations that wait for an event each: they are started, sent it, and complete. Peers do fewer, told each."""

from __future__ import annotations

from benchmarks.suite.contest import Contender, Contest, Figure, Goal

INSTANCES = 2_000
INSTANCES_OF_PEERS = 500
TIMES_PEER = 10

POSTGRES, SQLITE = (
    Contender(f"durable_async, {title}", ("-m", "benchmarks.ours.events", store, str(INSTANCES)))
    for store, title in (("postgres", "Postgres"), ("sqlite", "SQLite"))
)
LOOKING = Contender(f"{POSTGRES.name}, the client asks who waits", (*POSTGRES.arguments, "--look"))
PEERS = [
    Contender(
        f"{title} ({INSTANCES_OF_PEERS})",
        (f"benchmarks/peers/{peer}_events.py", str(INSTANCES_OF_PEERS)),
        peer,
    )
    for peer, title in (
        ("dbos", "DBOS"),
        ("absurd", "Absurd, tuned"),
        ("durabletask", "Durable Task SDK, in memory"),
    )
]

CONTESTS = [
    Contest(
        key="S6",
        title=f"{INSTANCES:,} orchestrations waiting for an event: start, send, complete",
        contenders=[POSTGRES, LOOKING, SQLITE, *PEERS],
        figures=[
            Figure("s in all", "seconds", "{:.3f}"),
            Figure("start", "start_seconds", "{:.3f}"),
            Figure("send", "send_seconds", "{:.3f}"),
            Figure("complete", "complete_seconds", "{:.3f}"),
            Figure("µs each", "us"),
            Figure("each a second", "per_second"),
            Figure("CPU µs each", "cpu_us"),
            Figure("write transactions each", "commits", "{:.3f}"),
            Figure("WAL bytes each", "wal_bytes"),
        ],
        goals=[
            Goal(
                f"Postgres: instances a second, times {peer.name}",
                "per_second",
                POSTGRES.name,
                peer.name,
                at_least=TIMES_PEER,
            )
            for peer in PEERS
        ],
    )
]
