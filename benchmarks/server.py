"""A Postgres server for benchmarks, with default durability, and what it counts."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from durable_async.backends.postgres.embedded import EmbeddedPostgres

DSN_VARIABLE = "DURABLE_ASYNC_BENCH_DSN"
"""Where a benchmark's own process finds the server: not among its arguments, which everybody can read."""


@contextmanager
def server(folder: str, settings: Mapping[str, str] | None = None) -> Generator[EmbeddedPostgres]:
    """Run a server on the disk of a folder; it is gone afterwards, data and all."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        # Everything else is as Postgres comes: fsync, synchronous_commit and full_page_writes are on.
        postgres = EmbeddedPostgres(Path(scratch) / "postgres", settings=settings)
        postgres.start()
        try:
            yield postgres
        finally:
            postgres.stop()


@asynccontextmanager
async def database() -> AsyncGenerator[tuple[str, asyncpg.Connection]]:
    """Make a database for one round; yields its DSN and a connection to watch it by."""
    dsn = os.environ[DSN_VARIABLE]
    name = f"bench_{secrets.token_hex(4)}"
    watcher = await asyncpg.connect(dsn)
    try:
        await watcher.execute(f"create database {name}")
        try:
            yield dsn.rpartition("/")[0] + "/" + name, watcher
        finally:
            await watcher.execute(f"drop database {name} with (force)")
    finally:
        await watcher.close()


@dataclass(frozen=True)
class Counts:
    """Where the server's counters stand."""

    transactions: int
    wal_bytes: int
    cpu_seconds: float


async def counts(watcher: asyncpg.Connection) -> Counts:
    """Read the counters.

    Transactions that wrote are those that took a number; unlike the statistics of the server, that count is never late.
    """
    row = await watcher.fetchrow(
        "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as transactions,"
        " (pg_current_wal_insert_lsn() - '0/0')::bigint as wal_bytes,"
        " (select array_agg(pid) from pg_stat_activity where pid <> pg_backend_pid()) as pids"
    )
    cpu = sum(_cpu_seconds(pid) for pid in row["pids"])
    return Counts(row["transactions"], row["wal_bytes"], cpu)


async def deadlocks(watcher: asyncpg.Connection, dsn: str) -> int:
    """Return how many the server broke in a database, after those who used it have gone and reported."""
    found = await watcher.fetchval(
        "select deadlocks from pg_stat_database where datname = $1", dsn.rpartition("/")[2]
    )
    return int(found)


def _cpu_seconds(pid: int) -> float:
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has gone, or this is no Linux
        return 0.0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
