"""ActivityContext: what activity code sees of the engine."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TypeVar, overload

from durable_async.errors import DurableError, OutsideOrchestrationError
from durable_async.serialization import DataConverter

T = TypeVar("T")

_current: ContextVar[ActivityContext] = ContextVar("durable_async_activity")


class ActivityCancelledError(DurableError):
    """Raised in a ``def`` activity that asks, when its outcome is not wanted any more."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"activity {name!r} was cancelled")


class NonRetryableError(DurableError):
    """Raise it in an activity to rule out another attempt; subclass it, or set ``non_retryable = True`` on any exception."""

    non_retryable = True


class ActivityContext:
    """One attempt of an activity, from the inside; `activity_context()` returns it.

    Attributes:
        name: The activity's name.
        instance_id: The orchestration that called it.
        execution: That orchestration's generation.
        seq: The call's number in that execution.
        attempt: From 1.
        deadline: When this attempt is cancelled, or ``None``.
    """

    def __init__(
        self,
        hub: str,
        name: str,
        instance_id: str,
        execution: int,
        seq: int,
        attempt: int,
        deadline_us: int | None,
        last_heartbeat: bytes | None,
        payloads: DataConverter,
        beat: Callable[[bytes], None],
    ) -> None:
        self._hub = hub
        self.name = name
        self.instance_id = instance_id
        self.execution = execution
        self.seq = seq
        self.attempt = attempt
        self.deadline = (
            None if deadline_us is None else datetime.fromtimestamp(deadline_us / 1e6, UTC)
        )
        self._last = last_heartbeat
        self._payloads = payloads
        self._beat = beat
        self._cancelled = False

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of one call, and for no other call of the hub: give it to systems that take one."""
        return f"{self._hub}/{self.instance_id}/{self.execution}/{self.seq}"

    def heartbeat(self, details: Any = None) -> None:
        """Say that the attempt is alive, and how far it is: the next attempt finds ``details``. Also from a thread."""
        self.raise_if_cancelled()
        self._last = self._payloads.encode(details, f"activity {self.name!r} heartbeat")
        self._beat(self._last)

    @overload
    def heartbeat_details(self, type: type[T], /) -> T | None: ...
    @overload
    def heartbeat_details(self, type: Any = ..., /) -> Any: ...
    def heartbeat_details(self, type: Any = Any, /) -> Any:
        """Return what the last heartbeat said, of this attempt or the one before; ``None`` if there was none."""
        if self._last is None:
            return None
        return self._payloads.decode(self._last, type, f"activity {self.name!r} heartbeat")

    @property
    def is_cancelled(self) -> bool:
        """Whether the outcome is not wanted any more; ``def`` activities look at it, ``async def`` ones are cancelled."""
        return self._cancelled

    def raise_if_cancelled(self) -> None:
        """Raise ``ActivityCancelledError`` if the outcome is not wanted any more."""
        if self._cancelled:
            raise ActivityCancelledError(self.name)


def activity_context() -> ActivityContext:
    """Return the context of the activity that is running.

    Raises:
        OutsideOrchestrationError: None is.
    """
    context = _current.get(None)
    if context is None:
        raise OutsideOrchestrationError(
            "activity_context() outside an activity",
            "call it in a function that a worker runs as one",
        )
    return context


def enter_activity(context: ActivityContext) -> None:
    """Make it the current one of this task or thread."""
    _current.set(context)


def cancel_activity(context: ActivityContext) -> None:
    """Let the code see that its outcome is not wanted any more."""
    context._cancelled = True  # noqa: SLF001 - the engine's side of the context
