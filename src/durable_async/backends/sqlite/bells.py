"""Bells: each open backend has a named pipe beside the file, and whoever has committed something writes a byte into those of the others.

A ring says only that it is worth a look at the file, so one that is lost costs no more than the time until the next look. Where there are
no named pipes, nobody rings, and everybody looks more often.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from durable_async.environment import Environment

from .forks import close_in_child

_TRIES = 3
_SETTLED_NS = 2_000_000_000
"""A folder that was changed just now may change again and bear the same time: it is listed again until that cannot be."""

_RING = b"!"
_MANY_RINGS = 65_536


class Bells:
    """The bells at one file: one's own, and those of others as seen from here."""

    def __init__(self, folder: Path, environment: Environment) -> None:
        self._folder = folder
        self._environment = environment
        self._own: _Bell | None = None
        self._others: dict[str, int] = {}
        self._listed_ns: int | None = None

    def hang(self) -> bool:
        """Make one's own bell, and clear away those of the dead; False where there are no named pipes."""
        if self._own is None and hasattr(os, "mkfifo"):
            self._own = _Bell.hang(self._folder, self._environment.new_id())
        if self._own is None:
            return False
        self._list()
        return True

    def attend(self, loop: asyncio.AbstractEventLoop, on_ring: Callable[[], None]) -> bool:
        """Call on the loop whenever somebody has rung; False if nothing will ever be heard."""
        return self._own is not None and self._own.attend(loop, on_ring)

    def leave(self) -> None:
        """Hear nothing any more; to be called on the loop."""
        if self._own is not None:
            self._own.leave()

    def take_down(self) -> None:
        """Remove one's own bell, and ring nobody any more."""
        own, self._own = self._own, None
        if own is not None:
            own.take_down()
        for name in list(self._others):
            self._forget(name)

    def ring(self) -> None:
        """Ring the others' bells; to be called after a commit, by the thread that wrote."""
        if self._own is None:
            return
        if self._has_changed():
            self._list()
        for name, fd in list(self._others.items()):
            try:
                os.write(fd, _RING)
            except BlockingIOError:
                continue  # full of rings that it has not heard yet: it will look
            except OSError:
                self._forget(name)  # nobody listens any more

    def _has_changed(self) -> bool:
        try:
            return self._folder.stat().st_mtime_ns != self._listed_ns
        except OSError:
            return bool(self._others)

    def _list(self) -> None:
        try:
            changed_ns = self._folder.stat().st_mtime_ns
            names = {name for name in os.listdir(self._folder) if name.endswith(_Bell.SUFFIX)}
        except OSError:
            changed_ns, names = 0, set()
        age_ns = self._environment.now_us() * 1_000 - changed_ns
        self._listed_ns = changed_ns if age_ns > _SETTLED_NS else None
        names -= {self._own.name} if self._own is not None else set()
        for name in self._others.keys() - names:
            self._forget(name)
        for name in names - self._others.keys():
            self._meet(name)

    def _meet(self, name: str) -> None:
        path = self._folder / name
        try:
            self._others[name] = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nobody has it open: its process is dead
                with suppress(OSError):  # what has been committed must not seem to have failed
                    path.unlink()

    def _forget(self, name: str) -> None:
        os.close(self._others.pop(name))


class _Bell:
    """A named pipe that is open for reading, under a name that others find only now."""

    SUFFIX = ".bell"

    def __init__(self, path: Path, fds: list[int]) -> None:
        self.name = path.name
        self._path = path
        self._fds = fds
        self._loop: asyncio.AbstractEventLoop | None = None
        close_in_child(self)

    @classmethod
    def hang(cls, folder: Path, name: str) -> _Bell | None:
        """Make a pipe; ``None`` where that cannot be."""
        path, hidden = folder / f"{name}{cls.SUFFIX}", folder / f"{name}.new"
        for _ in range(_TRIES):
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
                os.mkfifo(hidden, 0o600)
            except FileNotFoundError:
                continue  # whoever was the last here removed the folder just now
            except OSError:
                return None
            # Open for writing, too, so that it never comes to an end when another who has written leaves.
            fds = [os.open(hidden, way | os.O_NONBLOCK) for way in (os.O_RDONLY, os.O_WRONLY)]
            hidden.rename(path)
            return cls(path, fds)
        return None

    def attend(self, loop: asyncio.AbstractEventLoop, on_ring: Callable[[], None]) -> bool:
        """Call whenever it was rung, however often."""
        fd = self._fds[0]

        def hear() -> None:
            with suppress(BlockingIOError):
                os.read(fd, _MANY_RINGS)
            on_ring()

        try:
            loop.add_reader(fd, hear)
        except NotImplementedError:
            return False
        self._loop = loop
        return True

    def leave(self) -> None:
        """Stop calling."""
        if self._loop is not None:
            self._loop.remove_reader(self._fds[0])
            self._loop = None

    def close(self) -> None:
        """Let go of it without a trace in the folder or the loop."""
        while self._fds:
            os.close(self._fds.pop())

    def take_down(self) -> None:
        """Remove it, then let go of it."""
        self._path.unlink(missing_ok=True)
        self.close()
