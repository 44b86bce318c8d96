"""What all verbs share: the connections, their threads, the clock, and the hints that follow a commit."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from durable_async.backends._migrations import Migration, load_migrations, pending
from durable_async.environment import Environment
from durable_async.errors import BackendError, BackendUnavailableError, ConfigurationError

from .bells import Bells
from .connection import (
    DATA_ERRORS,
    InlineRunner,
    Runner,
    ThreadRunner,
    check_place,
    connect,
    translate,
    turn_on_wal,
)
from .hints import Hints, Watch
from .lifelines import Lifelines
from .starts import Offers
from .states import KnownStates
from .transaction import STATEMENTS, Statements, Verb, atomic

T = TypeVar("T")

_LEFT_ALONE: list[sqlite3.Connection] = []
"""A parent's connections, kept from being closed in a forked child, where closing them could disturb the parent."""

PACKAGE = "durable_async.backends.sqlite"


class SqliteCore:
    """An open file: one connection that writes, one that reads, and a clock."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        environment: Environment,
        hub: str = "default",
        letters_max: int = 10_000,
        busy_timeout_seconds: float = 10.0,
        inline: bool = False,
    ) -> None:
        """Describe a hub in a file; nothing is opened yet.

        Args:
            path: The database file; it is created if need be, its folder is not.
            environment: Where time comes from.
            hub: Which of the file's task hubs.
            letters_max: Most letters that clients may leave in one mailbox.
            busy_timeout_seconds: How long to wait for another process that writes.
            inline: Run everything on the caller's thread, and do not watch for what other processes write: for simulation.
        """
        if str(path) in ("", ":memory:"):
            raise ConfigurationError(
                "a SQLite task hub needs a file; use memory:// if nothing has to be kept"
            )
        if "\0" in str(path):
            raise ConfigurationError(f"{str(path)!r} has a zero byte in it, and can be no file")
        self._path = Path(path).absolute()
        self._environment = environment
        self._hub_name = hub
        self._letters_max = letters_max
        self._busy_timeout_seconds = busy_timeout_seconds
        self._inline = inline
        self._last_us = 0
        self._hub = 0
        beside = self._path.with_name(f"{self._path.name}-workers")
        self._lifelines = Lifelines(beside, hub)
        self._bells = Bells(beside, environment)
        self._hints = Hints()
        self._known = KnownStates()
        self._offers = Offers()
        self._connections: dict[str, sqlite3.Connection] = {}
        self._writing: Runner | None = None
        self._reading: Runner | None = None
        self._renewing = threading.Lock()
        self._pid = os.getpid()

    @property
    def description(self) -> str:
        """The file and the hub."""
        return f"sqlite {self._path} (hub {self._hub_name!r})"

    @property
    def hub_name(self) -> str:
        """The name of the task hub."""
        return self._hub_name

    @property
    def migrations(self) -> tuple[Migration, ...]:
        """The steps of the schema, as they are applied by ``open``."""
        return load_migrations(PACKAGE)

    async def open(self) -> None:
        """Open the file, create or upgrade its schema, create the hub if it is new."""
        if self._writing is not None:
            return
        self._pid = os.getpid()
        self._hints.open(asyncio.get_running_loop())
        try:
            if self._inline:
                self._writing = self._reading = InlineRunner()
                await self._writing.run(self._open_files)
            else:
                await self._open_with_threads()
        except BaseException:
            await self.close()
            raise

    async def _open_with_threads(self) -> None:
        watch = Watch(self._data_version, self._hints, self._environment)
        writing = self._writing = ThreadRunner("durable-async sqlite writer", watch.look)
        self._reading = ThreadRunner("durable-async sqlite reader")
        await writing.run(self._open_files)
        await writing.run(self._bells.hang)
        await writing.run(watch.begin)

        def on_ring() -> None:
            watch.ring()
            writing.wake()

        if self._bells.attend(asyncio.get_running_loop(), on_ring):
            watch.rely_on_rings()

    async def close(self) -> None:
        """Let go of connections, threads and signs of life, of all of them also for who is cancelled meanwhile. Safe to repeat."""
        writing, reading = self._writing, self._reading
        self._writing = self._reading = None
        self._hints.close()
        if os.getpid() != self._pid:
            _LEFT_ALONE.extend(self._connections.values())
            self._connections.clear()
            return
        self._bells.leave()
        async with AsyncExitStack() as closing:  # what was pushed last is done first
            closing.callback(self._let_go)
            for runner in (writing, reading):
                if runner is not None:
                    closing.push_async_callback(runner.stop)

    def _let_go(self) -> None:
        self._bells.take_down()
        self._lifelines.drop_all()
        with self._renewing:
            while self._connections:
                self._connections.popitem()[1].close()

    def now_us(self) -> int:
        """Return the machine's clock, which all processes on the file share; it never goes back here."""
        self._last_us = max(self._last_us, self._environment.now_us())
        return self._last_us

    # -- for the verbs

    async def _write(self, verb: Verb[T], then: Callable[[T], None] | None = None) -> T:
        """Run a verb in a transaction of its own, give hints after it, and call ``then``, even if nobody waits for it any more."""

        def job() -> tuple[Statements, T]:
            tx = self._statements("writer")
            with tx.transaction():
                result = verb(tx)
            return tx, result

        return await self._on_writer_and_tell(job, then)

    async def _on_writer_and_tell(
        self, job: Callable[[], tuple[Statements, T]], then: Callable[[T], None] | None = None
    ) -> T:
        """Run something that commits once; give hints of that together with its result, whether or not anybody still waits for it."""

        def ringing() -> tuple[Statements, T]:
            tx, result = job()
            self._ring(tx)
            return tx, result

        def tell(done: tuple[Statements, T]) -> None:
            tx, result = done
            self._hint(tx)
            if then is not None:
                then(result)

        _, result = await self._run(self._writing, ringing, tell)
        return result

    def _hint(self, tx: Statements) -> None:
        """Tell listeners here of a commit."""
        self._hints.give(tx.brought_work, tx.changed, tx.progress)

    def _ring(self, tx: Statements) -> None:
        """Tell other processes of a commit, from the thread that made it."""
        if tx.brought_work or tx.changed or tx.progress:
            self._bells.ring()

    async def _on_writer(self, job: Callable[[], T]) -> T:
        """Run something that begins transactions by itself on the writing connection."""
        return await self._run(self._writing, job)

    async def _read(self, verb: Verb[T]) -> T:
        """Run a verb on the reading connection; each of its statements sees one moment."""
        return await self._run(self._reading, lambda: verb(self._statements("reader")))

    async def _run(
        self,
        runner: Runner | None,
        job: Callable[[], T],
        then: Callable[[T], None] | None = None,
    ) -> T:
        if runner is None:
            raise BackendError(f"{self.description} is not open")

        def translated() -> T:
            try:
                return job()
            except DATA_ERRORS as error:
                raise translate(error, self.description) from error

        return await runner.run(translated, then)

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except DATA_ERRORS as error:
            raise translate(error, self.description) from error

    def _statements(self, role: str) -> Statements:
        return Statements(self._connections[role], self._hub, self.now_us(), self._known)

    # -- opening

    def _open_files(self) -> None:
        with self._errors():
            check_place(self._path)
            self._lifelines.sweep()
            writer = self._connections["writer"] = self._connect("FULL")
            self._known.forget()  # another connection has another count
            turn_on_wal(writer)
            self._migrate(writer)
            self._hub = self._find_hub(writer)
            reader = self._connections["reader"] = self._connect("NORMAL")
            reader.execute("pragma query_only = on")

    def _connect(self, synchronous: str) -> sqlite3.Connection:
        return connect(
            self._path, busy_timeout_seconds=self._busy_timeout_seconds, synchronous=synchronous
        )

    def _migrate(self, writer: sqlite3.Connection) -> None:
        migrations = self.migrations
        if not pending(migrations, schema_version(writer)):
            return
        with atomic(writer):
            # Asked again under the lock: another process may have been faster.
            for step in pending(migrations, schema_version(writer)):
                for statement in _split(step.sql):
                    writer.execute(statement)
                writer.execute(STATEMENTS["save_schema_version"], {"version": step.number})

    def _find_hub(self, writer: sqlite3.Connection) -> int:
        values = {"name": self._hub_name}
        found = writer.execute(STATEMENTS["find_hub"], values).fetchone()
        if found is None:
            writer.execute(STATEMENTS["create_hub"], values)
            found = writer.execute(STATEMENTS["find_hub"], values).fetchone()
        return int(found[0])

    def _data_version(self) -> int | None:
        writer = self._connections.get("writer")
        if writer is None:
            return None
        try:
            return int(writer.execute("pragma data_version").fetchone()[0])
        except sqlite3.Error:
            return None  # the next verb will meet the same trouble and report it


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the version of the schema that a file has; 0 if there is none."""
    if not connection.execute(STATEMENTS["has_meta"]).fetchone()[0]:
        return 0
    try:
        found = connection.execute(STATEMENTS["schema_version"]).fetchone()
    except sqlite3.OperationalError as error:
        raise BackendError("this SQLite file belongs to another program") from error
    if found is None:
        raise BackendUnavailableError("the schema is being created by another process")
    return int(found[0])


def _split(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
