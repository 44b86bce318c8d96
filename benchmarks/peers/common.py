"""What the peers' programs share: a database of their own, counters, percentiles. The standard library, and the driver that a peer brings.

Imported as ``common``, because a program's own folder is where its interpreter looks first.
"""

from __future__ import annotations

import glob
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

DSN_VARIABLE = "DURABLE_ASYNC_BENCH_DSN"
FOLDER_VARIABLE = "DURABLE_ASYNC_BENCH_FOLDER"

# Transactions that wrote are those that took a number; unlike the statistics of the server, that count is never late.
_COUNTERS = (
    "select pg_snapshot_xmax(pg_current_snapshot())::text || ' ' ||"
    " (pg_current_wal_insert_lsn() - '0/0')::bigint::text"
)


class Database:
    """A database on the server, as its owner sees it; statements go through psycopg where the peer brings it, else through psql."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._connection = _connect(dsn)

    def value(self, sql: str) -> str | None:
        """Run a statement outside of transactions, and return the first column of its first row as text."""
        if self._connection is None:
            return _psql(self.dsn, sql)
        cursor = self._connection.execute(sql)  # type: ignore[attr-defined]
        row = cursor.fetchone() if cursor.description else None
        return None if row is None or row[0] is None else str(row[0])

    def counters(self) -> tuple[int, int]:
        """Return how many transactions wrote so far on the whole server, and how many bytes of WAL there are."""
        transactions, wal_bytes = (self.value(_COUNTERS) or "0 0").split()
        return int(transactions), int(wal_bytes)

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()  # type: ignore[attr-defined]


@contextmanager
def fresh_database() -> Generator[Database]:
    """Make a database for one round, and drop it when the block ends, whoever is still connected.

    `finish` in the block ends the process and skips that: call it after the block.
    """
    dsn = os.environ[DSN_VARIABLE]
    name = f"bench_{secrets.token_hex(4)}"
    owner = Database(dsn)
    try:
        owner.value(f"create database {name}")
        database = Database(f"{dsn.rpartition('/')[0]}/{name}")
        try:
            yield database
        finally:
            database.close()
            owner.value(f"drop database {name} with (force)")
    finally:
        owner.close()


def fresh_file(name: str) -> Path:
    """Return the path of a file that does not exist yet, on the disk that is measured."""
    folder = Path(os.environ[FOLDER_VARIABLE]) / secrets.token_hex(4)
    folder.mkdir(parents=True)
    return folder / name


@dataclass(frozen=True)
class Used:
    """What a stretch of work used.

    Attributes:
        wall: Seconds.
        cpu: CPU seconds of this process.
        transactions: Those that wrote, or ``None`` without a Postgres.
        wal_bytes: Bytes of WAL, or ``None``.
    """

    wall: float
    cpu: float
    transactions: int | None
    wal_bytes: int | None

    def per(self, count: int, name: str = "step") -> dict[str, float]:
        """Return the figures of the suite for a number of steps, or of whatever ``name`` says."""
        figures = {
            f"{name}s_per_second": count / self.wall,
            f"cpu_us_per_{name}": self.cpu / count * 1e6,
        }
        if self.transactions is not None and self.wal_bytes is not None:
            figures[f"commits_per_{name}"] = self.transactions / count
            figures[f"wal_bytes_per_{name}"] = self.wal_bytes / count
        return figures


class Meter:
    """Measures from its making until `stop`. Make one after the warm-up."""

    def __init__(self, database: Database | None = None) -> None:
        self._database = database
        self._counters = database.counters() if database else None
        self._cpu, self._begin = time.process_time(), time.perf_counter()

    def stop(self) -> Used:
        """Return what was used since."""
        wall, cpu = time.perf_counter() - self._begin, time.process_time() - self._cpu
        if self._database is None or self._counters is None:
            return Used(wall, cpu, None, None)
        after = self._database.counters()
        return Used(wall, cpu, after[0] - self._counters[0], after[1] - self._counters[1])


def percentile(values: Sequence[float], part: float) -> float:
    """Return a percentile, between the two nearest values."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * part
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Return the figures ``ms_p50`` and ``ms_p99``."""
    return {"ms_p50": percentile(seconds, 0.5) * 1e3, "ms_p99": percentile(seconds, 0.99) * 1e3}


def gaps(stamps: Sequence[float]) -> list[float]:
    """Return the seconds between each stamp and the next."""
    return [later - earlier for earlier, later in zip(stamps, stamps[1:])]  # noqa: B905, RUF007 - old interpreters


def check(what: str, found: object, expected: object) -> None:
    """End the round with an error unless the work was really done."""
    if found != expected:
        raise SystemExit(f"{what}: {found!r} instead of {expected!r}")


def emit(figures: Mapping[str, float]) -> None:
    """Print a round's figures, as the suite reads them."""
    print(json.dumps(dict(figures)), flush=True)


def finish() -> NoReturn:
    """End at once: threads of a peer that would go on polling are not waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@contextmanager
def ending() -> Generator[None]:
    """End the process with the block, well or not: threads of a peer that would go on polling are not waited for."""
    try:
        yield
    except BaseException:  # noqa: BLE001 - told, and the process ends
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    finish()


def _connect(dsn: str) -> object | None:
    try:
        import psycopg
    except ImportError:
        return None
    return psycopg.connect(dsn, autocommit=True)


def _psql(dsn: str, sql: str) -> str | None:
    parts = urlsplit(dsn)
    # The password goes by the environment: everybody can read arguments.
    environment = {
        **os.environ,
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.lstrip("/"),
    }
    done = subprocess.run(
        [_find_psql(), "-AtXq", "-v", "ON_ERROR_STOP=1", "-c", sql],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    lines = done.stdout.splitlines()
    return lines[0] if lines else None


def _find_psql() -> str:
    found = shutil.which("psql") or next(
        iter(sorted(glob.glob("/usr/lib/postgresql/*/bin/psql"))), None
    )
    if found is None:
        raise RuntimeError("this peer brings no driver for Postgres, and there is no psql")
    return found
