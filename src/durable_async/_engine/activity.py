"""ActivityContext: what activity code sees of the engine."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime
from typing import Any, Protocol, TypeVar, overload

from durable_async.errors import DurableError, OutsideOrchestrationError
from durable_async.model.moments import instant
from durable_async.serialization import DataConverter

T = TypeVar("T")

_current: ContextVar[RunningActivity] = ContextVar("durable_async_activity")


class ActivityCancelledError(DurableError):
    """Raised in a ``def`` activity that asks, when its outcome is not wanted any more."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"activity {name!r} was cancelled")


class NonRetryableError(DurableError):
    """Raise it in an activity to rule out another attempt; subclass it, or set ``non_retryable = True`` on any exception."""

    non_retryable = True


class RunningActivity(Protocol):
    """An attempt that is under way, as the engine knows it."""

    @property
    def hub(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def instance_id(self) -> str: ...
    @property
    def execution(self) -> int: ...
    @property
    def seq(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def deadline_us(self) -> int | None: ...
    @property
    def heartbeat(self) -> bytes | None: ...
    @property
    def is_over(self) -> bool: ...
    @property
    def payloads(self) -> DataConverter: ...

    def beat(self, details: bytes) -> None:
        """Take a heartbeat; from any thread."""


class ActivityContext:
    """One attempt of an activity, from the inside; `activity_context()` returns it."""

    __slots__ = ("_running",)

    def __init__(self, running: RunningActivity) -> None:
        self._running = running

    @property
    def name(self) -> str:
        """The activity's name."""
        return self._running.name

    @property
    def instance_id(self) -> str:
        """The orchestration that called it."""
        return self._running.instance_id

    @property
    def execution(self) -> int:
        """That orchestration's generation."""
        return self._running.execution

    @property
    def seq(self) -> int:
        """The call's number in that execution."""
        return self._running.seq

    @property
    def attempt(self) -> int:
        """Which attempt it is, from 1."""
        return self._running.number

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of one call, and for no other call of the hub: give it to systems that take one."""
        running = self._running
        return f"{running.hub}/{running.instance_id}/{running.execution}/{running.seq}"

    @property
    def deadline(self) -> datetime | None:
        """When this attempt is cancelled, or ``None``."""
        deadline_us = self._running.deadline_us
        return None if deadline_us is None else instant(deadline_us)

    def heartbeat(self, details: Any = None) -> None:
        """Say that the attempt is alive, and how far it is: the next attempt finds ``details``. Also from a thread."""
        self.raise_if_cancelled()
        running = self._running
        running.beat(running.payloads.encode(details, f"activity {self.name!r} heartbeat"))

    @overload
    def heartbeat_details(self, type: type[T], /) -> T | None: ...
    @overload
    def heartbeat_details(self, type: Any = ..., /) -> Any: ...
    def heartbeat_details(self, type: Any = Any, /) -> Any:
        """Return what the last heartbeat said, of this attempt or the one before; ``None`` if there was none."""
        last = self._running.heartbeat
        if last is None:
            return None
        return self._running.payloads.decode(last, type, f"activity {self.name!r} heartbeat")

    @property
    def is_cancelled(self) -> bool:
        """Whether the outcome is not wanted any more; ``def`` activities look at it, ``async def`` ones are cancelled."""
        return self._running.is_over

    def raise_if_cancelled(self) -> None:
        """Raise ``ActivityCancelledError`` if the outcome is not wanted any more."""
        if self.is_cancelled:
            raise ActivityCancelledError(self.name)


def activity_context() -> ActivityContext:
    """Return the context of the activity that is running.

    Raises:
        OutsideOrchestrationError: None is.
    """
    running = _current.get(None)
    if running is None:
        raise OutsideOrchestrationError(
            "activity_context() outside an activity",
            "call it in a function that a worker runs as one",
        )
    return ActivityContext(running)


def enter_activity(running: RunningActivity) -> None:
    """Make an attempt the current one of this task or thread."""
    _current.set(running)
