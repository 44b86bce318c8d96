"""VirtualTimeLoop: an asyncio event loop whose time is a number.

It has no selector, so it never waits: when nothing can run, time jumps to the next timer. What runs, runs one step at a time in an
order that is either asyncio's own or drawn from a seed, and each step goes into a digest: two runs with the same digest did the
same things in the same order.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import heapq
import math
import random
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn, TypeVar, TypeVarTuple

from .failures import DeadlockError, NoOutsideWorldError, RunawayError, VirtualTimeoutError
from .ordering import VirtualFuture, VirtualTask, order_cancel_scopes
from .reports import describe_callback, describe_tasks

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STEPS_MAX = 5_000_000
RECENT_STEPS = 20
CANCELLED_TIMERS_KEPT = 100

NODE: ContextVar[str | None] = ContextVar("node", default=None)
"""Which simulated process a step belongs to. Tasks and timers inherit it from whoever started them."""


def _refuse(operation: str) -> Any:
    def refused(*_args: object, **_options: object) -> NoReturn:
        raise NoOutsideWorldError(operation)

    return refused


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """An event loop in virtual time; a factory for ``asyncio.Runner`` as it stands.

    Time begins at 0 and moves only when nothing can run. ``run_in_executor`` calls the function on the spot. Real threads may
    use ``call_soon_threadsafe``, but the loop does not wait for them.

    A subclass that overrides ``_take`` decides what runs next: the steps of a node that is dead can be dropped there, those of a
    frozen one passed over.

    Args:
        seed: Draws the order of whatever can run at the same time; ``None`` keeps asyncio's order.
        steps_max: How many steps may run before the loop gives up.

    Attributes:
        steps: How many have run.
    """

    # Private names of asyncio that its own loops rely on as well.
    _check_closed: Callable[[], None]
    _ready: deque[asyncio.Handle]
    _stopping: bool
    _timer_cancelled_count: int

    def __init__(self, *, seed: int | None = None, steps_max: int = STEPS_MAX) -> None:
        super().__init__()
        order_cancel_scopes()
        self.steps = 0
        self._now = 0.0
        self._ends_at = math.inf
        self._steps_max = steps_max
        self._steps_before_now = 0
        self._chance = None if seed is None else random.Random(f"{seed}:schedule")
        self._timers: list[tuple[float, int, Any]] = []
        self._timer_number = 0
        self._pool: list[asyncio.Handle] = []
        self._task_number = 0
        self._number = 0
        self._digest = hashlib.blake2b(digest_size=16)
        self._recent: deque[str] = deque(maxlen=RECENT_STEPS)

    # -- limits and trace

    def allow(self, *, seconds: float, steps: int | None = None) -> None:
        """Let the run go on for so much virtual time from now, and so many steps."""
        self._ends_at = self._now + seconds
        if steps is not None:
            self._steps_max = self.steps + steps

    def digest(self) -> str:
        """Return a digest of every step so far: its time, its node, what ran."""
        return self._digest.hexdigest()

    # -- what asyncio asks of a loop

    def time(self) -> float:
        """Return seconds of virtual time since the loop was made."""
        return self._now

    def next_number(self) -> int:
        """Return a number that was not given out before, for a stable hash."""
        self._number += 1
        return self._number

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future that hashes the same way in every run."""
        return VirtualFuture(loop=self)

    def create_task(
        self,
        coro: Generator[Any, Any, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: contextvars.Context | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        """Make a task that hashes and is named the same way in every run."""
        if self.get_task_factory() is not None:
            return super().create_task(coro, name=name, context=context, **options)
        self._check_closed()
        self._task_number += 1
        return VirtualTask(
            coro, self._task_number, loop=self, name=name, context=context, **options
        )

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Schedule a callback; those of one moment run in the order of scheduling."""
        self._check_closed()
        self._drop_cancelled_timers()
        handle: Any = asyncio.TimerHandle(when, callback, args, self, context)
        handle._scheduled = True
        self._timer_number += 1
        heapq.heappush(self._timers, (when, self._timer_number, handle))
        timer: asyncio.TimerHandle = handle
        return timer

    def run_in_executor(
        self, executor: Any, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call the function now, in no thread at all, as if it took no time."""
        self._check_closed()
        future: asyncio.Future[T] = self.create_future()
        try:
            with outside_the_loop():
                result = func(*args)
        except Exception as error:  # noqa: BLE001 - whoever awaits the future gets it
            future.set_exception(error)
        else:
            future.set_result(result)
        return future

    def close(self) -> None:
        """Drop whatever is scheduled."""
        self._timers.clear()
        self._pool.clear()
        super().close()

    add_reader = add_signal_handler = add_writer = _refuse("watching a file or a signal")
    connect_read_pipe = connect_write_pipe = _refuse("connecting a pipe")
    create_connection = create_unix_connection = _refuse("connecting to a server")
    create_server = create_unix_server = _refuse("serving a socket")
    create_datagram_endpoint = _refuse("opening a datagram socket")
    getaddrinfo = getnameinfo = _refuse("asking for an address")
    subprocess_exec = subprocess_shell = _refuse("starting a subprocess")

    # -- running

    def _write_to_self(self) -> None:
        """Wake nobody: the loop never sleeps."""

    def _run_once(self) -> None:
        """Run as many steps as can run now; if none can, move time."""
        self._release_timers()
        ran = 0
        for _ in range(len(self._ready) + len(self._pool)):
            if self.steps >= self._steps_max:
                raise self._runaway()
            handle = self._take()
            if handle is None:
                break
            ran += 1
            self._step(handle)
        if not ran and not self._stopping:
            self._jump()

    def _take(self) -> asyncio.Handle | None:
        """Remove and return the step to run next; ``None`` if none can run before time moves."""
        if self._chance is None:
            return self._ready.popleft() if self._ready else None
        # Other threads append to the deque at any moment; the pool is ours, and gives up any place at no cost.
        while self._ready:
            self._pool.append(self._ready.popleft())
        if not self._pool:
            return None
        index = int(self._chance.random() * len(self._pool))
        self._pool[index], self._pool[-1] = self._pool[-1], self._pool[index]
        return self._pool.pop()

    def _step(self, handle: asyncio.Handle) -> None:
        if handle._cancelled:
            return
        self.steps += 1
        node = handle._context.get(NODE)  # type: ignore[attr-defined]
        what = describe_callback(handle._callback)  # type: ignore[attr-defined]
        line = f"{self._now!r} s: {what}" if node is None else f"{self._now!r} s: [{node}] {what}"
        self._note(line)
        handle._run()

    def _note(self, line: str) -> None:
        """Take down what is about to run."""
        self._recent.append(line)
        self._digest.update(f"{line}\n".encode())

    def _jump(self) -> None:
        """Move time to the next timer."""
        when = self._timers[0][0] if self._timers else math.inf
        if when == math.inf:
            raise DeadlockError(self._now, describe_tasks(asyncio.all_tasks(self)))
        if when > self._ends_at:
            self._now = self._ends_at
            raise VirtualTimeoutError(self._now, describe_tasks(asyncio.all_tasks(self)))
        self._now = when
        self._steps_before_now = self.steps

    def _release_timers(self) -> None:
        timers = self._timers
        while timers and (timers[0][0] <= self._now or timers[0][2]._cancelled):
            handle = heapq.heappop(timers)[2]
            handle._scheduled = False
            if handle._cancelled:
                self._timer_cancelled_count -= 1
            else:
                self._ready.append(handle)

    def _drop_cancelled_timers(self) -> None:
        """Forget cancelled timers once they are the most, or timeouts that never fire would pile up."""
        cancelled = self._timer_cancelled_count
        if cancelled > CANCELLED_TIMERS_KEPT and cancelled * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if not entry[2]._cancelled]
            heapq.heapify(self._timers)
            self._timer_cancelled_count = 0

    def _runaway(self) -> RunawayError:
        recent = "\n".join(f"  {line}" for line in self._recent)
        return RunawayError(self.steps, self._now, self.steps - self._steps_before_now, recent)


@contextmanager
def outside_the_loop() -> Generator[None, None, None]:
    """Run a block as a thread would see the world: with no event loop running."""
    loop = events._get_running_loop()
    events._set_running_loop(None)
    try:
        yield
    finally:
        events._set_running_loop(loop)
