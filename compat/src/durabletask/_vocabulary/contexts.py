"""Contexts: what orchestrators and activities see of the engine, and what they look like themselves."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Generator
from datetime import datetime, timedelta
from typing import Any, TypeVar, overload

from durabletask.entities import DurableEntity, EntityContext, EntityInstanceId, EntityLock

from .retries import RetryPolicy
from .tasks import CancellableTask, CompletableTask, Task, TimerTask

T = TypeVar("T")
TInput = TypeVar("TInput")
TOutput = TypeVar("TOutput")


class OrchestrationContext(ABC):
    """One execution of an orchestration, from the inside."""

    @property
    @abstractmethod
    def instance_id(self) -> str:
        """Its id."""

    @property
    @abstractmethod
    def version(self) -> str | None:
        """The version it was started with, or ``None``."""

    @property
    @abstractmethod
    def parent_instance_id(self) -> str | None:
        """The orchestration that started it, or ``None`` at top level."""

    @property
    @abstractmethod
    def current_utc_datetime(self) -> datetime:
        """Orchestrator time: naive, UTC, the same in every replay."""

    @property
    @abstractmethod
    def is_replaying(self) -> bool:
        """Whether the code is being taken through what it did before."""

    @abstractmethod
    def set_custom_status(self, custom_status: Any) -> None:
        """Publish something that clients can read; ``None`` takes it back."""

    @abstractmethod
    def create_timer(self, fire_at: datetime | timedelta) -> TimerTask:
        """Wait until a time or for a duration; naive times are UTC, and what is past fires at once."""

    @overload
    def call_activity(
        self,
        activity: Activity[TInput, TOutput] | str,
        *,
        input: TInput | None = ...,
        retry_policy: RetryPolicy | None = ...,
        tags: dict[str, str] | None = ...,
        return_type: type[T],
    ) -> CompletableTask[T]: ...
    @overload
    def call_activity(
        self,
        activity: Callable[[ActivityContext, TInput], Coroutine[Any, Any, TOutput]],
        *,
        input: TInput | None = ...,
        retry_policy: RetryPolicy | None = ...,
        tags: dict[str, str] | None = ...,
        return_type: None = ...,
    ) -> CompletableTask[TOutput]: ...
    @overload
    def call_activity(
        self,
        activity: Activity[TInput, TOutput],
        *,
        input: TInput | None = ...,
        retry_policy: RetryPolicy | None = ...,
        tags: dict[str, str] | None = ...,
        return_type: None = ...,
    ) -> CompletableTask[TOutput]: ...
    @overload
    def call_activity(
        self,
        activity: str,
        *,
        input: Any = ...,
        retry_policy: RetryPolicy | None = ...,
        tags: dict[str, str] | None = ...,
        return_type: None = ...,
    ) -> CompletableTask[Any]: ...
    @abstractmethod
    def call_activity(
        self,
        activity: Activity[TInput, TOutput] | str,
        *,
        input: TInput | None = None,
        retry_policy: RetryPolicy | None = None,
        tags: dict[str, str] | None = None,
        return_type: type | None = None,
    ) -> CompletableTask[Any]:
        """Run an activity.

        Args:
            activity: The function, or its name.
            input: Its input.
            retry_policy: When a failed attempt is followed by another.
            tags: Accepted, and not kept.
            return_type: What the result is read into; by function, its annotation is the default.
        """

    @overload
    def call_entity(
        self,
        entity: EntityInstanceId,
        operation: str,
        input: Any = ...,
        *,
        return_type: type[T],
    ) -> CompletableTask[T]: ...
    @overload
    def call_entity(
        self,
        entity: EntityInstanceId,
        operation: str,
        input: Any = ...,
        *,
        return_type: None = ...,
    ) -> CompletableTask[Any]: ...
    @abstractmethod
    def call_entity(
        self,
        entity: EntityInstanceId,
        operation: str,
        input: Any = None,
        *,
        return_type: type | None = None,
    ) -> CompletableTask[Any]:
        """Let an entity do something, and tell what came out."""

    @abstractmethod
    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation_name: str,
        input: Any = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Let an entity do something, now or at a time, without waiting for it."""

    @abstractmethod
    def lock_entities(self, entities: list[EntityInstanceId]) -> CompletableTask[EntityLock]:
        """Ask for entities that nobody else uses until the block ends: ``with (yield ctx.lock_entities([a, b])):``."""

    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Orchestrator[TInput, TOutput] | str,
        *,
        input: TInput | None = ...,
        instance_id: str | None = ...,
        retry_policy: RetryPolicy | None = ...,
        version: str | None = ...,
        return_type: type[T],
    ) -> CompletableTask[T]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext, TInput], Coroutine[Any, Any, TOutput]],
        *,
        input: TInput | None = ...,
        instance_id: str | None = ...,
        retry_policy: RetryPolicy | None = ...,
        version: str | None = ...,
        return_type: None = ...,
    ) -> CompletableTask[TOutput]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext, TInput], Generator[Task[Any], Any, TOutput]],
        *,
        input: TInput | None = ...,
        instance_id: str | None = ...,
        retry_policy: RetryPolicy | None = ...,
        version: str | None = ...,
        return_type: None = ...,
    ) -> CompletableTask[TOutput]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext, TInput], TOutput],
        *,
        input: TInput | None = ...,
        instance_id: str | None = ...,
        retry_policy: RetryPolicy | None = ...,
        version: str | None = ...,
        return_type: None = ...,
    ) -> CompletableTask[TOutput]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: str,
        *,
        input: Any = ...,
        instance_id: str | None = ...,
        retry_policy: RetryPolicy | None = ...,
        version: str | None = ...,
        return_type: None = ...,
    ) -> CompletableTask[Any]: ...
    @abstractmethod
    def call_sub_orchestrator(
        self,
        orchestrator: Orchestrator[TInput, Any] | str,
        *,
        input: TInput | None = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        return_type: type | None = None,
    ) -> CompletableTask[Any]:
        """Start a child and wait for its result.

        Args:
            orchestrator: The function, or its name.
            input: Its input.
            instance_id: Its id; by default ``<this id>:<number of the call, four hex digits>``.
            retry_policy: When a failed child is started again, under the same id.
            version: Its version; by default that of the worker's `VersioningOptions`.
            return_type: What the result is read into.
        """

    @overload
    def wait_for_external_event(self, name: str, *, data_type: type[T]) -> CancellableTask[T]: ...
    @overload
    def wait_for_external_event(
        self, name: str, *, data_type: None = ...
    ) -> CancellableTask[Any]: ...
    @abstractmethod
    def wait_for_external_event(
        self, name: str, *, data_type: type | None = None
    ) -> CancellableTask[Any]:
        """Wait for an event; case does not matter in its name.

        Events are kept until somebody waits for them: first come, first served, among events and among waiters.
        """

    def send_event(self, instance_id: str, event_name: str, *, data: Any | None = None) -> None:
        """Raise an event on another orchestration; nothing happens if it is absent or has ended.

        Raises:
            ValueError: The id or the name is blank, or the id is an entity's.
        """
        raise NotImplementedError

    @abstractmethod
    def continue_as_new(
        self, new_input: Any, *, save_events: bool = False, new_version: str | None = None
    ) -> None:
        """Begin anew with another input and a fresh history, when the code returns or waits the next time.

        Args:
            new_input: What the next execution gets.
            save_events: Whether it also gets the events that nobody has waited for yet.
            new_version: Its version; by default the present one.
        """

    @abstractmethod
    def new_uuid(self) -> str:
        """Return an id that is the same in every replay."""

    def create_replay_safe_logger(self, logger: logging.Logger) -> ReplaySafeLogger:
        """Return an adapter of a logger that is silent in a replay."""
        return ReplaySafeLogger(logger, lambda: self.is_replaying)

    @abstractmethod
    def _exit_critical_section(self) -> None:
        """Unlock what `lock_entities` locked."""


class ActivityContext:
    """One attempt of an activity, from the inside."""

    def __init__(self, orchestration_id: str, task_id: int) -> None:
        self._orchestration_id = orchestration_id
        self._task_id = task_id

    @property
    def orchestration_id(self) -> str:
        """The orchestration that called it."""
        return self._orchestration_id

    @property
    def task_id(self) -> int:
        """Number of the call in that orchestration; the same for every attempt."""
        return self._task_id


class ReplaySafeLogger(logging.LoggerAdapter[logging.Logger]):
    """Passes records on unless the orchestration is replaying."""

    def __init__(self, logger: logging.Logger, is_replaying: Callable[[], bool]) -> None:
        super().__init__(logger, {})
        self._is_replaying = is_replaying

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name is logging's
        """Tell whether a record of this level would be passed on now."""
        return not self._is_replaying() and super().isEnabledFor(level)


Orchestrator = Callable[
    [OrchestrationContext, TInput], Generator[Task[Any], Any, TOutput] | TOutput
]
"""A generator function, an ``async def``, or a plain function."""

Activity = Callable[[ActivityContext, TInput], TOutput]
"""A function that may do anything, ``def`` or ``async def``."""

Entity = Callable[[EntityContext, TInput], TOutput] | type[DurableEntity]
"""A function that looks at ``ctx.operation``, or a class whose methods are the operations."""


def get_name(fn: Callable[..., Any]) -> str:
    """Return the name that a function is registered under.

    Raises:
        ValueError: It is a lambda, which has none.
    """
    name = fn.__name__
    if name == "<lambda>":
        raise ValueError(
            "Cannot infer a name from a lambda function. Please provide a name explicitly."
        )
    return name


def get_entity_name(fn: Entity[Any, Any]) -> str:
    """Return the name of an entity: its class's or function's own, or that of ``__durable_entity_name__``.

    Raises:
        ValueError: It is a lambda, which has none.
    """
    given = fn.__dict__.get("__durable_entity_name__") if isinstance(fn, type) else None
    return str(given or get_name(fn))
