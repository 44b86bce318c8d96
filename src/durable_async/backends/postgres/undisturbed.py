"""Coroutines that the cancellation of their caller does not reach.

A cancelled task cancels the future that it waits for, and the driver answers that by a cancel request to the server, which may hit a
statement that is just being committed. So the caller waits by a stand-in, which keeps cancellation to itself; if the caller is cancelled,
somebody else sees the coroutine to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Course(Generic[T]):
    """A coroutine under way, driven by whoever awaits it: first its caller, perhaps somebody else later.

    It may await futures, but no scope of time or cancellation, for those belong to one task. Driving costs one future for each wait, where a
    task would cost rounds of the loop before and after.

    Attributes:
        is_over: Whether it came to its end; if not, a wait for it was cancelled, and it can be awaited again.
    """

    __slots__ = ("_awaited", "_job", "is_over")

    def __init__(self, job: Coroutine[Any, Any, T]) -> None:
        self._job = job
        self._awaited: asyncio.Future[Any] | None = None
        self.is_over = False

    def __await__(self) -> Generator[Any, Any, T]:
        """Go on until the end, or until the awaiting task is cancelled."""
        while True:
            if self._awaited is not None:
                yield from _by_stand_in(self._awaited)
                self._awaited = None
            try:
                awaited = self._job.send(None)
            except StopIteration as end:
                self.is_over = True
                result: T = end.value
                return result
            except BaseException:
                self.is_over = True
                raise
            if awaited is None:  # it only lets others run
                yield
            else:
                # How a future says that it is awaited, and how a task answers that it has seen it.
                awaited._asyncio_future_blocking = False  # noqa: SLF001
                self._awaited = awaited

    def abandon(self) -> None:
        """Give up what is left. Nobody hears of what it still awaits."""
        self.is_over = True
        if self._awaited is not None:
            self._awaited.add_done_callback(_ignore)
        self._job.close()


def _by_stand_in(awaited: asyncio.Future[Any]) -> Generator[Any, Any, None]:
    """Wait until a future is done, whatever it comes to; that is its job's business."""
    stand_in = _StandIn(awaited)
    try:
        yield stand_in
    except BaseException as error:
        if stand_in.is_cancelled or not _is_raised_by(awaited, error):
            raise


def _is_raised_by(awaited: asyncio.Future[Any], error: BaseException) -> bool:
    """Tell whether a task that waited was given what the future raises, and not a cancellation of its own."""
    if awaited.cancelled():
        return isinstance(error, asyncio.CancelledError)
    return awaited.done() and awaited.exception() is error


class _StandIn:
    """A future as far as the task goes that awaits it: that one is called back by the real one, which is not cancelled in its place.

    A future of its own, that the real one sets, would do the same and cost another round of the loop for each statement.
    """

    __slots__ = ("_asyncio_future_blocking", "_awaited", "_message", "_waiter", "is_cancelled")

    def __init__(self, awaited: asyncio.Future[Any]) -> None:
        self._asyncio_future_blocking = True
        self._awaited = awaited
        self._waiter: tuple[Callable[[Any], object], Context | None] | None = None
        self._message: tuple[Any, ...] = ()
        self.is_cancelled = False

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop, for a task asks whether it is its own."""
        return self._awaited.get_loop()

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Have the task called back by the real one."""
        self._waiter = callback, context
        self._awaited.add_done_callback(callback, context=context)

    def cancel(self, msg: Any = None) -> bool:
        """Call the task back at once, and leave the real one alone; returns whether there was time."""
        if self.is_cancelled or self._waiter is None or self._awaited.done():
            return False
        self.is_cancelled = True
        self._message = () if msg is None else (msg,)
        callback, context = self._waiter
        self._awaited.remove_done_callback(callback)
        self.get_loop().call_soon(callback, self, context=context)
        return True

    def result(self) -> None:
        """Raise what the task is to see; it asks only when it was called back by ``cancel``."""
        raise asyncio.CancelledError(*self._message)


def _ignore(awaited: asyncio.Future[Any]) -> None:
    if not awaited.cancelled():
        awaited.exception()


class Rests:
    """Sees courses to their end that were left by their callers."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, course: Course[Any], ended: Callable[[BaseException | None], None]) -> None:
        """Go on with a course, and tell when it has ended, and how."""
        # A task of its own and not of a group's: it outlives the scope of the caller that was cancelled.
        task = asyncio.get_running_loop().create_task(_finish(course, ended))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait until all have ended."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))


async def _finish(course: Course[Any], ended: Callable[[BaseException | None], None]) -> None:
    try:
        await course
    except asyncio.CancelledError as error:  # the loop is being torn down
        ended(error)
        course.abandon()
        raise
    except Exception as error:  # noqa: BLE001 - nobody else is left to hear of it
        ended(error)
    else:
        ended(None)
