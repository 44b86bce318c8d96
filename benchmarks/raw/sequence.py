"""The floor of one orchestration: a plain loop that makes one row a step durable, in a commit of its own, one after the other.

python -m benchmarks.raw.sequence postgres 100        store, steps
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from benchmarks.ours.sequence import latencies
from benchmarks.samples import emit
from benchmarks.server import counts, database
from benchmarks.suite.__main__ import FOLDER_VARIABLE

PAYLOAD = b"x" * 80
WARM_UP = 20


def figures_of(stamps: Sequence[float], cpu: float) -> dict[str, float]:
    """Return what a step took."""
    steps = len(stamps) - 1
    return {
        "steps_per_second": steps / (stamps[-1] - stamps[0]),
        "cpu_us_per_step": cpu / steps * 1e6,
        **latencies(stamps),
    }


async def on_postgres(steps: int) -> None:
    """Insert rows one by one and print the time of each."""
    async with database() as (dsn, watcher):
        connection = await asyncpg.connect(dsn)
        await connection.execute(
            "create table history (instance bigint, seq integer, payload bytea, primary key (instance, seq))"
        )
        insert = await connection.prepare("insert into history values ($1, $2, $3)")
        for seq in range(WARM_UP):
            await insert.fetch(0, seq, PAYLOAD)
        before = await counts(watcher)
        cpu, stamps = time.process_time(), [time.perf_counter()]
        for seq in range(steps):
            await insert.fetch(1, seq, PAYLOAD)
            stamps.append(time.perf_counter())
        cpu = time.process_time() - cpu
        after = await counts(watcher)
        await _check(connection, steps)
        await connection.close()
    figures = figures_of(stamps, cpu)
    figures["commits_per_step"] = (after.transactions - before.transactions) / steps
    figures["wal_bytes_per_step"] = (after.wal_bytes - before.wal_bytes) / steps
    emit(figures)


async def _check(connection: asyncpg.Connection, steps: int) -> None:
    found = await connection.fetchval("select count(*) from history where instance = 1")
    assert found == steps, f"{found} rows instead of {steps}"


def on_sqlite(steps: int, folder: str) -> None:
    """Insert rows one by one, on the main thread, and print the time of each."""
    connection = sqlite3.connect(Path(folder) / "raw.db", isolation_level=None)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    connection.execute(
        "create table history (instance integer, seq integer, payload blob, primary key (instance, seq)) without rowid"
    )

    def insert(instance: int, seq: int) -> None:
        connection.execute("begin immediate")
        connection.execute("insert into history values (?, ?, ?)", (instance, seq, PAYLOAD))
        connection.execute("commit")

    for seq in range(WARM_UP):
        insert(0, seq)
    cpu, stamps = time.process_time(), [time.perf_counter()]
    for seq in range(steps):
        insert(1, seq)
        stamps.append(time.perf_counter())
    cpu = time.process_time() - cpu
    (found,) = connection.execute("select count(*) from history where instance = 1").fetchone()
    assert found == steps, f"{found} rows instead of {steps}"
    connection.close()
    emit({**figures_of(stamps, cpu), "commits_per_step": 1.0})


if __name__ == "__main__":
    if sys.argv[1] == "postgres":
        asyncio.run(on_postgres(int(sys.argv[2])))
    else:
        with tempfile.TemporaryDirectory(dir=os.environ[FOLDER_VARIABLE]) as scratch:
            on_sqlite(int(sys.argv[2]), scratch)
