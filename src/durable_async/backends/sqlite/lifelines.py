"""Signs of life: a worker holds a lock on a small file, and the operating system lets go of it when the process dies.

A kill -9 is thus noticed at the next sweep instead of at the end of a lease. Where there are no such locks, leases alone tell.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import threading
from pathlib import Path
from typing import Protocol, cast

from durable_async.errors import ConfigurationError

from .forks import close_in_child

_TRIES = 50
_PAUSE_SECONDS = 0.002


class _Flock(Protocol):
    LOCK_EX: int
    LOCK_NB: int

    def flock(self, fd: int, operation: int, /) -> None: ...


def _load_flock() -> _Flock | None:
    try:
        return cast("_Flock", importlib.import_module("fcntl"))
    except ImportError:
        return None


_FLOCK = _load_flock()


class Lifelines:
    """The signs of life beside one database file: those held here, and those of others as seen from here.

    A file is only ever deleted by whoever holds its lock, so never under a living worker.
    """

    supported = _FLOCK is not None

    def __init__(self, folder: Path, hub: str) -> None:
        self._folder = folder
        self._hub = hub
        self._held: dict[str, _HeldFile] = {}

    def hold(self, worker_id: str) -> bool:
        """Begin to show that a worker of this process lives; False where that is not possible.

        Raises:
            ConfigurationError: The folder belongs to another user, whose workers could not see this one, nor it them.
        """
        if _FLOCK is None:
            return False
        try:
            return self._show(worker_id)
        except PermissionError as error:
            raise ConfigurationError(
                f"no permission to write into {self._folder}: all workers on one SQLite file have to run as the same user"
            ) from error

    def _show(self, worker_id: str) -> bool:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._path(worker_id)
        pause = threading.Event()
        held = _HeldFile.take(path)
        for _ in range(_TRIES):
            if held is not None:
                break
            pause.wait(_PAUSE_SECONDS)  # others hold it only while they ask whether somebody does
            held = _HeldFile.take(path)
        if held is None:
            return False
        os.write(held.fd, f"{worker_id}\npid {os.getpid()}\n".encode())
        self._held[worker_id] = held
        return True

    def drop(self, worker_id: str) -> None:
        """Withdraw a sign that is held here, if it is."""
        held = self._held.pop(worker_id, None)
        if held is not None:
            held.delete()

    def drop_all(self) -> None:
        """Withdraw every sign that is held here, and the folder with the last."""
        for worker_id in list(self._held):
            self.drop(worker_id)
        try:
            self._folder.rmdir()
        except OSError:
            return  # others are alive, or there never was one

    def held(self) -> list[str]:
        """List the workers whose signs are held here."""
        return list(self._held)

    def sweep(self) -> None:
        """Delete the files that processes left when they died."""
        if _FLOCK is not None and self._folder.is_dir():
            for path in self._folder.glob("*.lock"):
                held = _HeldFile.take(path, create=False)
                if held is not None:
                    held.delete()

    def is_gone(self, worker_id: str) -> bool:
        """Tell whether a worker that showed a sign of life shows none any more."""
        if _FLOCK is None or worker_id in self._held:
            return False
        path = self._path(worker_id)
        if not path.exists():
            return True
        held = _HeldFile.take(path, create=False)
        if held is None:
            return not path.exists()
        held.close()
        return True

    def clean(self, worker_id: str) -> None:
        """Delete what a dead worker left; nothing if its process still holds it."""
        if _FLOCK is None:
            return
        held = _HeldFile.take(self._path(worker_id), create=False)
        if held is not None:
            held.delete()

    def _path(self, worker_id: str) -> Path:
        digest = hashlib.sha256(f"{self._hub}\n{worker_id}".encode()).hexdigest()
        return self._folder / f"{digest[:32]}.lock"


class _HeldFile:
    """An open file with an exclusive lock that belongs to this opening of it alone."""

    def __init__(self, fd: int, path: Path) -> None:
        self.fd = fd
        self._path = path
        close_in_child(self)  # a child shares the lock, and would keep a dead parent looking alive

    @classmethod
    def take(cls, path: Path, *, create: bool = True) -> _HeldFile | None:
        """Lock a file; ``None`` if it is locked already, or is not there and shall not be created."""
        assert _FLOCK is not None
        while True:
            try:
                fd = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
            except FileNotFoundError:
                return None
            try:
                _FLOCK.flock(fd, _FLOCK.LOCK_EX | _FLOCK.LOCK_NB)
            except OSError:
                os.close(fd)
                return None
            if _is_same_file(fd, path):
                return cls(fd, path)
            os.close(fd)  # somebody deleted it between opening and locking

    def close(self) -> None:
        """Let go of the lock and leave the file."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def delete(self) -> None:
        """Delete the file, then let go of the lock."""
        self._path.unlink(missing_ok=True)
        self.close()


def _is_same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
