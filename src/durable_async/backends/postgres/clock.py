"""The server's clock, followed by this process's own between two answers."""

from __future__ import annotations

from durable_async.environment import Environment

_WINDOW_US = 30_000_000
_NEVER = -(2**62)


class ServerClock:
    """An estimate of the server's clock that does not run ahead of it, so that no timer fires early.

    An answer's time is taken to be that of its arrival; the estimate is then late by no more than the way of that answer. Of the answers of
    the last half minute or so the one counts whose way was the shortest; older ones are forgotten, because two clocks drift apart.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._offset_us = _NEVER
        self._fresh_us = _NEVER
        self._fresh_since_us = 0
        self._last_us = 0

    def hear(self, server_us: int) -> None:
        """Take in the server's time, as soon as its answer arrives."""
        own_us = self._own_us()
        offset_us = server_us - own_us
        if own_us - self._fresh_since_us > _WINDOW_US:
            self._offset_us = self._fresh_us
            self._fresh_us = _NEVER
            self._fresh_since_us = own_us
        self._fresh_us = max(self._fresh_us, offset_us)
        self._offset_us = max(self._offset_us, offset_us)

    def now_us(self) -> int:
        """Return microseconds since the epoch; never goes back."""
        if self._offset_us == _NEVER:
            now_us = self._environment.now_us()
        else:
            now_us = self._own_us() + self._offset_us
        self._last_us = max(self._last_us, now_us)
        return self._last_us

    def _own_us(self) -> int:
        return int(self._environment.monotonic() * 1_000_000)
