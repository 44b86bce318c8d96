"""The watchdog: interrupts a turn whose code blocks the event loop and does not come back."""

from __future__ import annotations

import ctypes
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from durable_async.environment import Environment, Stoppable
from durable_async.errors import TurnBudgetError
from durable_async.telemetry.logs import about

_log = logging.getLogger("durable_async")

P = ParamSpec("P")
T = TypeVar("T")

FRAMES_SHOWN = 6
WARN_SECONDS = 2.0
"""A turn that blocks the event loop for longer is warned of."""
STEPS_TO_ARRIVE = 1_000_000
"""An interruption arrives after a few steps of a loop; so many it will never take."""


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
        self._monotonic = environment.monotonic
        self._limit = limit_seconds
        self._lock = threading.Lock()
        self._thread = threading.get_ident()
        self._instance_id = ""
        self._watched = False
        self._since = 0.0
        self._stack: str | None = None

    def start(self) -> Stoppable:
        """Begin to look, four times per limit."""
        return self._environment.every(self._limit / 4, self._look, "durable-async-watchdog")

    def watch(self, instance_id: str, turn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a turn, under watch.

        Raises:
            TurnBudgetError: It took too long.
        """
        self._instance_id = instance_id
        try:
            # Before it is watched: a look in between would find the turn before.
            self._since = self._monotonic()
            self._watched = True
            try:
                result = turn(*args, **kwargs)
            except BaseException as error:
                late = self._end()
                if late is None:
                    raise
                raise late from error
            late = self._end()
        except TurnInterruptedError as error:
            # It arrived between the end of the turn and the end of the watch.
            raise self._end() or self._too_long("") from error
        if late is not None:
            raise late
        seconds = self._monotonic() - self._since
        if seconds > WARN_SECONDS:
            _log.warning(
                "a turn of %s blocked the event loop for %.1f s, and is interrupted at %g s: compute in an activity",
                instance_id,
                seconds,
                self._limit,
                extra=about(instance_id),
            )
        return result

    def _take_interruption(self) -> None:
        """Let the interruption arrive here, whether or not it did before.

        To withdraw it instead would leave Python 3.11 looking for it for ever, and hanging where code is traced.
        """
        try:
            self._interrupt()
            for _ in range(STEPS_TO_ARRIVE):
                pass
        except TurnInterruptedError:
            pass

    def _end(self) -> TurnBudgetError | None:
        """End the watch; whether or not an interruption arrived, and whatever the code made of it, it must not arrive later."""
        with self._lock:
            self._watched = False
            stack, self._stack = self._stack, None
        if stack is None:
            return None
        self._take_interruption()
        return self._too_long(stack)

    def _too_long(self, stack: str) -> TurnBudgetError:
        return TurnBudgetError(self._instance_id, f"it ran for more than {self._limit:g} s", stack)

    def _look(self) -> None:
        with self._lock:
            if not self._watched:
                return
            now = self._monotonic()
            if now - self._since <= self._limit:
                return
            self._since = now  # what goes on in a handler of its own has as long again
            if self._stack is None:
                frame = sys._current_frames().get(self._thread)  # noqa: SLF001 - there is no other way
                self._stack = "".join(traceback.format_stack(frame)[-FRAMES_SHOWN:])
            self._interrupt()

    def _interrupt(self) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(self._thread), ctypes.py_object(TurnInterruptedError)
        )
