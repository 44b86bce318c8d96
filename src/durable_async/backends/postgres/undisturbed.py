"""Coroutines that the cancellation of their caller does not reach.

A cancelled task cancels the future that it waits for, and the driver answers that by a cancel request to the server, which may hit a
statement that is just being committed. So the caller waits for a stand-in, and if it is cancelled somebody else sees the coroutine to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar, cast

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
        loop = asyncio.get_running_loop()
        while True:
            if self._awaited is not None:
                yield from _stand_in(loop, self._awaited)
                self._awaited = None
            try:
                awaited = self._job.send(None)
            except StopIteration as end:
                self.is_over = True
                return cast("T", end.value)
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


def _stand_in(
    loop: asyncio.AbstractEventLoop, awaited: asyncio.Future[Any]
) -> Generator[Any, Any, None]:
    stand_in: asyncio.Future[None] = loop.create_future()

    def wake(_: object) -> None:
        if not stand_in.done():
            stand_in.set_result(None)

    awaited.add_done_callback(wake)
    yield from stand_in


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
