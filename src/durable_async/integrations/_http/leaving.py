"""Leaving: what waits for long makes room when the server is to exit, or when nobody is there any more to be told.

Servers wait for their connections before they tell the application that it is over, and an open stream would make them wait for ever.
So once a second it is looked for all who wait whether the server has been told to exit. No signal handler is taken: uvicorn's own is looked
at, which knows its server; aiohttp tells its applications by itself.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import anyio

LOOK_SECONDS = 1.0


class Leaving:
    """Those who wait on behalf of one server, and whether it is about to exit."""

    def __init__(self) -> None:
        self._waiting: dict[anyio.CancelScope, Callable[[], bool]] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._told = False

    @property
    def is_near(self) -> bool:
        """Whether the server is about to exit."""
        return self._told or _uvicorn_is_exiting()

    def tell(self) -> None:
        """Let go all who wait, now and from now on."""
        self._told = True
        self._let_go()

    @contextmanager
    def interrupting(self, is_gone: Callable[[], bool]) -> Generator[None]:
        """Leave the block early, and in silence, if the server is about to exit or the caller is gone."""
        with anyio.CancelScope() as scope:
            if self.is_near:
                scope.cancel()
            self._waiting[scope] = is_gone
            self._look_later()
            try:
                yield
            finally:
                del self._waiting[scope]
                if not self._waiting and self._alarm is not None:
                    self._alarm.cancel()
                    self._alarm = None

    def _look_later(self) -> None:
        if self._alarm is None and self._waiting:
            self._alarm = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._alarm = None
        if self.is_near:
            self._let_go()
            return
        for scope, is_gone in self._waiting.items():
            if is_gone():
                scope.cancel()
        self._look_later()

    def _let_go(self) -> None:
        for scope in self._waiting:
            scope.cancel()


def _uvicorn_is_exiting() -> bool:
    """Tell whether the server whose handler waits for signals is on its way out."""
    handlers = map(signal.getsignal, (signal.SIGTERM, signal.SIGINT))
    return any(_is_exiting(getattr(handler, "__self__", None)) for handler in handlers)


def _is_exiting(server: Any) -> bool:
    """Tell whether it was told to, or listens no more: after ``--limit-max-requests`` it tells nobody."""
    told = getattr(server, "should_exit", None)
    if not isinstance(told, bool):
        return False  # some other handler
    listening = getattr(server, "servers", ())
    return told or (bool(listening) and not any(one.is_serving() for one in listening))
