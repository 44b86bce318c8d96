"""The watchdog: interrupts a turn whose code blocks the event loop and does not come back."""

from __future__ import annotations

import ctypes
import sys
import threading
import traceback
from types import TracebackType

from durable_async.environment import Environment, Stoppable
from durable_async.errors import TurnBudgetError

FRAMES_SHOWN = 6


class TurnInterruptedError(BaseException):
    """Unwinds the code of a turn that took too long; never leaves the watchdog."""


class Watchdog:
    """Watches one thread's turns from another thread.

    Args:
        environment: Gives the clock and the thread.
        limit_seconds: Longest time of a turn.
    """

    def __init__(self, environment: Environment, limit_seconds: float) -> None:
        self._environment = environment
        self._limit = limit_seconds
        self._lock = threading.Lock()
        self._thread = threading.get_ident()
        self._watched: str | None = None
        self._since = 0.0
        self._stack: str | None = None

    def start(self) -> Stoppable:
        """Begin to look, four times per limit."""
        return self._environment.every(self._limit / 4, self._look, "durable-async-watchdog")

    def watching(self, instance_id: str) -> Watchdog:
        """Say whose turn comes; use it in a ``with`` statement around the turn."""
        self._watched = instance_id
        return self

    def __enter__(self) -> None:
        self._since = self._environment.monotonic()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        instance_id = self._watched
        with self._lock:
            self._watched = None
            stack, self._stack = self._stack, None
        if stack is not None and instance_id is not None:
            # Whether or not the interruption arrived, and whatever the code made of it: it must not arrive later.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), None)
            raise TurnBudgetError(
                instance_id, f"it ran for more than {self._limit:g} s", stack
            ) from error

    def _look(self) -> None:
        with self._lock:
            if self._watched is None or self._stack is not None:
                return
            if self._environment.monotonic() - self._since <= self._limit:
                return
            frame = sys._current_frames().get(self._thread)  # noqa: SLF001 - there is no other way
            self._stack = "".join(traceback.format_stack(frame)[-FRAMES_SHOWN:])
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread), ctypes.py_object(TurnInterruptedError)
            )
