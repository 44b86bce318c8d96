"""TaskHubGrpcWorker: runs a program's orchestrators, activities and entities, in this process."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final, Self

import anyio.to_thread

from durable_async import Divergence, Registry, WorkerSettings
from durabletask import task
from durabletask.exception_properties import ExceptionPropertiesProvider
from durabletask.grpc_options import GrpcChannelOptions, GrpcWorkerResiliencyOptions
from durabletask.internal.shared import get_logger
from durabletask.payload import PayloadStore
from durabletask.scheduled import register_schedules
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter

from ._runtime.contexts import MOMENT_FORMAT
from ._runtime.exception_properties import properties_of
from ._runtime.hosts import resolve, taskhub_in
from ._runtime.registered import Registered, add
from ._runtime.registries import native_registry
from ._runtime.rules import Rules
from ._runtime.serving import Serving
from ._runtime.unregistered import (
    ActivityNotRegisteredError,
    EntityNotRegisteredError,
    OrchestratorNotRegisteredError,
)
from ._vocabulary.options import (
    ActivityWorkItemFilter,
    ConcurrencyOptions,
    EntityWorkItemFilter,
    OrchestrationWorkItemFilter,
    VersionFailureStrategy,
    VersioningOptions,
    VersionMatchStrategy,
    WorkItemFilters,
)

__all__ = (
    "DATETIME_STRING_FORMAT",
    "DEFAULT_MAXIMUM_TIMER_INTERVAL",
    "ActivityNotRegisteredError",
    "ActivityWorkItemFilter",
    "ConcurrencyOptions",
    "EntityNotRegisteredError",
    "EntityWorkItemFilter",
    "OrchestrationWorkItemFilter",
    "OrchestratorNotRegisteredError",
    "TaskHubGrpcWorker",
    "VersionFailureStrategy",
    "VersionMatchStrategy",
    "VersioningOptions",
    "WorkItemFilters",
)

DEFAULT_MAXIMUM_TIMER_INTERVAL: Final = timedelta(days=3)
DATETIME_STRING_FORMAT: Final = MOMENT_FORMAT

_FROM_REGISTRY: Final = object()


class TaskHubGrpcWorker:
    """Runs orchestrators, activities and entities, on a thread of its own.

        with TaskHubGrpcWorker() as worker:
            worker.add_orchestrator(greet)
            worker.add_activity(hello)
            worker.start()
            ...

    ``async with`` starts it at once; then ``async def`` activities run on the event loop of the block, and can use what lives there.

    Args:
        host_address: The URL of a store, or the address of a backend of this process. Any other stands for the store that the
            environment variable ``DURABLE_ASYNC_URL`` names; by default that is the file ``durabletask.db``.
        metadata: An entry ``taskhub`` names the hub in the store; others are ignored.
        log_handler: Deprecated: where a logger of its own writes to.
        log_formatter: Deprecated: how it writes.
        logger: The logger.
        channel: Its address, if it tells one, is taken instead of ``host_address``. Nothing is sent through it.
        secure_channel: Accepted, and ignored: there is no connection to a server.
        interceptors: The same.
        channel_options: The same.
        resiliency_options: The same.
        concurrency_options: How much is done at a time.
        maximum_timer_interval: Longest single timer; longer waits are several in a row. ``None``, or nothing, for no limit.
        payload_store: Where large payloads are kept; all clients and workers of a hub need the same.
        data_converter: Makes texts of values; by default one that knows more types than `JsonDataConverter`.
        exception_properties_provider: Tells what else is recorded of exceptions.
        emit_trace_spans: Whether spans are written, to the global tracer provider, if OpenTelemetry is installed.
    """

    def __init__(
        self,
        *,
        host_address: str | None = None,
        metadata: list[tuple[str, str]] | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
        channel: Any = None,
        secure_channel: bool = False,
        interceptors: Sequence[Any] | None = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcWorkerResiliencyOptions | None = None,
        concurrency_options: ConcurrencyOptions | None = None,
        maximum_timer_interval: timedelta | None = DEFAULT_MAXIMUM_TIMER_INTERVAL,
        payload_store: PayloadStore | None = None,
        data_converter: DataConverter | None = None,
        exception_properties_provider: ExceptionPropertiesProvider | None = None,
        emit_trace_spans: bool = True,
    ) -> None:
        self._host_address = getattr(channel, "host_address", None) or host_address
        self._taskhub = taskhub_in(metadata)
        self._logger = get_logger("worker", log_handler, log_formatter, logger)
        self._concurrency_options = concurrency_options or ConcurrencyOptions()
        self._maximum_timer_interval = maximum_timer_interval
        self._payload_store = payload_store
        self._data_converter = DEFAULT_DATA_CONVERTER if data_converter is None else data_converter
        self._provider = exception_properties_provider
        self._emit_trace_spans = emit_trace_spans
        self._versioning: VersioningOptions | None = None
        self._filters: object = None
        self._registered = Registered()
        self._lock = threading.RLock()  # a signal's handler may stop it while it is stopped
        self._serving: Serving | None = None

    def __repr__(self) -> str:
        held = self._registered
        return (
            f"<TaskHubGrpcWorker of {len(held.orchestrators)} orchestrators, "
            f"{len(held.activities)} activities, {len(held.entities)} entities>"
        )

    # -- what it runs

    def add_orchestrator(self, fn: task.Orchestrator[Any, Any]) -> str:
        """Register an orchestrator under its function's name, which is returned.

        Raises:
            ValueError: The name is taken, or it is a lambda.
            RuntimeError: The worker is running.
        """
        self._refuse_while_running("orchestrators")
        name = task.get_name(_function(fn))
        add(self._registered.orchestrators, name, fn, "orchestrator")
        return name

    def add_activity(self, fn: task.Activity[Any, Any]) -> str:
        """Register an activity under its function's name, which is returned.

        Raises:
            ValueError: The name is taken, or it is a lambda.
            RuntimeError: The worker is running.
        """
        self._refuse_while_running("activities")
        name = task.get_name(_function(fn))
        add(self._registered.activities, name, fn, "activity")
        return name

    def add_entity(self, fn: task.Entity[Any, Any], name: str | None = None) -> str:
        """Register an entity, a function or a class, under its name, which is returned; case does not matter in it.

        Args:
            fn: The function or the class.
            name: Another name than its own.

        Raises:
            ValueError: The name is taken, or it is a lambda.
            RuntimeError: The worker is running.
        """
        self._refuse_while_running("entities")
        name = name or task.get_entity_name(_function(fn))
        task.EntityInstanceId.validate_entity_name(name)
        add(self._registered.entities, name.lower(), fn, "entity")
        return name

    def configure_scheduled_tasks(self) -> None:
        """Register what `durabletask.scheduled` needs.

        Raises:
            RuntimeError: The worker is running.
        """
        register_schedules(self)

    # -- which work it takes

    def use_versioning(self, version: VersioningOptions) -> None:
        """Say which version the worker has, and what it does about others.

        Raises:
            RuntimeError: The worker is running.
        """
        self._refuse_while_running("versioning options")
        self._versioning = version

    def use_work_item_filters(self, filters: Any = _FROM_REGISTRY) -> None:
        """Say which work the worker takes; the rest is left for others.

        Args:
            filters: Left out: what is registered when it starts. ``None``: any work, as at the beginning; then what is not registered
                fails.

        Raises:
            TypeError: They are no filters.
            RuntimeError: The worker is running.
        """
        self._refuse_while_running("work item filters")
        if not (
            filters is None or filters is _FROM_REGISTRY or isinstance(filters, WorkItemFilters)
        ):
            raise TypeError(f"filters must be WorkItemFilters or None, not {filters!r}")
        self._filters = filters

    def add_capability(self, capability: int) -> None:
        """Accept a capability; in process there is nobody to tell.

        Raises:
            RuntimeError: The worker is running.
        """
        self._refuse_while_running("capabilities")

    def _refuse_while_running(self, what: str) -> None:
        if self._serving is not None:
            raise RuntimeError(f"{what.capitalize()} cannot be added while the worker is running.")

    # -- its options

    @property
    def concurrency_options(self) -> ConcurrencyOptions:
        """How much is done at a time."""
        return self._concurrency_options

    @property
    def maximum_timer_interval(self) -> timedelta | None:
        """Longest single timer, or ``None``."""
        return self._maximum_timer_interval

    @property
    def emit_trace_spans(self) -> bool:
        """What it was told."""
        return self._emit_trace_spans

    # -- its life

    def start(self) -> None:
        """Begin to work, on a thread of its own; returns at once.

        Raises:
            RuntimeError: It is running already.
            ConfigurationError: The store cannot be used.
        """
        self._start(None)

    def stop(self) -> None:
        """Stop working: running activities get some seconds to end, everything else is handed back at once. It can be started again.

        Raises:
            RuntimeError: This is the thread that does the work, as in an ``async def`` activity, where waiting would never end.
        """
        serving = self._serving
        if serving is not None and serving.is_here:
            raise RuntimeError(
                "a worker cannot be stopped in the thread that does its work: let another one do it"
            )
        with self._lock:
            serving = self._serving
            if serving is None:
                return
            serving.stop()
            self._serving = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        try:
            await anyio.to_thread.run_sync(self._start, asyncio.get_running_loop())
        except asyncio.CancelledError:
            await self.__aexit__()  # it may have begun in its thread all the same
            raise
        return self

    async def __aexit__(self, *args: object) -> None:
        with anyio.CancelScope(shield=True):  # also for a caller that was cancelled
            await anyio.to_thread.run_sync(self.stop)

    def _start(self, home: asyncio.AbstractEventLoop | None) -> None:
        with self._lock:
            if self._serving is not None:
                raise RuntimeError("The worker is already running.")
            serving = Serving(
                resolve(self._host_address, self._taskhub, self._logger),
                self._native_registry(home),
                self._settings(),
                self._payload_store,
                self._emit_trace_spans,
                self._logger,
            )
            serving.start()
            self._serving = serving

    def _settings(self) -> WorkerSettings:
        options = self._concurrency_options
        settings = WorkerSettings(
            activities_max=options.maximum_concurrent_activity_work_items,
            operations_max=options.maximum_concurrent_entity_work_items,
            threads_max=options.maximum_thread_pool_workers,
            divergence=Divergence.FAIL,
        )
        if self._filters is None:
            return settings
        # What filters leave to others waits for them, however long they are away.
        return replace(settings, unregistered_grace_seconds=math.inf)

    def _native_registry(self, home: asyncio.AbstractEventLoop | None = None) -> Registry:
        """Return its code as durable_async runs it."""
        provider = self._provider
        rules = Rules(
            converter=self._data_converter,
            properties_of=None
            if provider is None
            else lambda error: properties_of(error, provider, self._logger),
            maximum_timer_interval=self._maximum_timer_interval,
            versioning=self._versioning,
            logger=self._logger,
        )
        filters = self._filters
        if filters is _FROM_REGISTRY:
            filters = self._registered.filters(self._versioning)
        assert filters is None or isinstance(filters, WorkItemFilters)
        return native_registry(
            self._registered, rules, filters=filters, observer=_Hooks(self), home=home
        )

    # -- for subclasses

    def _on_activity_execution_started(self, req: SimpleNamespace) -> None:
        """Take note that an activity begins: ``req.name``, ``req.taskId``, ``req.orchestrationInstance.instanceId``."""

    def _on_activity_execution_completed(self, req: SimpleNamespace) -> None:
        """Take note that an activity has ended, in whichever way."""


class _Hooks:
    """Tells a worker's subclass of its activities."""

    def __init__(self, worker: TaskHubGrpcWorker) -> None:
        self._worker = worker

    def begun(self, request: SimpleNamespace) -> None:
        self._worker._on_activity_execution_started(request)  # noqa: SLF001 - a hook of the documented name

    def ended(self, request: SimpleNamespace) -> None:
        self._worker._on_activity_execution_completed(request)  # noqa: SLF001 - the same


def _function(fn: Any) -> Any:
    if fn is None:
        raise ValueError("A function is required.")
    return fn
