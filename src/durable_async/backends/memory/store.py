"""The state that backends share: what a disk or a server is to the other adapters."""

from __future__ import annotations

import threading
from typing import Protocol

from .state import HubState


class Clock(Protocol):
    """The part of an environment that a store needs."""

    def now_us(self) -> int:
        """Return microseconds since the epoch, UTC."""
        ...


class MemoryStore:
    """Hubs by name, and the one clock that due times and leases are compared with.

    Share it between backends of one thread to have several workers on it. It lasts as long as somebody holds it.

    Attributes:
        lock: Held where leases are judged, as these are renewed from other threads.
    """

    def __init__(self, environment: Clock) -> None:
        self.lock = threading.Lock()
        self._environment = environment
        self._hubs: dict[str, HubState] = {}
        self._last_us = 0

    def hub(self, name: str) -> HubState:
        """Return a hub's state; it is created when it is first asked for."""
        return self._hubs.setdefault(name, HubState())

    def now_us(self) -> int:
        """Return the store's clock, which never goes back."""
        self._last_us = max(self._last_us, self._environment.now_us())
        return self._last_us
