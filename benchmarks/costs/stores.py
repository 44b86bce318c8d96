"""Stores that count what they are asked to do, and whose verbs take a round trip of virtual time."""

from __future__ import annotations

import asyncio
import inspect
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import asyncpg

from durable_async.backend import Backend
from durable_async.backends.postgres.statements import statements_in
from durable_async.backends.sqlite import SqliteBackend
from durable_async.errors import BackendUnavailableError
from durable_async.testing import VirtualEnvironment
from durable_async.testing.postgres import SCHEMA, BridgedBackend, PostgresLab, ThrowawayPostgres

ROUND_TRIP_SECONDS = 0.001
"""What a verb takes, so that what comes meanwhile gathers as it does on a real server."""

SERVER_SETTINGS: dict[str, Any] = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "top",
    "track_functions": "all",
    # What the server does by itself is not the hub's doing.
    "autovacuum": "off",
    "full_page_writes": "off",
    "checkpoint_timeout": "1h",
}

NOT_THE_HUBS = ["clock_us", "pg_stat_statements"]
"""Functions that are there for the lab's clock and for the counters."""

REPORT = "select pg_stat_force_next_flush()"
TABLES = (
    "select relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables where schemaname = $1"
)
FUNCTIONS = """
select funcname, sum(calls)::bigint from pg_stat_user_functions where schemaname = $1 and funcname <> all ($2) group by 1
"""
STATEMENTS = "select query, calls, wal_bytes::bigint from pg_stat_statements"
TAKEN = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint"

WRITING = {"insert", "update", "delete"}


class Tally(Counter[str]):
    """Names, and how often; written as one line."""

    def __str__(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in sorted(self.items()) if count)

    def since(self, before: Counter[str]) -> Tally:
        """Return what was added."""
        return Tally({name: count - before[name] for name, count in self.items()})


@dataclass(frozen=True)
class Counts:
    """Where a store's counters stand, or what was added to them.

    Attributes:
        statements: Statements, each a round trip on Postgres.
        commits: Transactions that wrote.
        rows: Rows inserted (``+``), updated (``~``) and deleted (``-``), by table.
        functions: Functions called in the database.
        notifications: Times that other processes had to be told of something: each a NOTIFY, if none of them went out together.
        calls_to_work: Those of them that tell of work, upon which each worker looks.
        wal_bytes: Bytes in the server's log, without commit records and without full pages.
    """

    statements: Tally
    commits: int
    rows: Tally
    functions: Tally
    notifications: int
    calls_to_work: int
    wal_bytes: int

    def since(self, before: Counts) -> Counts:
        """Return what was added."""
        return Counts(
            self.statements.since(before.statements),
            self.commits - before.commits,
            self.rows.since(before.rows),
            self.functions.since(before.functions),
            self.notifications - before.notifications,
            self.calls_to_work - before.calls_to_work,
            self.wal_bytes - before.wal_bytes,
        )


class Store(Protocol):
    """A hub that counts."""

    def process(self, env: VirtualEnvironment) -> Backend:
        """Return the hub as one more process sees it."""
        ...

    def counts(self) -> Counts:
        """Return where the counters stand."""
        ...


class Distant:
    """A backend whose verbs take a round trip."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._backend, name)
        if not inspect.iscoroutinefunction(verb):
            return verb

        async def travel(*args: Any, **options: Any) -> Any:
            await asyncio.sleep(ROUND_TRIP_SECONDS)
            return await verb(*args, **options)

        return travel


# -- Postgres


class NotCountingError(Exception):
    """Raised when a server cannot count: it has no ``pg_stat_statements``, or does not report when it is asked to, as before 15."""


@contextmanager
def counting_server() -> Generator[PostgresLab]:
    """Run a server that counts, with a schema in it.

    Raises:
        NotCountingError: It cannot.
    """
    with _started() as server:
        lab = PostgresLab(server.dsn)
        try:
            lab.execute("create extension pg_stat_statements schema public")
            lab.execute(REPORT)
        except asyncpg.PostgresError as error:
            lab.close()
            raise NotCountingError(str(error)) from error
        try:
            yield lab
        finally:
            lab.close()


def _started() -> ThrowawayPostgres:
    try:
        return ThrowawayPostgres(**SERVER_SETTINGS)
    except BackendUnavailableError as error:
        raise NotCountingError(str(error)) from error


class PostgresStore:
    """A hub on a server that counts statements, rows and functions."""

    def __init__(self, lab: PostgresLab, name: str) -> None:
        self._lab = lab
        self._name = name
        self._processes: list[_Process] = []
        self._notifications = self._calls_to_work = 0
        self._names = {_core_of(sql): name for name, sql in statements_in(SCHEMA).items()}

    def process(self, env: VirtualEnvironment) -> Backend:
        """Return the hub as one more process sees it; what one tells of a commit, all hear at once."""
        one = _Process(self._lab, env, self._name, self._pass_on)
        self._processes.append(one)
        return cast("Backend", Distant(one))

    def counts(self) -> Counts:
        """Read the server's counters."""
        self._have_it_reported()
        return self._lab.call(self._read())

    def _pass_on(self, teller: _Process, said: tuple[Any, ...]) -> None:
        self._notifications += 1
        self._calls_to_work += said[0].brought_work
        for one in self._processes:
            if one is not teller:
                one.hear(said)

    def _have_it_reported(self) -> None:
        """A session tells the server's statistics what it did only now and then, unless it is asked to."""
        connections = [*self._lab.idle_connections]
        for one in self._processes:
            connections += one.connections()
        for connection in connections:
            self._lab.call(connection.fetchval(REPORT))
        for one in self._processes:
            one.report_lifeline()

    async def _read(self) -> Counts:
        connection = self._lab._connection
        rows, statements, wal_bytes = Tally(), Tally(), 0
        for table, *changes in await connection.fetch(TABLES, SCHEMA):
            for sign, count in zip("+~-", changes, strict=True):
                rows[f"{table} {sign}"] = count
        for sql, calls, wal in await connection.fetch(STATEMENTS):
            name = self._names.get(_core_of(sql))
            if name is not None:
                statements[name] += calls
                wal_bytes += wal
        functions = Tally(dict(await connection.fetch(FUNCTIONS, SCHEMA, NOT_THE_HUBS)))
        commits = await connection.fetchval(TAKEN) - sum(one.clock_sets for one in self._processes)
        return Counts(
            statements,
            commits,
            rows,
            functions,
            self._notifications,
            self._calls_to_work,
            wal_bytes,
        )


class _Process(BridgedBackend):
    """The hub as one process sees it.

    Attributes:
        clock_sets: How often it has set the lab's clock, which is a transaction each time.
    """

    def __init__(
        self,
        lab: PostgresLab,
        env: VirtualEnvironment,
        name: str,
        pass_on: Callable[[_Process, tuple[Any, ...]], None],
    ) -> None:
        super().__init__(lab, env, clock=name, hub=name)
        self.clock_sets = 0
        self._pass_on = pass_on
        self._says = False
        ears = self._real._ears
        self._give, self._tell = ears.give, ears._tell
        ears.give, ears._tell = self._say, self._hear  # type: ignore[assignment, method-assign]

    def _say(self, *what: Any, **more: Any) -> None:
        """Tell of a commit: who listens here, and others."""
        self._says = True
        try:
            self._give(*what, **more)
        finally:
            self._says = False

    def _hear(self, *said: Any) -> None:
        self._tell(*said)
        if self._says:
            self._pass_on(self, said)

    def _set_clock(self) -> None:
        before = self._set_us
        super()._set_clock()
        self.clock_sets += self._set_us != before

    def hear(self, said: tuple[Any, ...]) -> None:
        """Hear what another process tells."""
        self._tell(*said)
        hints, self._hints = self._hints, []
        for hint in hints:
            hint()

    def connections(self) -> list[Any]:
        """Return those that are open."""
        return [link._connection for link in self._real._kept if link.is_connected]

    def report_lifeline(self) -> None:
        """Have the connection of its thread report."""
        self._real._lifelines.call(REPORT, timeout_seconds=5)


_CONSTANTS = re.compile(r"\$\d+|'[^']*'|\b\d+\b|\btrue\b|\bfalse\b|\s+")


def _core_of(sql: str) -> str:
    """Return a statement without comments and constants, which the server leaves out as well."""
    lines = [line for line in sql.splitlines() if not line.lstrip().startswith("--")]
    return _CONSTANTS.sub("", "\n".join(lines))


# -- SQLite


class SqliteStore:
    """A hub in a file whose connections count."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connections: list[sqlite3.Connection] = []
        self._statements = Tally()
        self._commits = 0

    def process(self, env: VirtualEnvironment) -> Backend:
        """Return the hub."""
        return cast("Backend", Distant(_Counted(self._path, env, self._count)))

    def _count(self, connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(self._counter(connection))
        self._connections.append(connection)

    def counts(self) -> Counts:
        """Return what was counted."""
        rows = sum(one.total_changes for one in self._connections)
        statements = Tally(self._statements)
        return Counts(statements, self._commits, Tally(written=rows), Tally(), 0, 0, 0)

    def _counter(self, connection: sqlite3.Connection) -> Callable[[str], None]:
        changes = 0  # before the transaction

        def note(sql: str) -> None:
            nonlocal changes
            verb = sql.split(None, 1)[0].lower()
            self._statements[verb] += 1
            if verb == "begin":
                changes = connection.total_changes
            elif verb == "commit":
                self._commits += connection.total_changes > changes
            elif verb in WRITING and not connection.in_transaction:
                self._commits += 1

        return note


class _Counted(SqliteBackend):
    """A backend that shows its connections."""

    def __init__(
        self, path: Path, env: VirtualEnvironment, show: Callable[[sqlite3.Connection], None]
    ) -> None:
        super().__init__(path, environment=env, inline=True)
        self._show = show

    def _connect(self, synchronous: str) -> sqlite3.Connection:
        connection = super()._connect(synchronous)
        self._show(connection)
        return connection
