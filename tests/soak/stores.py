"""The store of a soak, and what it tells: sizes, rows, sessions, numbers that are used up."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from durable_async.backends.postgres.embedded import EmbeddedPostgres

_SCHEMA = "durable_async"
_IS_THERE = f"select to_regclass('{_SCHEMA}.graves') is not null"
_TABLES = f"""
select relname as name, pg_relation_size(relid) as bytes, pg_indexes_size(relid) as index_bytes,
    n_live_tup as live, n_dead_tup as dead, autovacuum_count as vacuums
from pg_stat_user_tables where schemaname = '{_SCHEMA}' order by 1
"""
_SERVER = """
select pg_database_size(current_database()) as bytes,
    pg_notification_queue_usage() as notifications,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xids,
    mxid_age('1'::xid) as multixacts,
    (select xact_commit from pg_stat_database where datname = current_database()) as commits,
    (select deadlocks from pg_stat_database where datname = current_database()) as deadlocks,
    (select count(*) from pg_stat_activity where backend_type = 'client backend') as sessions,
    (select coalesce(sum(seq), 0)::bigint from durable_async.workers where hub > 0) as batches
"""
_IDLE = """
select coalesce(max(extract(epoch from clock_timestamp() - state_change)), 0)::float8
from pg_stat_activity where state like 'idle in transaction%'
"""
_COLLISIONS = (
    "a receiver came or went while others were waited for",
    "the id came or went while it was looked at",
)
"""Ends of errors that the schema raises so that a statement is undone and made again."""


class Store(Protocol):
    """Where the hub is.

    Attributes:
        url: For workers and the client.
    """

    url: str

    async def open(self) -> None:
        """Start what there is to start."""
        ...

    async def close(self) -> None:
        """End it."""
        ...

    async def figures(self) -> dict[str, Any]:
        """Tell of the store: single figures, and ``tables`` by name."""
        ...

    async def idle_seconds(self) -> float:
        """Return for how long a session has been idle in a transaction."""
        ...

    def errors(self) -> list[str]:
        """Return what the store logged as an error."""
        ...


class PostgresStore:
    """A server of its own, that syncs to the disk as a real one does."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedPostgres(folder / "server")
        self._watcher: asyncpg.Connection | None = None
        self.url = ""

    async def open(self) -> None:
        """Start it."""
        self._server.start()
        self.url = self._server.dsn
        self._watcher = await asyncpg.connect(self.url)

    async def close(self) -> None:
        """End it."""
        if self._watcher is not None:
            with suppress(OSError, TimeoutError):
                await self._watcher.close(timeout=5)
        await asyncio.to_thread(self._server.stop, immediately=True)

    async def figures(self) -> dict[str, Any]:
        """Tell of the server."""
        assert self._watcher is not None
        if not await self._watcher.fetchval(_IS_THERE):
            return {}  # nobody has opened the hub yet
        tables = await self._watcher.fetch(_TABLES)
        server = await self._watcher.fetchrow(_SERVER)
        rows = {row["name"]: dict(row) for row in tables}
        for row in rows.values():
            del row["name"]
        return {**dict(server), "tables": rows}

    async def idle_seconds(self) -> float:
        """Return for how long a session has been idle in a transaction."""
        assert self._watcher is not None
        return float(await self._watcher.fetchval(_IDLE))

    def errors(self) -> list[str]:
        """Return what the server logged as an error."""
        text = (self._server.folder / "log").read_text(errors="replace")
        return [
            line
            for line in text.splitlines()
            if (" ERROR: " in line or " PANIC: " in line) and not line.endswith(_COLLISIONS)
        ]


class SqliteStore:
    """A file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "hub.db"
        self.url = f"sqlite:///{self._file}"

    async def open(self) -> None:
        """Nothing runs."""

    async def close(self) -> None:
        """Nothing runs."""

    async def figures(self) -> dict[str, Any]:
        """Tell of the file."""
        if not self._file.exists():
            return {}
        return await asyncio.to_thread(self._read)

    def _read(self) -> dict[str, Any]:
        wal = self._file.with_name(f"{self._file.name}-wal")
        sizes = {
            "bytes": self._file.stat().st_size,
            "wal_bytes": wal.stat().st_size if wal.exists() else 0,
        }
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as connection:
            [(pages,)] = connection.execute("pragma page_count")
            [(free,)] = connection.execute("pragma freelist_count")
            names = connection.execute(
                "select name from sqlite_schema where type = 'table' and name not like 'sqlite%'"
            ).fetchall()
            tables = {}
            for (name,) in names:
                [(rows,)] = connection.execute(f"select count(*) from {name}")
                tables[name] = {"live": rows}
        return {**sizes, "pages": pages - free, "tables": tables}

    async def idle_seconds(self) -> float:
        """There are no sessions."""
        return 0.0

    def errors(self) -> list[str]:
        """Nothing is logged."""
        return []


STORES: dict[str, type[PostgresStore | SqliteStore]] = {
    "postgres": PostgresStore,
    "sqlite": SqliteStore,
}
