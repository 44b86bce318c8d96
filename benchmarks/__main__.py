"""``./dev bench``: runs the benchmarks and prints tables of medians, spread and ratios.

./dev bench                      all
./dev bench throughput --rounds 5
./dev bench postgres
./dev bench entities
./dev bench replay
./dev bench suite S1 S2          the suite: peers, raw loops and ours side by side
./dev bench costs                exact counts of what things cost; nothing is timed
./dev bench model                what follows for a thousand workers and a billion instances
./dev bench profile              where the CPU of a step goes
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from statistics import median

from benchmarks.costs.__main__ import main as costs
from benchmarks.model.__main__ import main as model
from benchmarks.peer import PEER, peer_python
from benchmarks.profile import main as profile
from benchmarks.samples import Series, interleave, paired_ratios, spread, table
from benchmarks.server import DSN_VARIABLE, server
from benchmarks.suite.__main__ import main as suite

RAW_STEPS = 5_000
RAW_STEPS_POSTGRES = 8_000
PROCESSES = (1, 2, 4)


def main() -> None:
    """Run what was asked for."""
    apart = {"suite": suite, "costs": costs, "model": model, "profile": profile}
    if sys.argv[1:2] and sys.argv[1] in apart:
        apart[sys.argv[1]](sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=("all", "throughput", "postgres", "entities", "replay"),
        default="all",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10_000, help="length of the replayed history")
    parser.add_argument(
        "--disk", default=tempfile.gettempdir(), help="a folder on the disk to measure"
    )
    chosen = parser.parse_args()
    print(
        f"Python {platform.python_version()}, {chosen.rounds} interleaved rounds, medians [spread]\n"
    )
    if chosen.what in ("all", "throughput"):
        throughput(chosen.rounds, chosen.disk)
    if chosen.what in ("all", "postgres"):
        on_postgres(chosen.rounds, chosen.disk)
    if chosen.what in ("all", "entities"):
        entities(chosen.rounds, chosen.disk)
    if chosen.what in ("all", "replay"):
        replay(chosen.rounds, chosen.steps)


def throughput(rounds: int, disk: str) -> None:
    """Compare durable steps a second with a raw loop of single commits on the same disk."""
    raw = Series(
        "raw loop, SQLite FULL, a commit a step",
        [sys.executable, "-m", "benchmarks.raw_sqlite", str(RAW_STEPS), disk],
    )
    ours = Series(
        "durable_async, SQLite FULL", [sys.executable, "-m", "benchmarks.throughput", disk]
    )
    memory = Series(
        "durable_async, memory", [sys.executable, "-m", "benchmarks.throughput", "memory"]
    )
    interleave([raw, ours, memory], rounds)
    rows = [
        [
            one.name,
            spread(one.values("steps_per_second")),
            spread(one.values("cpu_us_per_step")),
            spread(one.values("commits_per_step"), "{:.4f}"),
        ]
        for one in (raw, ours, memory)
    ]
    print("500 orchestrations x 10 no-op activities, 200 in flight, one process")
    print(table(["", "steps/s", "CPU us/step", "write transactions/step"], rows))
    ratios = paired_ratios(ours, raw, "steps_per_second")
    print(f"\nSQLite against the raw loop: {spread(ratios, '{:.2f}')} times\n")


def on_postgres(rounds: int, disk: str) -> None:
    """Compare durable steps a second with a raw loop of single commits on the same server, in one process and in several."""
    raw = Series(
        "raw loop, 8 connections, a commit a step",
        [sys.executable, "-m", "benchmarks.raw_postgres", str(RAW_STEPS_POSTGRES)],
    )
    ours = [
        Series(
            f"durable_async, {processes} process{'es' if processes > 1 else ''}",
            [sys.executable, "-m", "benchmarks.throughput_postgres", str(processes)],
        )
        for processes in PROCESSES
    ]
    with server(disk) as postgres:
        os.environ[DSN_VARIABLE] = postgres.dsn
        interleave([raw, *ours], rounds)
    columns = {
        "steps/s": ("steps_per_second", "{:,.0f}"),
        "CPU us/step": ("cpu_us_per_step", "{:.0f}"),
        "server CPU us/step": ("server_cpu_us_per_step", "{:.0f}"),
        "write transactions/step": ("commits_per_step", "{:.3f}"),
        "statements/step": ("statements_per_step", "{:.3f}"),
        "WAL bytes/step": ("wal_bytes_per_step", "{:.0f}"),
    }
    rows = [
        [one.name, *(spread(one.values(key), form) for key, form in columns.values())]
        for one in (raw, *ours)
    ]
    print(
        "500 orchestrations x 10 no-op activities, 200 in flight, begun by one client on Postgres"
    )
    print(table(["", *columns], rows))
    print()
    for one in ours:
        ratios = paired_ratios(one, raw, "steps_per_second")
        print(f"{one.name} against the raw loop: {spread(ratios, '{:.2f}')} times")
    for one, processes in zip(ours[1:], PROCESSES[1:], strict=True):
        shares = [sorted(figures[f"share_{n}"] for n in range(processes)) for figures in one.rounds]
        print(
            f"{one.name}: steps by process, round by round: "
            + "; ".join(" ".join(f"{share:.0%}" for share in each) for each in shares)
        )
    broken = sum(sum(one.values("deadlocks")) for one in ours)
    print(f"deadlocks: {broken:.0f}\n")


SIGNALS = {
    "one sender, 1 entity": [1, 1, 1000],
    "50 senders, 1 entity": [50, 1, 5000],
    "50 senders, 100 entities": [50, 100, 5000],
}
"""Senders, entities, signals: each sender waits for its signal before the next."""

TRANSFERS = {"transfer, one at a time": [200, 1], "transfer, 50 at a time": [1000, 50]}
"""Transfers, and how many at once."""


def entities(rounds: int, disk: str) -> None:
    """Compare signals to entities with the peer and its backend in memory, and count what a transfer under lock costs."""
    ours = Series(
        "durable_async, Postgres",
        [sys.executable, "-m", "benchmarks.entities_postgres", json.dumps(SIGNALS | TRANSFERS)],
    )
    peer = Series(
        f"{PEER}, in memory",
        [str(peer_python()), "benchmarks/peer_entities.py", json.dumps(SIGNALS)],
    )
    with server(disk) as postgres:
        os.environ[DSN_VARIABLE] = postgres.dsn
        interleave([ours, peer], rounds)
    columns = {
        "a second": ("per_second", "{:,.0f}"),
        "write transactions": ("commits", "{:.3f}"),
        "worker's commits": ("worker_commits", "{:.3f}"),
        "CPU us": ("cpu_us", "{:.0f}"),
        "server CPU us": ("server_cpu_us", "{:.0f}"),
        "WAL bytes": ("wal_bytes", "{:,.0f}"),
    }
    rows = [
        [case, *(spread(ours.values(f"{case}_{key}"), form) for key, form in columns.values())]
        for case in SIGNALS | TRANSFERS
    ]
    print("Entities on Postgres, client and worker in one process; all per signal or transfer")
    print(table(["", *columns], rows))
    print()
    for case in SIGNALS:
        for kind, what in (("", "tasks"), ("_threads", "threads")):
            theirs = peer.values(f"{case}{kind}_per_second")
            ratios = [a / b for a, b in zip(ours.values(f"{case}_per_second"), theirs, strict=True)]
            print(
                f"{case}: {spread(ratios, '{:.1f}')} times the peer's {spread(theirs)} a second with {what}"
            )
    print(f"deadlocks: {sum(ours.values('deadlocks')):.0f}\n")


def replay(rounds: int, steps: int) -> None:
    """Compare the kernel's replay with the upstream executor's, on equal histories."""
    ours = Series("durable_async", [sys.executable, "-m", "benchmarks.replay", str(steps)])
    peer = Series(PEER, [str(peer_python()), "benchmarks/peer_durabletask.py", str(steps)])
    interleave([ours, peer], rounds)
    shapes = ("sequential", "fanned_out")
    rows = [
        [one.name, *(spread(one.values(shape), "{:.1f}") for shape in shapes)]
        for one in (ours, peer)
    ]
    print(f"Replay of {steps:,} steps with JSON, microseconds a step")
    print(table(["", *shapes], rows))
    for shape in shapes:
        ratios = paired_ratios(peer, ours, shape)
        print(f"{shape}: {median(ratios):.1f} times as fast, {spread(ratios, '{:.1f}')}")


if __name__ == "__main__":
    main()
