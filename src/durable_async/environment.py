"""The one door to the world: clock, ids, chance, threads, and who this process is.

The engine asks nothing of the machine except through an `Environment`, so that whoever builds it decides what is real:
`SystemEnvironment` in production, `durable_async.testing.VirtualEnvironment` in tests and simulation. Sleeping and timeouts are
not here: they are anyio's, and follow the event loop.
"""

from __future__ import annotations

import contextvars
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

from durable_async.errors import ValidationError, shown

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = logging.getLogger("durable_async")


class Stoppable(Protocol):
    """Something that goes on in the background until it is stopped."""

    def stop(self) -> None:
        """Ask for no further call, and return at once. Any thread may ask, the running call too, and as often as it likes."""
        ...

    async def join(self) -> None:
        """Wait until no call is running and none will come. Call ``stop`` first; cancelling gives up the wait."""
        ...


class Environment(Protocol):
    """What the engine may ask of the world."""

    def now_us(self) -> int:
        """Return microseconds since the epoch, UTC. The clock may be wrong, and may go back."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back; only differences mean anything."""
        ...

    def new_id(self) -> str:
        """Return 32 hex digits that no other call on any machine returns."""
        ...

    def random(self) -> random.Random:
        """Return the source of chance, for jitter and the like: draw from it, never seed it."""
        ...

    async def run_in_thread(
        self,
        fn: Callable[[*Ts], T],
        *args: *Ts,
        limiter: anyio.CapacityLimiter | None = None,
        abandon_on_cancel: bool = False,
    ) -> T:
        """Call a blocking function without blocking the event loop.

        The call holds a token of the limiter, anyio's own by default, while it runs. Cancelling waits for its end, unless
        ``abandon_on_cancel`` leaves it to end on its own, unseen.
        """
        ...

    def every(self, seconds: float, fn: Callable[[], None], name: str) -> Stoppable:
        """Call a function again and again, off the event loop, so that nobody who blocks the loop can delay it.

        The first call comes after ``seconds``, each further one ``seconds`` after the start of the one before. Calls never
        overlap: one that lasts longer is followed at once, and what was missed is not made up for. The function sees the context
        variables of the caller and no running event loop. An exception is logged, and the calls go on.

        Raises:
            ValidationError: ``seconds`` is not positive.
        """
        ...

    def pid(self) -> int:
        """Return the id of this process; a forked child has another."""
        ...

    def hostname(self) -> str:
        """Return the name of this machine."""
        ...


class SystemEnvironment:
    """The real world."""

    def __init__(self) -> None:
        # The system's source holds no state that two threads or a forked child could share.
        self._random = random.SystemRandom()

    def now_us(self) -> int:
        """Return microseconds since the epoch, by the system's clock."""
        return time.time_ns() // 1_000

    # The system's function itself: it is asked several times a turn, and a method of ours would cost more than the clock.
    monotonic = staticmethod(time.monotonic)

    def new_id(self) -> str:
        """Return the millisecond and 80 random bits in hex, so that ids made one after the other lie side by side in an index."""
        return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"

    def random(self) -> random.Random:
        """Return the operating system's source of chance."""
        return self._random

    async def run_in_thread(
        self,
        fn: Callable[[*Ts], T],
        *args: *Ts,
        limiter: anyio.CapacityLimiter | None = None,
        abandon_on_cancel: bool = False,
    ) -> T:
        """Call a function in a thread of anyio's."""
        return await anyio.to_thread.run_sync(
            fn, *args, limiter=limiter, abandon_on_cancel=abandon_on_cancel
        )

    def every(self, seconds: float, fn: Callable[[], None], name: str) -> Stoppable:
        """Start a daemon thread that calls a function until it is stopped."""
        check_interval(seconds)
        return _RepeatingThread(seconds, fn, name)

    def pid(self) -> int:
        """Return the process id."""
        return os.getpid()

    def hostname(self) -> str:
        """Return the name that the system has for this machine."""
        return socket.gethostname()


def check_interval(seconds: float) -> None:
    """Refuse an interval in which time would stand still.

    Raises:
        ValidationError: It is not positive.
    """
    if not seconds > 0:
        raise ValidationError("seconds", f"an interval must be positive, not {shown(seconds)}")


def next_due(due: float, seconds: float, now: float) -> float:
    """Say when the next call is due, after one that was due at ``due`` and has ended at ``now``."""
    return max(due + seconds, now)


class _RepeatingThread:
    def __init__(self, seconds: float, fn: Callable[[], None], name: str) -> None:
        self._seconds = seconds
        self._fn = fn
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._run,), name=name, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    async def join(self) -> None:
        # A limiter of its own: blocking activities may hold every token of the default one.
        await anyio.to_thread.run_sync(
            self._thread.join, limiter=anyio.CapacityLimiter(1), abandon_on_cancel=True
        )

    def _run(self) -> None:
        due = time.monotonic() + self._seconds
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            try:
                self._fn()
            except Exception:  # noqa: BLE001 - one failure must not end the calls, such as a lease's renewal
                _log.exception("%s failed; it is called again", self._thread.name)
            due = next_due(due, self._seconds, time.monotonic())
