"""Faults that others bring who use the same SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from faults import Fault
from fleet import now_us
from stores import SqliteStore
from world import World

_SHAKEN_US = 3_000_000
_HELD_LEASES = (0.3, 1.5)
_PATIENCE_SECONDS = 60.0


class HeldLocks:
    """Somebody begins a transaction that writes, and goes to lunch for up to one and a half leases."""

    def __init__(self, number: int, lease_seconds: float, store: SqliteStore) -> None:
        self._number = number
        self._lease_seconds = lease_seconds
        self._file = store.file

    async def __call__(self, world: World) -> None:
        """Hold the lock over and over. Nobody can renew a lease meanwhile."""
        for _ in range(self._number):
            await world.pause(0.5, 1.5)
            workers = world.fleet.workers
            owned = await world.owned_by(workers)
            with closing(await asyncio.to_thread(_open, self._file)) as connection:
                await asyncio.to_thread(connection.execute, "begin immediate")
                pids = frozenset(one.pid for one in workers)
                fault = Fault(now_us(), pids, owned, shaken_us=_SHAKEN_US)
                world.faults.append(fault)
                await asyncio.sleep(world.random.uniform(*_HELD_LEASES) * self._lease_seconds)
                connection.execute("rollback")
            fault.healed_us = now_us()
            await world.until_busy(fault.healed_us)


class FullReader:
    """Somebody reads all there is, and keeps the file as it was in sight, so that the journal cannot be taken into it.

    Attributes:
        seconds: How long that went on.
        journal_bytes_max: How long the journal became.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._file = store.file
        self.seconds = 0.0
        self.journal_bytes_max = 0

    async def __call__(self, world: World) -> None:
        """Read, and do not let go until cancelled."""
        journal = Path(f"{self._file}-wal")
        loop = asyncio.get_running_loop()
        with closing(await asyncio.to_thread(_open, self._file)) as connection:
            await asyncio.to_thread(_read_all, connection)
            began = loop.time()
            while True:
                await asyncio.sleep(0.1)
                self.seconds = loop.time() - began
                size = journal.stat().st_size if journal.exists() else 0
                self.journal_bytes_max = max(self.journal_bytes_max, size)


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        file, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
    )


def _read_all(connection: sqlite3.Connection) -> None:
    connection.execute("begin")
    tables = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
    for (table,) in tables:
        for _ in connection.execute(f'select * from "{table}"'):
            pass
