"""The floor: a plain loop that makes one row a step durable, each in a commit of its own (WAL, synchronous=FULL)."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.samples import emit

PAYLOAD = b"x" * 80


def main(steps: int, folder: str) -> None:
    """Insert rows one by one and print steps a second."""
    connection = sqlite3.connect(Path(folder) / "raw.db", isolation_level=None)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    connection.execute(
        "create table history (instance integer, turn integer, events blob, primary key (instance, turn)) without rowid"
    )
    cpu, begin = time.process_time(), time.perf_counter()
    for step in range(steps):
        connection.execute("begin immediate")
        connection.execute("insert into history values (?, ?, ?)", (step // 10, step % 10, PAYLOAD))
        connection.execute("commit")
    wall = time.perf_counter() - begin
    emit(
        {
            "steps_per_second": steps / wall,
            "cpu_us_per_step": (time.process_time() - cpu) / steps * 1e6,
            "commits_per_step": 1.0,
        }
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[2]) as scratch:
        main(int(sys.argv[1]), scratch)
