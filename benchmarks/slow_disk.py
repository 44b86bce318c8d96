"""Runs another benchmark's program on a disk whose syncs take longer: with a server of its own, or SQLite in its own process.

python -m benchmarks.slow_disk postgres 1000 ours -m benchmarks.ours.sequence postgres 1 100 1
python -m benchmarks.slow_disk sqlite 1000 ours -m benchmarks.ours.sequence sqlite 1 100 1
python -m benchmarks.slow_disk postgres 1000 absurd benchmarks/peers/absurd_sequence.py 500 10 200 tuned

The microseconds are added to each sync; the word after them names the environment that the program runs in. Needs a C compiler (``cc``).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from benchmarks.samples import ROOT, emit
from benchmarks.server import DSN_VARIABLE, server
from benchmarks.suite.environments import interpreter

FOLDER_VARIABLE = "DURABLE_ASYNC_BENCH_FOLDER"
SOURCE = ROOT / "benchmarks" / "slow_sync.c"
PROBES = 20
SETTINGS = {"max_connections": "300"}


def slowness(folder: Path, us: int) -> dict[str, str]:
    """Compile the shim; returns the environment of a process that is to feel it, nothing if nothing is added."""
    if us == 0:
        return {}
    library = folder / "slow_sync.so"
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return {"LD_PRELOAD": str(library), "SLOW_SYNC_US": str(us)}


@contextmanager
def surrounded(by: Mapping[str, str]) -> Generator[None]:
    """Let the processes that are started meanwhile have more in their environment."""
    before = dict(os.environ)
    os.environ.update(by)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


async def commit_ms(dsn: str) -> float:
    """Return the fastest commit, so that it is known what the server feels."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("create table probes (number integer)")
        took = []
        for number in range(PROBES):
            begin = time.perf_counter()
            await connection.execute("insert into probes values ($1)", number)
            took.append(time.perf_counter() - begin)
        await connection.execute("drop table probes")
    finally:
        await connection.close()
    return min(took) * 1e3


def run(peer: str, arguments: list[str]) -> dict[str, float]:
    """Run the program, and return its figures; what it says goes where ours goes."""
    python = sys.executable if peer == "ours" else str(interpreter(peer))
    done = subprocess.run(
        [python, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def on_postgres(folder: Path, us: int, peer: str, arguments: list[str]) -> dict[str, float]:
    """Run it beside a slow server; only the server's processes have the shim."""
    with server(str(folder), SETTINGS) as postgres:
        postgres.stop()  # the data are made at full speed
        with surrounded(slowness(folder, us)):
            postgres.start()
        commit = asyncio.run(commit_ms(postgres.dsn))
        assert commit * 1e3 >= us, f"a commit took {commit} ms only"
        with surrounded({DSN_VARIABLE: postgres.dsn}):
            return {"fastest_commit_ms": commit} | run(peer, arguments)


def on_sqlite(folder: Path, us: int, peer: str, arguments: list[str]) -> dict[str, float]:
    """Run it with the shim in its own process, where SQLite is."""
    with surrounded({FOLDER_VARIABLE: str(folder)} | slowness(folder, us)):
        return run(peer, arguments)


def main(store: str, us: int, peer: str, arguments: list[str]) -> None:
    """Run it and print its figures."""
    with tempfile.TemporaryDirectory(dir=os.environ.get(FOLDER_VARIABLE)) as folder:
        on = {"postgres": on_postgres, "sqlite": on_sqlite}[store]
        emit(on(Path(folder), us, peer, arguments))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:])
