"""Wake-ups: after each commit of this process, and when the file shows that another process wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set as AbstractSet
from typing import NamedTuple

from durable_async.environment import Environment

_ACTIVE_SECONDS = 0.006
_IDLE_SECONDS = 0.25
_BACK_OFF = 1.25

_QUIET_SECONDS = 1.0
_QUIET_AFTER_SECONDS = 60.0
"""Where others ring, a file that nobody else has written to for so long is looked at once a second: in case a ring is lost."""

_BETWEEN_SECONDS = 0.0005
_BETWEEN_SECONDS_MAX = 0.004
"""Between two looks after rings; longer while there is always another ring, so that many commits become one look."""


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
        self,
        on_work: Callable[[], None],
        on_changed: Callable[[frozenset[str] | None], None],
        on_progress: Callable[[frozenset[str] | None], None] | None = None,
    ) -> Callable[[], None]:
        """Add a listener; returns how to take it out."""
        key = object()
        self._listeners[key] = _Listener(on_work, on_changed, on_progress)

        def stop() -> None:
            self._listeners.pop(key, None)

        return stop

    def give(
        self, brought_work: bool, changed: set[str] | None, progress: AbstractSet[str] = frozenset()
    ) -> None:
        """Tell listeners, from any thread, or with the next turn of their loop if called there; ``None`` means that anything may have changed."""
        if not self._listeners or not (brought_work or changed is None or changed or progress):
            return
        loop = self._loop
        if loop is None:
            return
        ids = None if changed is None else frozenset(changed)
        is_here = asyncio._get_running_loop() is loop  # noqa: SLF001 - the public one raises where there is none
        call = loop.call_soon if is_here else loop.call_soon_threadsafe
        try:
            call(self._tell, brought_work, ids, frozenset(progress))
        except RuntimeError:
            return  # the loop is closed: nobody listens any more

    def _tell(
        self, brought_work: bool, changed: frozenset[str] | None, progress: frozenset[str]
    ) -> None:
        for listener in list(self._listeners.values()):
            if brought_work:
                listener.on_work()
            if changed is None or changed:
                listener.on_changed(changed)
            if progress and listener.on_progress is not None:
                listener.on_progress(progress)


class _Listener(NamedTuple):
    on_work: Callable[[], None]
    on_changed: Callable[[frozenset[str] | None], None]
    on_progress: Callable[[frozenset[str] | None], None] | None


class Watch:
    """Looks whether another connection has written: when somebody rings, and now and then for those whose ring was lost.

    Where nobody rings, it looks often while things move and seldom while they do not. SQLite counts foreign commits for each
    connection. The count is read on the writing connection, because there one's own commits are not foreign.
    """

    def __init__(
        self, data_version: Callable[[], int | None], hints: Hints, environment: Environment
    ) -> None:
        self._data_version = data_version
        self._hints = hints
        self._environment = environment
        self._seen: int | None = None
        self._relies_on_rings = False
        self._stirred_at = environment.monotonic()
        self._pause_seconds = _ACTIVE_SECONDS
        self._between_seconds = _BETWEEN_SECONDS
        self._looked_at = float("-inf")
        self._due = 0.0
        self._is_rung = False
        self._is_late = False

    def begin(self) -> None:
        """Take what is there for known: all that comes after this is news."""
        self._seen = self._data_version()

    def rely_on_rings(self) -> None:
        """Look seldom by oneself from now on: whoever writes will ring."""
        self._relies_on_rings = True

    def ring(self) -> None:
        """Have the next ``look`` be one, from any thread."""
        self._is_rung = True

    def look(self) -> float:
        """Look if it is time to, hint if there was something, and return the seconds until the next look."""
        now = self._environment.monotonic()
        early = self._early(now)
        if early > 0:
            return early
        self._looked_at = now
        # Before the look: who rings after it has written something more.
        is_rung, self._is_rung = self._is_rung, False
        has_news = self._has_news()
        if is_rung or has_news:
            self._stirred_at = now
        self._pause_seconds = self._next_pause(now, has_news)
        self._due = now + self._pause_seconds
        return self._pause_seconds

    def _has_news(self) -> bool:
        """Look, and hint if somebody else has written."""
        version = self._data_version()
        if version is None or version == self._seen:
            return False
        is_first, self._seen = self._seen is None, version
        if not is_first:
            self._hints.give(True, None)
        return not is_first

    def _next_pause(self, now: float, has_news: bool) -> float:
        if self._relies_on_rings:
            is_quiet = now - self._stirred_at >= _QUIET_AFTER_SECONDS
            return _QUIET_SECONDS if is_quiet else _IDLE_SECONDS
        if has_news:
            return _ACTIVE_SECONDS
        return min(self._pause_seconds * _BACK_OFF, _IDLE_SECONDS)

    def _early(self, now: float) -> float:
        """Return how many seconds too early it is."""
        if self._is_rung:
            early = self._looked_at + self._between_seconds - now
            if early > 0:
                self._is_late = True
                return early
            wanted = self._between_seconds * 2 if self._is_late else _BETWEEN_SECONDS
            self._between_seconds = min(wanted, _BETWEEN_SECONDS_MAX)
            self._is_late = False
            return 0.0
        if not self._relies_on_rings and self._due - now > _ACTIVE_SECONDS:
            # A verb ran just now: an answer may follow soon.
            self._pause_seconds = _ACTIVE_SECONDS
            self._due = now + _ACTIVE_SECONDS
        return self._due - now
