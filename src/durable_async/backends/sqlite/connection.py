"""Connections and the threads that own them: one thread writes, one reads, and callers await their turn."""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Protocol, TypeAlias, TypeVar, cast

import anyio

from durable_async.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    ForbiddenOperationError,
)

T = TypeVar("T")

_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_ANOTHER_SCHEMA = ("no such column", "no such index", "no such table")
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_NETWORK_FILE_SYSTEMS = frozenset(
    {
        "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.gcsfuse", "fuse.glusterfs",
        "fuse.juicefs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "gfs2", "glusterfs", "gpfs", "lustre",
        "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs",
    }
)  # fmt: skip
_NAME_BYTES_MAX = 255 - len("-workers")
"""What a file system takes as a name, less what the folder beside the file has more."""

DATA_ERRORS = (sqlite3.Error, OverflowError, UnicodeError)
"""What the driver raises; everything else is a mistake in this package."""


def connect(path: Path, *, busy_timeout_seconds: float, synchronous: str) -> sqlite3.Connection:
    """Open a connection in autocommit mode; transactions are begun by hand.

    ``synchronous`` is FULL where an acknowledged write must survive a power cut.
    """
    connection = sqlite3.connect(
        path,
        timeout=busy_timeout_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    pragmas = {
        "FULL": "pragma synchronous = full",
        "NORMAL": "pragma synchronous = normal",
    }
    for pragma in (
        pragmas[synchronous],
        "pragma temp_store = memory",
        "pragma cache_size = -16384",
        "pragma journal_size_limit = 67108864",
        "pragma trusted_schema = off",
    ):
        try:
            connection.execute(pragma).fetchall()
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def not_waiting_for_the_disk(connection: sqlite3.Connection) -> Generator[None]:
    """Let what is committed in a block be lost in a power cut, unless something that waits is committed after it; outside of transactions."""
    connection.execute("pragma synchronous = normal")
    try:
        yield
    finally:
        connection.execute("pragma synchronous = full")


def turn_on_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to write-ahead logging, which stays with it.

    The switch ignores the busy timeout, so two processes that begin together must try again.
    """
    pause = threading.Event()
    for _ in range(100):
        try:
            [(mode,)] = connection.execute("pragma journal_mode = wal").fetchall()
        except sqlite3.OperationalError as error:
            if base_code(error) != sqlite3.SQLITE_BUSY:
                raise
            pause.wait(0.05)
            continue
        if mode != "wal":
            raise BackendError(f"this file cannot have a write-ahead log (journal mode {mode!r})")
        return
    raise BackendUnavailableError("the database was locked for 5 s while it was being opened")


def check_place(path: Path) -> None:
    """Refuse places where SQLite cannot keep its promises.

    Raises:
        ConfigurationError: No such folder, a network file system, whose locks and shared memory do not reach other machines, or a name
            that is too long.
    """
    if len(os.fsencode(path.name)) > _NAME_BYTES_MAX:
        raise ConfigurationError(f"{path}: the file's name is over {_NAME_BYTES_MAX} bytes long")
    if not os.path.isdir(path.parent):
        raise ConfigurationError(f"{path}: there is no folder {str(path.parent)!r}")
    kind = file_system_of(path.parent, Path("/proc/self/mounts"))
    if kind in _NETWORK_FILE_SYSTEMS:
        raise ConfigurationError(
            f"{path} is on a network file system ({kind}), where SQLite can lose data: "
            "use a local disk, or Postgres for several machines"
        )


def file_system_of(folder: Path, mounts: Path) -> str | None:
    """Return the type of file system that holds a folder; ``None`` where the system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    place = folder.resolve()
    best: tuple[int, str | None] = (-1, None)
    for line in lines:
        _, point, kind, *_ = [*line.split(" "), "", "", ""]
        mount = Path(point.replace("\\040", " "))
        if place.is_relative_to(mount) and len(mount.parts) >= best[0]:
            best = (len(mount.parts), kind)
    return best[1]


def base_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; 0 if it has none."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def translate(error: Exception, description: str) -> BackendError:
    """Return the error that crosses the port for one of the driver's."""
    code = base_code(error) if isinstance(error, sqlite3.Error) else 0
    if code in _UNAVAILABLE:
        return BackendUnavailableError(f"{description}: {error}")
    if code in _DAMAGED:
        return BackendError(
            f"{description}: the file is damaged or not a database ({error}); restore it from a backup"
        )
    if str(error).startswith(_ANOTHER_SCHEMA):
        return BackendError(
            f"{description}: the file has another schema than this release ({error}), as one from between two releases may: "
            "move it away, and begin a new one"
        )
    return BackendError(f"{description}: {type(error).__name__}: {error}")


def check_process(pid: int) -> None:
    """Refuse to use in a forked child what was opened in its parent: SQLite's locks do not survive a fork."""
    if os.getpid() != pid:
        raise BackendError(
            f"the backend was opened in process {pid} and cannot be used in its forked child: open it there anew"
        )


class Runner(Protocol):
    """Runs functions one after the other, somewhere."""

    async def run(self, fn: Callable[[], T], then: Callable[[T], None] | None = None) -> T:
        """Run a function and return its result; ``then`` is called with it, on the loop, whether the caller still waits or not."""
        ...

    async def stop(self) -> None:
        """Let go of the thread, if there is one, after what was handed in."""
        ...


class InlineRunner:
    """Runs functions where they are asked for: no thread, for tests and simulation."""

    async def run(self, fn: Callable[[], T], then: Callable[[T], None] | None = None) -> T:
        """Run the function at once."""
        result = fn()
        if then is not None:
            then(result)
        return result

    async def stop(self) -> None:
        """Do nothing."""


class ThreadRunner:
    """Runs functions in a thread of its own, and something else while there are none.

    Attributes:
        idle: Called in the thread between functions; returns the seconds after which it wants to be called again if nothing comes.
    """

    def __init__(self, name: str, idle: Callable[[], float] | None = None) -> None:
        self._jobs: queue.SimpleQueue[_AnyJob | None] = queue.SimpleQueue()
        self._idle = idle
        self._pid = os.getpid()
        self._stopped = False
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    async def run(self, fn: Callable[[], T], then: Callable[[T], None] | None = None) -> T:
        """Run a function in the thread.

        Cancelling gives up the wait; the function still runs to its end.
        """
        if self._stopped:
            raise BackendError("the backend is closed")
        check_process(self._pid)
        job = _Job(fn, then)
        self._jobs.put(cast("_AnyJob", job))
        return await job.future

    def wake(self) -> None:
        """Have ``idle`` called as soon as possible, from any thread."""
        self._jobs.put(_NOTHING)

    async def stop(self) -> None:
        """End the thread after the jobs that are waiting, and wait for it."""
        if self._stopped or os.getpid() != self._pid:
            return
        try:
            with anyio.CancelScope(shield=True):
                await self.run(_last)  # so that the loop is free while older jobs run
        finally:
            self._stopped = True
            self._jobs.put(None)
            self._thread.join()

    def _loop(self) -> None:
        patience = self._idle() if self._idle is not None else None
        while True:
            try:
                job = self._jobs.get(timeout=patience)
            except queue.Empty:
                job = _NOTHING
            if job is None:
                return
            job.run()
            if self._idle is not None:
                patience = self._idle()


class _Job(Generic[T]):
    def __init__(self, fn: Callable[[], T], then: Callable[[T], None] | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._fn = fn
        self._then = then
        self.future: asyncio.Future[T] = self._loop.create_future()

    def run(self) -> None:
        """Run in the thread, and report to the loop."""
        try:
            result = self._fn()
        except BaseException as error:  # noqa: BLE001 - whatever it is, somebody waits for it
            self._report(self._fail, error)
        else:
            self._report(self._succeed, result)

    def _report(self, how: Callable[[_R], None], what: _R) -> None:
        try:
            self._loop.call_soon_threadsafe(how, what)
        except (RuntimeError, ForbiddenOperationError):
            return  # the loop is closed, or an orchestrator's, which refuses: nobody waits, and the thread goes on

    def _succeed(self, result: T) -> None:
        try:
            if self._then is not None:
                self._then(result)
        finally:
            if not self.future.done():
                self.future.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


def _last() -> None:
    """Stand at the end of the queue."""


class _NoJob:
    def run(self) -> None:
        """Do nothing: the thread woke up by itself."""


_R = TypeVar("_R")
_AnyJob: TypeAlias = "_Job[object] | _NoJob"
_NOTHING = _NoJob()
