"""Wake-ups: after each commit of this process, and when the file shows that another process wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from durable_async.environment import Environment

_ACTIVE_SECONDS = 0.006
_IDLE_SECONDS = 0.25
_BACK_OFF = 1.25


class Hints:
    """Whoever listens in this process."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: dict[object, _Listener] = {}

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Call listeners on this loop from now on."""
        self._loop = loop

    def close(self) -> None:
        """Call nobody any more."""
        self._loop = None
        self._listeners.clear()

    def listen(
        self, on_work: Callable[[], None], on_changed: Callable[[frozenset[str] | None], None]
    ) -> Callable[[], None]:
        """Add a listener; returns how to take it out."""
        key = object()
        self._listeners[key] = _Listener(on_work, on_changed)

        def stop() -> None:
            self._listeners.pop(key, None)

        return stop

    def give(self, brought_work: bool, changed: set[str] | None) -> None:
        """Tell listeners, from any thread; ``None`` means that anything may have changed."""
        if not self._listeners or not (brought_work or changed is None or changed):
            return
        loop = self._loop
        if loop is None:
            return
        ids = None if changed is None else frozenset(changed)
        try:
            loop.call_soon_threadsafe(self._tell, brought_work, ids)
        except RuntimeError:
            return  # the loop is closed: nobody listens any more

    def _tell(self, brought_work: bool, changed: frozenset[str] | None) -> None:
        for listener in list(self._listeners.values()):
            if brought_work:
                listener.on_work()
            if changed is None or changed:
                listener.on_changed(changed)


class _Listener:
    __slots__ = ("on_changed", "on_work")

    def __init__(
        self, on_work: Callable[[], None], on_changed: Callable[[frozenset[str] | None], None]
    ) -> None:
        self.on_work = on_work
        self.on_changed = on_changed


class Watch:
    """Looks whether another connection has written, often while things move and seldom while they do not.

    SQLite counts foreign commits for each connection. The count is read on the writing connection, because there one's own
    commits are not foreign.
    """

    def __init__(
        self, data_version: Callable[[], int | None], hints: Hints, environment: Environment
    ) -> None:
        self._data_version = data_version
        self._hints = hints
        self._environment = environment
        self._seen: int | None = None
        self._pause_seconds = _ACTIVE_SECONDS
        self._due = 0.0

    def look(self) -> float:
        """Look if it is time to, hint if there was something, and return the seconds until the next look."""
        now = self._environment.monotonic()
        if now < self._due:
            if self._due - now > _ACTIVE_SECONDS:  # a verb ran just now: an answer may follow soon
                self._pause_seconds = _ACTIVE_SECONDS
                self._due = now + _ACTIVE_SECONDS
            return self._due - now
        self._pause_seconds = min(self._pause_seconds * _BACK_OFF, _IDLE_SECONDS)
        version = self._data_version()
        if version is not None and version != self._seen:
            if self._seen is not None:
                self._hints.give(True, None)
                self._pause_seconds = _ACTIVE_SECONDS
            self._seen = version
        self._due = now + self._pause_seconds
        return self._pause_seconds
