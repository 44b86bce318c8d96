"""The orchestration context: the documented calls, made durable by durable_async's own context."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import durable_async
from durable_async import ActivityOptions, CriticalSection, DurableFuture
from durabletask.entities import EntityInstanceId, EntityLock
from durabletask.internal.type_discovery import discover_return_type
from durabletask.task import (
    Activity,
    CancellableTask,
    CompletableTask,
    OrchestrationContext,
    Orchestrator,
    RetryableTask,
    RetryPolicy,
    Task,
    TaskFailedError,
    TimerTask,
    get_name,
)

from .children import Child, id_of, start, start_repeatedly
from .entity_ids import to_native
from .failures import from_native, operation_failure
from .moments import Moment
from .retries import native_policy
from .rules import Rules

TInput = TypeVar("TInput")
TOutput = TypeVar("TOutput")

MOMENT_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"

_UUIDS = uuid.uuid5(uuid.NAMESPACE_OID, "9e952958-5e33-4daf-827f-2fa12937b875")
"""The namespace that the SDK's ids are drawn in: the same program draws the same ids here."""

Told = Callable[[durable_async.ExecutionError], TaskFailedError]


class Continuation(NamedTuple):
    """What the next execution begins with."""

    input: str | None
    keep_events: bool
    version: str | None


class RuntimeContext(OrchestrationContext):
    """One execution, from the inside.

    Attributes:
        native: The context below.
        continuation: What the next execution begins with, if the code asked for one.
        fresh: Activities called since the code last waited: history does not hold them yet.
    """

    def __init__(self, native: durable_async.OrchestrationContext, rules: Rules) -> None:
        self.native = native
        self.rules = rules
        self.continuation: Continuation | None = None
        self.fresh: list[Task[Any]] = []
        self._calls = 0
        self._uuids = 0
        self._section: CriticalSection | None = None

    def __repr__(self) -> str:
        return f"<OrchestrationContext {self.native.name} {self.instance_id!r}>"

    @property
    def instance_id(self) -> str:
        """Its id."""
        return self.native.instance_id

    @property
    def version(self) -> str | None:
        """Its version."""
        return self.native.version

    @property
    def parent_instance_id(self) -> str | None:
        """The orchestration that started it."""
        return self.native.parent_instance_id

    @property
    def current_utc_datetime(self) -> datetime:
        """Orchestrator time."""
        return Moment.of(self.native.current_utc_datetime)

    @property
    def is_replaying(self) -> bool:
        """Whether it replays."""
        return self.native.is_replaying

    def set_custom_status(self, custom_status: Any) -> None:
        """Publish something."""
        self.native.set_custom_status(self.rules.converter.serialize(custom_status))

    def new_uuid(self) -> str:
        """Return an id that every replay repeats."""
        moment = self.current_utc_datetime.strftime(MOMENT_FORMAT)
        drawn = uuid.uuid5(_UUIDS, f"{self.instance_id}_{moment}_{self._uuids}")
        self._uuids += 1
        return str(drawn)

    # -- timers

    def create_timer(self, fire_at: datetime | timedelta) -> TimerTask:
        """Wait until a time or for a duration."""
        now = self.current_utc_datetime
        due = now + fire_at if isinstance(fire_at, timedelta) else naive(fire_at)
        interval = self.rules.maximum_timer_interval
        timer = TimerTask(due, interval)
        self._wait_until(timer, now, due)
        return timer

    def _wait_until(self, timer: TimerTask, now: datetime, due: datetime) -> None:
        """Let a timer fire when it is due, by as many timers below as its longest interval asks for.

        That interval may be another one in the next release: what counts is the timer that was created.
        """
        interval = self.rules.maximum_timer_interval
        is_long = interval is not None and interval > timedelta(0) and due - now > interval
        moment = now + interval if is_long and interval is not None else due
        self.count()
        future = self.native.create_timer(moment.replace(tzinfo=UTC), may_change=True)
        timer.set_cancel_handler(lambda: _give_up(future))

        def fired(_: Any) -> None:
            if future.cancelled() or timer.is_complete:
                return
            if self.current_utc_datetime < due:
                self._wait_until(timer, self.current_utc_datetime, due)
            else:
                timer.complete(None)

        future.add_done_callback(fired)

    # -- activities and sub-orchestrations

    def call_activity(
        self,
        activity: Activity[TInput, TOutput] | str,
        *,
        input: TInput | None = None,
        retry_policy: RetryPolicy | None = None,
        tags: dict[str, str] | None = None,
        return_type: type | None = None,
    ) -> CompletableTask[Any]:
        """Run an activity."""
        name = activity if isinstance(activity, str) else get_name(activity)
        into = self._result_type(activity, return_type)
        text = self.rules.converter.serialize(input)
        number = self.count()
        task: CompletableTask[Any]
        if retry_policy is None:
            task = CompletableTask(into)
            future = self.native.call_activity(name, text)
        else:
            task = RetryableTask(into)
            options = ActivityOptions(retry=native_policy(retry_policy))
            future = self.native.call_activity(name, text, options=options)
        self.connect(future, task, self.told(f"{self.instance_id}: Activity task #{number}"))
        self.fresh.append(task)
        return task

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
        """Start a child and wait for its result."""
        name = orchestrator if isinstance(orchestrator, str) else get_name(orchestrator)
        versioning = self.rules.versioning
        number = self.count()
        child = Child(
            name=name,
            text=self.rules.converter.serialize(input),
            instance_id=instance_id or id_of(self.native, number),
            version=version,
            default_version=(versioning and versioning.default_version) or "",
            number=number,
        )
        if retry_policy is None:
            task: CompletableTask[Any] = CompletableTask(return_type)
            start(self, child, task)
        else:
            task = RetryableTask(return_type)
            start_repeatedly(self, child, task, retry_policy)
        return task

    def _result_type(self, function: Any, given: type | None) -> Any:
        if given is not None or isinstance(function, str):
            return given
        return discover_return_type(function, self.rules.converter)

    # -- events

    def wait_for_external_event(
        self, name: str, *, data_type: type | None = None
    ) -> CancellableTask[Any]:
        """Wait for an event."""
        task: CancellableTask[Any] = CancellableTask(data_type)
        future = self.native.wait_for_external_event(name.casefold())
        task.set_cancel_handler(lambda: _give_up(future))
        self.connect(future, task, self.told("Event"))
        return task

    def send_event(self, instance_id: str, event_name: str, *, data: Any | None = None) -> None:
        """Raise an event on another orchestration."""
        if not instance_id or not instance_id.strip():
            raise ValueError("instance_id must not be blank")
        if instance_id.startswith("@"):
            raise ValueError(f"{instance_id!r} is an entity, and events are for orchestrations")
        if not event_name or not event_name.strip():
            raise ValueError("event_name must not be blank")
        text = self.rules.converter.serialize(data)
        self.count()
        self.native.send_event(instance_id, event_name.casefold(), text)

    # -- entities

    def call_entity(
        self,
        entity: EntityInstanceId,
        operation: str,
        input: Any = None,
        *,
        return_type: type | None = None,
    ) -> CompletableTask[Any]:
        """Let an entity do something."""
        text = self.rules.converter.serialize(input)
        future = self.native.call_entity(to_native(entity), operation, text)
        self.count()
        self._uuids += 1
        task: CompletableTask[Any] = CompletableTask(return_type)

        def told(error: durable_async.ExecutionError) -> TaskFailedError:
            why = error.failure.message
            message = f"Operation '{operation}' on entity '{entity}' failed with error: {why}"
            return TaskFailedError(message, operation_failure(entity, operation, error.failure))

        self.connect(future, task, told)
        return task

    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation_name: str,
        input: Any = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Let an entity do something, without waiting."""
        text = self.rules.converter.serialize(input)
        at = None if signal_time is None else naive(signal_time).replace(tzinfo=UTC)
        self.native.signal_entity(to_native(entity_id), operation_name, text, at=at)
        self.count()
        self._uuids += 1

    def lock_entities(self, entities: list[EntityInstanceId]) -> CompletableTask[EntityLock]:
        """Ask for a critical section."""
        distinct = sorted({str(entity): entity for entity in entities}.items())
        if not distinct:
            raise RuntimeError("Failed to create entity lock request.")
        future = self.native.lock_entities([to_native(entity) for _, entity in distinct])
        self.count()
        self._uuids += 1
        task: CompletableTask[EntityLock] = CompletableTask()

        def granted(_: Any) -> None:
            if not future.cancelled():
                self._section = future.result()
                task.complete(EntityLock(self))

        future.add_done_callback(granted)
        return task

    def _exit_critical_section(self) -> None:
        section, self._section = self._section, None
        if section is not None:
            section.leave()

    # -- the next execution

    def continue_as_new(
        self, new_input: Any, *, save_events: bool = False, new_version: str | None = None
    ) -> None:
        """Begin anew when the code returns or waits; the first request counts."""
        text = self.rules.converter.serialize(new_input)
        if self.continuation is None:
            self.continuation = Continuation(text, save_events, new_version)

    # -- between here and below

    def count(self) -> int:
        """Return the number of the next durable call, from 1."""
        self._calls += 1
        return self._calls

    def told(self, what: str) -> Told:
        """Return how the failure of a call is told to the code."""

        def tell(error: durable_async.ExecutionError) -> TaskFailedError:
            message = f"{what} failed: {error.failure.message}"
            return TaskFailedError(message, from_native(error.failure))

        return tell

    def connect(self, future: DurableFuture[Any], task: CompletableTask[Any], told: Told) -> None:
        """Let a task have the outcome of a durable call."""

        def done(_: Any) -> None:
            if future.cancelled():
                return
            error = future.exception()
            if isinstance(error, durable_async.ExecutionError):
                task.settle(None, told(error))
            elif isinstance(error, Exception):
                task.settle(None, error)
            else:
                self._complete(task, future.result())

        future.add_done_callback(done)

    def _complete(self, task: CompletableTask[Any], text: str | None) -> None:
        try:
            value = self.rules.read(text, task.expected_type)
        except Exception as error:  # noqa: BLE001 - of a converter of the program's own; the code is told
            task.settle(None, error)
        else:
            task.complete(value)


def naive(moment: datetime) -> datetime:
    """Return a time as the documented names have it: naive, in UTC."""
    if moment.utcoffset() is None:
        return moment.replace(tzinfo=None)
    return moment.astimezone(UTC).replace(tzinfo=None)


def _give_up(future: DurableFuture[Any]) -> None:
    future.cancel()
