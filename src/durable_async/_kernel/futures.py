"""DurableFuture: what a durable call returns.

It is an ``asyncio.Future``, so ``gather``, ``wait`` and ``wait_for`` take it without a task of its own, and a coroutine in the
eyes of type checkers, since ``TaskGroup.create_task`` takes it too. The call is recorded when it is made, not when it is awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from durable_async.errors import OutsideOrchestrationError, ValidationError
from durable_async.model.policy import ActivityOptions

T = TypeVar("T")

_init_future: Any = asyncio.Future.__init__


class FutureOwner(Protocol):
    """Who records that the code gave up a durable call."""

    @property
    def loop(self) -> Any:
        """The loop that its futures belong to."""
        ...

    def give_up(self, future: DurableFuture[Any]) -> None:
        """Record the cancellation of a future that was pending."""
        ...


if TYPE_CHECKING:

    class _Base(asyncio.Future[T], Coroutine[Any, Any, T]):
        pass

else:  # not a coroutine when the code runs: asyncio.wait refuses those
    _Base = asyncio.Future


class DurableFuture(_Base[T]):
    """The outcome of a durable call that history will tell.

    ``cancel()`` resolves it at once and asks for what it stands for to be stopped: the activity's code is cancelled, the timer
    dropped, the wait for an event given back, the sub-orchestration terminated, the request for a lock withdrawn. Only an entity's
    operation is carried out all the same.
    """

    __slots__ = ("_order", "_owner", "seq", "settled")

    _order: int
    _owner: FutureOwner | None
    seq: int
    settled: bool

    def __init__(self, loop: Any, order: int, owner: FutureOwner | None, seq: int = 0) -> None:
        self._order = order
        self._owner = owner
        self.seq = seq
        self.settled = False
        _init_future(self, loop=loop)

    def __hash__(self) -> int:
        return self._order

    def cancel(self, msg: Any = None) -> bool:
        """Give the call up; ``False`` if it is done already."""
        cancelled = super().cancel(msg)
        if cancelled and self._owner is not None:
            self._owner.give_up(self)
        return cancelled

    def close(self) -> None:
        """Do nothing: there is no frame to close. A ``TaskGroup`` that has ended closes what it does not take."""

    if TYPE_CHECKING:

        def __await__(self) -> Generator[Any, None, T]: ...
        def send(self, value: Any) -> Any: ...
        def throw(self, *args: Any) -> Any: ...


class ActivityFuture(DurableFuture[T]):
    """An activity's result.

    Attributes:
        attempt: The one that is under way or due, from 1.
        retry_at_us: When the next attempt is due; ``None`` while one is under way.
        scheduled_at_us: When the call was made.
        heartbeat: What the last attempt reported.
    """

    __slots__ = (
        "attempt",
        "heartbeat",
        "input",
        "into",
        "name",
        "options",
        "retry_at_us",
        "scheduled_at_us",
    )

    name: str
    input: bytes
    into: Any
    options: ActivityOptions
    attempt: int
    retry_at_us: int | None
    scheduled_at_us: int
    heartbeat: bytes | None

    __init__ = _init_future  # in C: see `activity_future`


_new_activity_future: Any = ActivityFuture
"""The class by another name, for to type checkers its constructor is that of every other durable future."""


def activity_future(
    owner: FutureOwner, name: str, payload: bytes, into: Any, options: ActivityOptions
) -> ActivityFuture[Any]:
    """Make one. There is one a step, so it is filled in here and not by a constructor, which would cost as much as all of this."""
    loop = owner.loop
    future: ActivityFuture[Any] = _new_activity_future(loop=loop)
    loop.order = future._order = loop.order + 1
    future._owner = owner
    future.settled = False
    future.name = name
    future.input = payload
    future.into = into
    future.options = options
    future.attempt = 1
    future.retry_at_us = None
    future.heartbeat = None
    return future


class TimerFuture(DurableFuture[None]):
    """A timer that the code asked for by name."""

    __slots__ = ("fire_at_us",)

    fire_at_us: int


class SubOrchestrationFuture(DurableFuture[T]):
    """A child's result."""

    __slots__ = ("instance_id", "into", "name")

    name: str
    instance_id: str
    into: Any


class EntityCallFuture(DurableFuture[T]):
    """What an operation of an entity returns.

    Attributes:
        name: The operation.
        section: Sequence number of the lock request under which it is made, 0 outside a critical section.
    """

    __slots__ = ("entity_id", "into", "name", "section")

    entity_id: str
    name: str
    into: Any
    section: int

    def __init__(
        self, loop: Any, order: int, owner: FutureOwner, entity_id: str, name: str, into: Any
    ) -> None:
        self.entity_id = entity_id
        self.name = name
        self.into = into
        self.section = 0
        super().__init__(loop, order, owner)


class EventFuture(DurableFuture[T]):
    """An external event that is waited for."""

    __slots__ = ("into", "name")

    name: str
    into: Any


@overload
def when_all(futures: Sequence[asyncio.Future[T]]) -> DurableFuture[list[T]]: ...
@overload
def when_all(futures: Sequence[asyncio.Future[Any]]) -> DurableFuture[list[Any]]: ...
def when_all(futures: Sequence[asyncio.Future[Any]]) -> DurableFuture[list[Any]]:
    """Wait until all are done; then give their results in order, or raise the failure that came first.

    Unlike ``asyncio.gather`` it lets the others finish when one fails. An empty sequence gives ``[]``.
    """
    loop = _running_loop("when_all")
    whole: DurableFuture[list[Any]] = DurableFuture(loop, loop.next_order(), None)
    distinct = dict.fromkeys(futures)
    left = len(distinct)
    first_failure: BaseException | None = None

    def one_done(future: asyncio.Future[Any]) -> None:
        nonlocal left, first_failure
        left -= 1
        if first_failure is None:
            first_failure = _failure(future)
        if left == 0 and not whole.done():
            finish()

    def finish() -> None:
        if first_failure is not None:
            whole.set_exception(first_failure)
        else:
            whole.set_result([future.result() for future in futures])

    if not distinct:
        whole.set_result([])
    context = copy_context()  # one for all: otherwise each gets its own
    for future in distinct:
        future.add_done_callback(one_done, context=context)
    return whole


def when_any(futures: Sequence[asyncio.Future[Any]]) -> DurableFuture[asyncio.Future[Any]]:
    """Wait until one is done, and give that future itself; the others go on.

    A failed one wins without raising: its ``result()`` raises.

    Raises:
        ValidationError: The sequence is empty.
    """
    if not futures:
        raise ValidationError("futures", "is empty: there is nothing to wait for")
    loop = _running_loop("when_any")
    winner: DurableFuture[asyncio.Future[Any]] = DurableFuture(loop, loop.next_order(), None)

    def one_done(future: asyncio.Future[Any]) -> None:
        _failure(future)  # a loser's failure is not an accident that nobody saw
        if not winner.done():
            winner.set_result(future)

    context = copy_context()
    for future in dict.fromkeys(futures):
        future.add_done_callback(one_done, context=context)
    return winner


def _failure(future: asyncio.Future[Any]) -> BaseException | None:
    if future.cancelled():
        return asyncio.CancelledError()
    return future.exception()


def _running_loop(what: str) -> Any:
    loop = asyncio._get_running_loop()
    if not getattr(loop, "is_deterministic", False):
        raise OutsideOrchestrationError(f"{what}() outside an orchestrator", "use asyncio's own")
    return loop
