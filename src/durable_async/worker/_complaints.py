"""What is said in the log while a store is away."""

from __future__ import annotations

import logging

from durable_async.environment import Environment
from durable_async.errors import BackendUnavailableError

AGAIN_SECONDS = 30.0

_log = logging.getLogger("durable_async")


class Complaints:
    """Says once that something cannot be done, again after a while, and when it can be done again: not at each attempt."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._began: dict[str, float] = {}
        self._said: dict[str, float] = {}

    def cannot(self, act: str, error: BackendUnavailableError) -> None:
        """Say that an attempt failed, unless that was said a moment ago."""
        now = self._environment.monotonic()
        self._began.setdefault(act, now)
        if act in self._said and now - self._said[act] < AGAIN_SECONDS:
            return
        self._said[act] = now
        _log.warning("cannot %s: %s", act, error)

    def can(self, act: str) -> None:
        """Say that an attempt succeeded, if others failed before."""
        if act not in self._said:
            return
        del self._said[act]
        seconds = self._environment.monotonic() - self._began.pop(act)
        _log.warning("can %s again, after %.1f s", act, seconds)
