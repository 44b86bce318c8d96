"""DeterministicLoop: an asyncio event loop without a clock, a selector or a thread.

It runs inline, inside a step of whatever loop the worker lives on, for one orchestration. Ready callbacks run in order; time stands still
until history moves it; a timer is armed with whoever owns the loop, who records it. Tasks and futures hash by the instance and
their number, so that every set of them iterates the same way in every process.

What would reach outside (sockets, threads, signals, subprocesses) is refused by name.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import zlib
from asyncio import events
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import copy_context
from typing import Any, NoReturn, Protocol, TypeVar, TypeVarTuple

from durable_async.errors import ForbiddenOperationError, TurnBudgetError
from durable_async.telemetry.logs import about

from . import guard, ordered
from .futures import DurableFuture
from .places import ends_the_search, place_of, user_line

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CALLBACKS_PER_DRAIN_MAX = 100_000
CALLBACKS_PER_UNWINDING_MAX = 5_000
NEVER_SECONDS = 1_000 * 365 * 86_400
"""A timer this far ahead is not recorded: it stands for "never"."""
TASKS_BEFORE_PRUNING = 32
UNWIND_ROUNDS = 20

_NOTHING_READY: deque[asyncio.Handle] = deque(maxlen=0)
"""Stands for what is ready in a loop at rest, of which there are many: a deque of its own would take 700 bytes of each."""

_log = logging.getLogger("durable_async")


class TimerOwner(Protocol):
    """Who records the timers that code on the loop asks for."""

    def arm(self, handle: DurableTimerHandle) -> None:
        """Record a timer; the owner calls ``DeterministicLoop.fire`` when it is due."""
        ...

    def disarm(self, handle: DurableTimerHandle) -> None:
        """Record that a timer is not wanted any more."""
        ...


class DurableTask(asyncio.Task[T]):
    """A task that hashes by its instance and number instead of its address."""

    __slots__ = ("_order",)
    _order: int

    def __hash__(self) -> int:
        return self._order


class LoopFuture(asyncio.Future[T]):
    """A plain future of the loop, with the same kind of hash."""

    __slots__ = ("_order",)
    _order: int

    def __hash__(self) -> int:
        return self._order


class DurableTimerHandle(asyncio.TimerHandle):
    """A timer that history knows by a sequence number."""

    __slots__ = ("seq",)

    seq: int


class ReadyHandle(asyncio.Handle):
    """A callback that is ready, filled in by ``call_soon``: there is one a step, which no constructor delays."""

    __slots__ = ()

    _repr = _source_traceback = None  # parts of a debug mode that does not exist here


_new_handle: Callable[[type[ReadyHandle]], Any] = object.__new__


class DeterministicLoop(asyncio.AbstractEventLoop):
    """One orchestration's event loop.

    The owner enters it, makes things happen (``fire``, results on futures), drains it to rest, and leaves it, all in one step of the outer loop.

    Args:
        instance_id: Seeds the hashes; shown in errors.
        timers: Who records timers.
    """

    __slots__ = (
        "_first_order",
        "_generators",
        "_outer",
        "_prune_at",
        "_ready",
        "_tasks",
        "_timers",
        "abandoned",
        "context",
        "entered",
        "instance_id",
        "order",
        "seconds",
        "silent",
        "unwinding",
    )

    is_deterministic = True

    def __init__(self, instance_id: str, timers: TimerOwner) -> None:
        self.instance_id = instance_id
        self.context = contextvars.Context()
        self.seconds = 0.0
        self.entered = False
        self.abandoned: BaseException | None = None
        self.silent = False
        self.unwinding = False
        self._timers = timers
        self._ready: deque[asyncio.Handle] = _NOTHING_READY
        self._tasks: list[DurableTask[Any]] = []
        self._prune_at = TASKS_BEFORE_PRUNING
        self.order = self._first_order = zlib.crc32(instance_id.encode()) << 16
        self._generators: dict[AsyncGenerator[Any, Any], None] | None = None
        self._outer: Any = None
        ordered.install()

    # -- entering and leaving

    def enter(self) -> None:
        """Become the running loop of this thread; the outer loop and its current task step aside.

        Uses the four calls that asyncio documents for third-party loops. Pair it with ``leave`` in a ``finally``.
        """
        outer = events._get_running_loop()
        task = None if outer is None else asyncio.current_task(outer)
        if outer is not None and task is not None:
            asyncio.tasks._leave_task(outer, task)
        self._outer = (outer, task, sys.get_asyncgen_hooks())
        sys.set_asyncgen_hooks(self._hold_generator, self._finalize_generator)
        if not ordered.done:
            ordered.refresh()
        events._set_running_loop(self)
        if self._ready is _NOTHING_READY:
            self._ready = deque()
        guard.activate(self.abandon)
        self.entered = True

    def leave(self) -> None:
        """Give the thread back to the outer loop."""
        outer, task, hooks = self._outer
        self._outer = None
        self.entered = False
        if not self._ready:
            self._ready = _NOTHING_READY
        guard.deactivate()
        events._set_running_loop(outer)
        sys.set_asyncgen_hooks(*hooks)
        if outer is not None and task is not None:
            asyncio.tasks._enter_task(outer, task)

    def abandon(self, error: BaseException) -> None:
        """Stop after the callback that is running, whatever the code does about the error; the turn must not be committed."""
        if self.abandoned is None and not self.unwinding:
            self.abandoned = error

    def drain(self, budget: int = CALLBACKS_PER_DRAIN_MAX) -> None:
        """Run callbacks until none is ready.

        Raises:
            TurnBudgetError: More callbacks ran than the budget allows: the code does not come to rest.
            BaseException: What it is abandoned for.
        """
        ready = self._ready
        left = budget
        while ready and self.abandoned is None:
            handle = ready.popleft()
            if handle._cancelled:
                continue
            left -= 1
            if left < 0:
                ready.appendleft(handle)
                raise TurnBudgetError(self.instance_id, f"{budget:,} callbacks ran", self.where())
            args = handle._args
            try:
                if len(args) == 1:
                    handle._context.run(handle._callback, args[0])  # type: ignore[attr-defined]
                else:
                    handle._context.run(handle._callback, *args)  # type: ignore[attr-defined]
            except SystemExit:
                pass  # it is the outcome of the task that raised it
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - as asyncio does: a callback belongs to nobody
                self.call_exception_handler({"message": f"in {handle}", "exception": error})
        if self.abandoned is not None:
            raise self.abandoned

    def fire(self, handle: DurableTimerHandle) -> None:
        """Run a timer that is due; time is at least what it was set for."""
        self.seconds = max(self.seconds, handle.when())
        handle._scheduled = False  # type: ignore[attr-defined]
        self._ready.append(handle)

    def unwind(self) -> bool:
        """Cancel every task and close every generator, in bounded rounds; ``False`` if some task would not end.

        Goes by cancellation, since closing a coroutine does not get through a ``TaskGroup``; generators that no task is in come last.
        """
        self.silent = self.unwinding = True
        self.abandoned = None
        self.enter()
        try:
            for _ in range(UNWIND_ROUNDS):
                tasks = self.unfinished()
                if not tasks and not self._close_generators():
                    return True
                for task in tasks:
                    task.cancel()
                with suppress(TurnBudgetError):
                    self.drain(CALLBACKS_PER_UNWINDING_MAX)
            return not self.unfinished()
        finally:
            self.leave()

    def _close_generators(self) -> bool:
        """Begin to close what is held; ``False`` if nothing is."""
        generators = self.generators()
        self._generators = None
        closing = [self.create_task(_aclose(held), context=self.context) for held in generators]
        return bool(closing)

    # -- tasks

    def unfinished(self) -> list[DurableTask[Any]]:
        """Return the tasks that are not done, in order of creation."""
        self._tasks = [task for task in self._tasks if not task.done()]
        return self._tasks.copy()

    def where(self) -> str:
        """Describe where each unfinished task stands, for errors."""
        return "\n".join(place_of(task) for task in self.unfinished()[:8]) or "no task is left"

    def generators(self) -> list[AsyncGenerator[Any, Any]]:
        """Return the async generators that were begun here and have not ended, in that order."""
        return [held for held in self._generators or () if held.ag_frame is not None]  # type: ignore[attr-defined]

    def next_order(self) -> int:
        """Return the hash of the next task or future, and count it."""
        self.order += 1
        return self.order

    # -- asyncio's interface

    def time(self) -> float:
        """Return seconds since the execution began, from history."""
        return self.seconds

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Run a callback in this turn; refused outside of one."""
        if not self.entered:
            raise ForbiddenOperationError(
                "reaching into an orchestration from outside",
                "send it an external event instead",
            )
        handle = _new_handle(ReadyHandle)
        handle._callback = callback
        handle._args = args
        handle._context = copy_context() if context is None else context
        handle._cancelled = False
        handle._loop = self
        self._ready.append(handle)
        return handle  # type: ignore[no-any-return]

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback after a durable delay."""
        return self.call_at(self.seconds + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback at a durable time. Not later than now: in this turn. More than 1,000 years ahead: never."""
        handle = DurableTimerHandle(when, callback, args, self, context)
        if when <= self.seconds:
            self._ready.append(handle)
        elif when < NEVER_SECONDS:
            handle._scheduled = True  # type: ignore[attr-defined]
            self._timers.arm(handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if handle._scheduled and isinstance(handle, DurableTimerHandle):  # type: ignore[attr-defined]
            handle._scheduled = False  # type: ignore[attr-defined]
            self._timers.disarm(handle)

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        future: LoopFuture[Any] = LoopFuture(loop=self)
        future._order = self.next_order()
        return future

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        """Return a task of this loop; also takes a ``DurableFuture``."""
        if isinstance(coro, DurableFuture):
            coro = _await(coro)
        order = self.next_order()
        task: DurableTask[T] = _TaskFactory.make(
            coro,
            self,
            name or f"{self.instance_id}#{order - self._first_order}",
            context,
            order,
            options,
        )
        self._tasks.append(task)
        if len(self._tasks) > self._prune_at:
            self._prune_at = 2 * len(self.unfinished()) + TASKS_BEFORE_PRUNING
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Log what nobody awaited."""
        if not self.silent:
            _log.error(
                "in orchestration %s: %s",
                self.instance_id,
                context.get("message"),
                exc_info=context.get("exception"),
                extra=about(self.instance_id),
            )

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log what nobody awaited."""
        self.call_exception_handler(context)

    def get_exception_handler(self) -> None:
        """Return ``None``: the loop's own is used."""

    def get_task_factory(self) -> None:
        """Return ``None``: the loop makes its own tasks."""

    get_debug: Any = staticmethod(bool)
    """Returns ``False``, as ``bool()`` does without a call of Python; each new future asks."""

    def is_running(self) -> bool:
        """Return ``True``: whoever can ask is running on it."""
        return True

    def is_closed(self) -> bool:
        """Return ``False``."""
        return False

    async def shutdown_asyncgens(self) -> None:
        """Do nothing; the owner closes generators when it lets the instance go."""

    # -- async generators

    def _hold_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        if self._generators is None:
            self._generators = {}
        elif len(self._generators) > TASKS_BEFORE_PRUNING:
            self._generators = dict.fromkeys(self.generators())
        self._generators[generator] = None

    def _finalize_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Never called for a held generator; a stray one must not reach the outer loop's hook."""


class _TaskFactory:
    """Makes a task whose hash is known before asyncio registers it."""

    @staticmethod
    def make(
        coro: Any,
        loop: DeterministicLoop,
        name: str,
        context: contextvars.Context | None,
        order: int,
        options: dict[str, Any],
    ) -> DurableTask[Any]:
        task: DurableTask[Any] = DurableTask.__new__(DurableTask)
        task._order = order
        task.__init__(coro, loop=loop, name=name, context=context, **options)  # type: ignore[misc]
        return task


async def _await(future: DurableFuture[T]) -> T:
    return await future


async def _aclose(generator: AsyncGenerator[Any, Any]) -> None:
    with suppress(RuntimeError):  # it is running in a task that the same round cancels
        await generator.aclose()


def _refuse(name: str, instead: str) -> Callable[..., NoReturn]:
    def refused(self: DeterministicLoop, *args: Any, **kwargs: Any) -> NoReturn:
        error = ForbiddenOperationError(name, instead, user_line())
        self.abandon(error)
        raise error

    refused.__name__ = name
    return refused


_IN_AN_ACTIVITY = "do it in an activity and await ctx.call_activity(...)"
_REFUSED = {
    "run_in_executor": _IN_AN_ACTIVITY,
    "call_soon_threadsafe": "send an external event with client.raise_event(...)",
    "run_forever": "await it; the worker runs the loop",
    "run_until_complete": "await it; the worker runs the loop",
    "stop": "return from the orchestrator",
    "close": "return from the orchestrator",
    "set_debug": "there is no debug mode here",
    "set_task_factory": "tasks are made by the loop, so that they replay",
    "set_exception_handler": "catch the exception where you await",
    "shutdown_default_executor": _IN_AN_ACTIVITY,
    "set_default_executor": _IN_AN_ACTIVITY,
}


def _refuse_the_rest() -> None:
    for name in dir(asyncio.AbstractEventLoop):
        if not name.startswith("_") and name not in DeterministicLoop.__dict__:
            setattr(DeterministicLoop, name, _refuse(name, _REFUSED.get(name, _IN_AN_ACTIVITY)))
    DeterministicLoop.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]


_refuse_the_rest()
ends_the_search(DeterministicLoop.drain.__code__)
