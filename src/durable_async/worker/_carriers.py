"""Carriers: tasks that run coroutines for others, one after the other as long as none of them waits.

A task, its cancel scope and its turn of the event loop cost more than most of what is run in them. What never waits needs none of its
own: nobody else runs meanwhile, so nobody can cancel it, or see which task it is in. All it needs for itself is a context, and that
nothing it leaves behind reaches the next.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from sys import getrefcount
from types import FrameType, TracebackType
from typing import Any, Final, Self, TypeVar
from weakref import getweakrefcount

import anyio

T = TypeVar("T")

_PASSED_ON: Final = object()


class Begun(Generator[Any, Any, T]):
    """A coroutine whose first step was taken at once, in a context of its own; if that was not its last, it is awaited.

    What it waits for, the task that awaits it waits for; each step is taken in the coroutine's own context. To debuggers it looks like the
    coroutine, so that they find what a task waits for.

    Attributes:
        waits: Whether it is not over, and has to be awaited.
        result: What it returned, if it is over.
    """

    __slots__ = ("_context", "_coroutine", "_first", "result", "waits")

    result: T

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._context = copy_context()
        self.waits = True
        try:
            self._first = self._context.run(coroutine.send, None)
        except StopIteration as end:
            self.waits = False
            self.result = end.value

    def __await__(self) -> Generator[Any, Any, T]:
        """Go on to its end."""
        return self

    def __next__(self) -> Any:
        """Take a step, as tasks do."""
        first = self._first
        if first is _PASSED_ON:
            return self._context.run(self._coroutine.send, None)
        self._first = _PASSED_ON  # the step itself was taken
        return first

    def send(self, value: Any, /) -> Any:
        """Take a step."""
        return self._context.run(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Take a step that begins with an exception, such as a cancellation."""
        return self._context.run(self._coroutine.throw, *error)

    @property
    def cr_frame(self) -> FrameType | None:
        """Where it is."""
        return getattr(self._coroutine, "cr_frame", None)

    @property
    def cr_await(self) -> Any:
        """What it waits for."""
        return getattr(self._coroutine, "cr_await", None)


class Carrier:
    """The running task, with a cancel scope around what it carries.

    Args:
        others: Those that carry something; this one is among them while it does.

    Attributes:
        scope: Cancels what is carried.
    """

    __slots__ = ("_others", "_task", "_traces", "scope")

    def __init__(self, others: dict[Carrier, None]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._others = others
        self._traces: tuple[Any, ...] = ()
        self.scope = anyio.CancelScope()

    def __enter__(self) -> Self:
        self._others[self] = None
        self.scope.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._others.pop(self, None)
        try:
            return bool(self.scope.__exit__(kind, error, traceback))
        except RuntimeError:
            # What it carried has left a scope open, which stands in the way of this one. Both end with the task.
            return error is None or isinstance(error, asyncio.CancelledError)

    def lift_limit(self) -> None:
        """Let the time cancel nothing any more; if it has, the task is spent."""
        self.scope.deadline = math.inf
        if self.scope.cancel_called:
            self._traces = ()

    def remember(self) -> None:
        """Take note of what the task is like, for this step of it."""
        self._traces = _traces(self._task)

    @property
    def is_as_before(self) -> bool:
        """Whether what was carried since has left nothing behind, so that the task may carry something else."""
        return self._traces == _traces(self._task)


def _traces(task: asyncio.Task[Any]) -> tuple[Any, ...]:
    """Return what code may leave behind in its task: whoever remembers the task, as an open cancel scope or a time limit does, refers to it."""
    return (
        getrefcount(task),
        getweakrefcount(task),
        task.get_name(),
        getattr(task, "_must_cancel", None),  # also where ``uncancel`` was called
        getattr(task, "_callbacks", None),
    )
