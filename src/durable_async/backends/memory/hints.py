"""Wake-ups: what a verb changed, and who wants to hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

OnWork = Callable[[], None]
OnChanged = Callable[[frozenset[str] | None], None]
OnProgress = Callable[[frozenset[str] | None], None]


class Hints:
    """What happened since the last hint went out.

    Attributes:
        work: Whether there may be something to claim, or mail for an owner.
        changed: Ids of what ended, or changed its state, and of what was answered.
        progress: Ids of orchestrations whose status changed otherwise.
    """

    def __init__(self) -> None:
        self.work = False
        self.changed: dict[str, None] = {}
        self.progress: dict[str, None] = {}
        self._listeners: dict[Listener, None] = {}

    def add(self, listener: Listener) -> None:
        """Let somebody listen."""
        self._listeners[listener] = None

    def remove(self, listener: Listener) -> None:
        """Let somebody stop listening."""
        self._listeners.pop(listener, None)
        listener.stopped = True

    def publish(self) -> None:
        """Tell all listeners, soon, each on its own event loop."""
        if not self.work and not self.changed and not self.progress:
            return
        for listener in tuple(self._listeners):
            listener.note(work=self.work, changed=self.changed, progress=self.progress)
        self.work = False
        self.changed = {}
        self.progress = {}


class Listener:
    """One who listens: hints that come before it is called are merged into one call."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_work: OnWork,
        on_changed: OnChanged,
        on_progress: OnProgress | None,
    ) -> None:
        self.stopped = False
        self._loop = loop
        self._on_work = on_work
        self._on_changed = on_changed
        self._on_progress = on_progress
        self._work = False
        self._changed: dict[str, None] = {}
        self._progress: dict[str, None] = {}

    def note(self, *, work: bool, changed: dict[str, None], progress: dict[str, None]) -> None:
        """Take a hint and pass it on soon."""
        idle = not self._work and not self._changed and not self._progress
        self._work |= work
        self._changed |= changed
        self._progress |= progress
        if idle and not self._loop.is_closed():
            if self._loop is asyncio.get_running_loop():
                self._loop.call_soon(self._pass_on)
            else:
                self._loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        work, self._work = self._work, False
        changed, self._changed = self._changed, {}
        progress, self._progress = self._progress, {}
        if work and not self.stopped:
            self._on_work()
        if changed and not self.stopped:
            self._on_changed(frozenset(changed))
        if progress and self._on_progress is not None and not self.stopped:
            self._on_progress(frozenset(progress))
