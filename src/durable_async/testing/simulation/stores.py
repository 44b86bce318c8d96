"""Homes of what a simulated system keeps: a store in memory, or a file. Each process gets a backend of its own to it."""

from __future__ import annotations

import contextvars
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol, TypeVar

from durable_async.backend import Backend
from durable_async.backends.memory import MemoryBackend, MemoryStore
from durable_async.backends.memory.state import HubState
from durable_async.backends.sqlite import SqliteBackend
from durable_async.testing.clock import VirtualEnvironment

T = TypeVar("T")


def at_once(call: Coroutine[Any, Any, T]) -> T:
    """Carry out a verb of a store that awaits nothing, as the server would: what it sets going belongs to no process."""
    return contextvars.Context().run(_finish, call)


def _finish(call: Coroutine[Any, Any, T]) -> T:
    try:
        call.send(None)
    except StopIteration as end:
        answer: T = end.value
        return answer
    call.close()
    raise AssertionError("a store of the simulation awaits nothing")


class Home(Protocol):
    """Where everything is."""

    is_shared: bool
    """Whether processes hear of each other by the store itself."""
    goes_by_own_clock: bool
    """Whether it has a clock of its own, or goes by those of the processes."""

    @property
    def place(self) -> Any:
        """The store, for whoever looks into it."""
        ...

    @property
    def memory(self) -> HubState | None:
        """Its rows, where they are in memory."""
        ...

    def backend(self, env: VirtualEnvironment) -> Backend:
        """Return the backend of a new process."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class MemoryHome:
    """A store in memory."""

    is_shared = True
    goes_by_own_clock = True

    def __init__(self, env: VirtualEnvironment) -> None:
        self.place = MemoryStore(env)
        self.memory = self.place.hub("default")

    def backend(self, env: VirtualEnvironment) -> Backend:
        """Return the backend of a new process."""
        return MemoryBackend(self.place)

    def close(self) -> None:
        """Let go of nothing."""


class SqliteHome:
    """A store in a file, in a folder that is made for it."""

    is_shared = False
    goes_by_own_clock = False
    memory = None

    def __init__(self, env: VirtualEnvironment) -> None:
        self._env = env
        self._folder = Path(tempfile.mkdtemp(prefix="durable-async-"))
        self.place = self._folder / "hub.db"

    def backend(self, env: VirtualEnvironment) -> Backend:
        """Return the backend of a new process; all are on one machine, whose clock is one."""
        return SqliteBackend(self.place, environment=self._env, inline=True)

    def close(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)


HOMES: dict[str, type[MemoryHome | SqliteHome]] = {
    "memory": MemoryHome,
    "sqlite": SqliteHome,
}
