"""Tasks: what an orchestrator waits for. They know nothing of the engine; whoever makes one gives it its outcome."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from .failures import FailureDetails, TaskCancelledError, TaskFailedError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Task(ABC, Generic[T_co]):
    """Something that an orchestrator waits for: yielded by a generator, awaited by an ``async def``."""

    def __init__(self) -> None:
        self._is_complete = False
        self._exception: Exception | None = None
        self._result: Any = None
        self._listeners: list[Callable[[Task[Any]], None]] = []

    @property
    def is_complete(self) -> bool:
        """Whether its outcome is there: a result, a failure, or that it was cancelled."""
        return self._is_complete

    @property
    def is_failed(self) -> bool:
        """Whether it failed."""
        return self._is_complete and self._exception is not None

    @property
    def result(self) -> T_co:
        """Its result; see `get_result`."""
        return self.get_result()

    def get_result(self) -> T_co:
        """Return its result.

        Raises:
            ValueError: It is not complete.
            TaskFailedError: It failed.
        """
        if not self._is_complete:
            raise ValueError("The task has not completed.")
        if self._exception is not None:
            raise self._exception
        result: T_co = self._result
        return result

    def get_exception(self) -> TaskFailedError:
        """Return why it failed.

        Raises:
            ValueError: It did not.
        """
        if not self.is_failed:
            raise ValueError("The task has not failed.")
        error: Any = self._exception
        return error  # type: ignore[no-any-return]

    def __await__(self) -> Generator[Any, Any, T_co]:
        if not self._is_complete:
            yield from self.arrival().__await__()
        return self.get_result()

    def arrival(self) -> asyncio.Future[None]:
        """Return a future that is done when this is complete."""
        arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_completed(lambda _: None if arrival.done() else arrival.set_result(None))
        return arrival

    def on_completed(self, listener: Callable[[Task[Any]], None]) -> None:
        """Call back when it is complete, at once if it is."""
        if self._is_complete:
            listener(self)
        else:
            self._listeners.append(listener)

    def settle(self, result: Any, error: Exception | None) -> None:
        """Give it its outcome, unless it has one."""
        if self._is_complete:
            return
        self._is_complete = True
        self._result = result
        self._exception = error
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener(self)


class CompletableTask(Task[T]):
    """A task whose outcome comes from outside: an activity, a sub-orchestration, an entity's operation, a lock.

    Attributes:
        expected_type: What its result is read into, or ``None``.
    """

    def __init__(self, expected_type: type | None = None) -> None:
        super().__init__()
        self.expected_type = expected_type

    def complete(self, result: T) -> None:
        """Give it its result."""
        self.settle(result, None)

    def fail(self, message: str, details: FailureDetails | Exception) -> None:
        """Let it fail."""
        self.settle(None, TaskFailedError(message, details))


class RetryableTask(CompletableTask[T]):
    """An activity or a sub-orchestration with a `RetryPolicy`; its outcome is that of the last attempt."""


class CancellableTask(CompletableTask[T]):
    """A task that the orchestrator may give up: a timer, a wait for an event."""

    def __init__(self, expected_type: type | None = None) -> None:
        super().__init__(expected_type)
        self._is_cancelled = False
        self._cancel_handler: Callable[[], None] | None = None

    @property
    def is_cancelled(self) -> bool:
        """Whether it was given up."""
        return self._is_cancelled

    def get_result(self) -> T:
        """Return its result.

        Raises:
            ValueError: It is not complete.
            TaskCancelledError: It was cancelled.
        """
        if self._is_cancelled:
            raise TaskCancelledError("The task was cancelled.")
        return super().get_result()

    def set_cancel_handler(self, cancel_handler: Callable[[], None]) -> None:
        """Say what is to be done when it is cancelled."""
        self._cancel_handler = cancel_handler

    def cancel(self) -> bool:
        """Give it up; ``False`` if it is complete already. A timer will not fire, an event is left for who waits next."""
        if self._is_complete:
            return False
        self._is_cancelled = True
        if self._cancel_handler is not None:
            self._cancel_handler()
        self.settle(None, None)
        return True

    def __await__(self) -> Generator[Any, Any, T]:
        try:
            return (yield from super().__await__())
        except asyncio.CancelledError:
            self.cancel()  # an `async def` that is interrupted does not want it any more
            raise


class TimerTask(CancellableTask[None]):
    """A durable timer."""

    def __init__(
        self,
        final_fire_at: datetime | None = None,
        maximum_timer_interval: timedelta | None = None,
    ) -> None:
        super().__init__()
        self._final_fire_at = final_fire_at
        self._maximum_timer_interval = maximum_timer_interval


class CompositeTask(Task[T]):
    """A task made of others."""

    def __init__(self, tasks: list[Task[Any]]) -> None:
        super().__init__()
        self._tasks = tasks
        for task in list({id(task): task for task in tasks}.values()):
            if self._is_complete:
                break
            task.on_completed(self.on_child_completed)

    def get_tasks(self) -> list[Task[Any]]:
        """Return what it is made of."""
        return self._tasks

    @abstractmethod
    def on_child_completed(self, task: Task[Any]) -> None:
        """Take note that one of them is complete."""


class WhenAllTask(CompositeTask[list[T]]):
    """Complete when all of its tasks are; see `when_all`."""

    def __init__(self, tasks: list[Task[T]]) -> None:
        self._failed_first: Task[Any] | None = None
        self._distinct_left = len({id(task) for task in tasks})
        super().__init__(list[Task[Any]](tasks))
        self._look()

    @property
    def pending_tasks(self) -> int:
        """How many are not complete."""
        return sum(not task.is_complete for task in self._tasks)

    def get_completed_tasks(self) -> int:
        """Return how many are complete."""
        return len(self._tasks) - self.pending_tasks

    def on_child_completed(self, task: Task[Any]) -> None:
        """Take note that one of them is complete."""
        self._distinct_left -= 1
        if self._failed_first is None and _failure_of(task) is not None:
            self._failed_first = task
        self._look()

    def _look(self) -> None:
        if self._is_complete or self._distinct_left:
            return
        if self._failed_first is not None:
            self.settle(None, _failure_of(self._failed_first))
        else:
            self.settle([task.get_result() for task in self._tasks], None)


class WhenAnyTask(CompositeTask[Task[T]]):
    """Complete when one of its tasks is; see `when_any`."""

    def __init__(self, tasks: list[Task[T]]) -> None:
        super().__init__(list[Task[Any]](tasks))

    def on_child_completed(self, task: Task[Any]) -> None:
        """Take note that one of them is complete."""
        self.settle(task, None)


def _failure_of(task: Task[Any]) -> Exception | None:
    try:
        task.get_result()
    except Exception as error:  # noqa: BLE001 - failed or cancelled, it is the outcome
        return error
    return None


def when_all(tasks: list[Task[T]]) -> WhenAllTask[T]:
    """Return a task that is complete when all of some are.

    Its result is their results in the order of the argument; of none, ``[]``. If any fails it fails with what failed first, when all
    have ended.
    """
    return WhenAllTask(tasks)


def when_any(tasks: Sequence[Task[T]]) -> WhenAnyTask[T]:
    """Return a task whose result is that one of some which is complete first; the others go on.

    One that failed may be the first: its own result raises.

    Raises:
        ValueError: There are none, so that it would never be complete.
    """
    if not tasks:
        raise ValueError("when_any() of no tasks would never complete")
    return WhenAnyTask(list(tasks))
