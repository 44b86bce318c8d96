"""TaskHub: the front door; the only place that wires things together."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self, Unpack

from durable_async._engine.ends import Ends
from durable_async.backend import Backend
from durable_async.client import Client, OrchestrationHandle, explain
from durable_async.configuration import Settings, url_from
from durable_async.environment import Environment, SystemEnvironment
from durable_async.errors import ConfigurationError, shown
from durable_async.model.explanation import Explanation
from durable_async.model.health import Health
from durable_async.model.identity import check_version
from durable_async.model.records import HubStatistics
from durable_async.model.retention import DEFAULT_RETENTION, Retention
from durable_async.registry import Registry, SystemRegistry, default_registry
from durable_async.schedules import Schedules, system_of
from durable_async.serialization import DataConverter, JsonConverter
from durable_async.serialization.converter import PAYLOAD_BYTES_MAX
from durable_async.telemetry import HubCounted, Telemetry, signals_for
from durable_async.worker import Watchdog, Worker, WorkerSettings
from durable_async.worker.settings import WorkerChanges

from ._options import HubOptions
from ._stores import made, name_of, store_of
from ._workers import Workers

if TYPE_CHECKING:
    from durable_async.backends.offload import PayloadStore


class _Opened(NamedTuple):
    """What there is of a hub while it is open."""

    backend: Backend
    client: Client
    schedules: Schedules
    system: SystemRegistry
    make_worker: Callable[..., Worker]


class TaskHub:
    """A named container of orchestrations, in a store.

    One that `at` describes is opened by ``async with``, or by the life of an application (`lifespan`), and may be opened again once it is closed;
    one that `open` gives is open for the length of that block.

    Args:
        backend: The store, open already; or what makes one, which is opened and closed with the hub.
        name: Its name.
        registry: What its workers run by default; otherwise what the module-level decorators registered.
        payloads: Converter of values; JSON by default.
        environment: Clock, ids, chance and threads; only tests change it.
        default_version: See `open`.
        pending_max: See `open`.
        settings: Those of its workers, by default.
        telemetry: See `open`.
        retention: How long what has ended is kept; see `Retention`. ``None`` for ever.

    Attributes:
        name: The hub's name; several hubs in one store never see each other.
        signals: Whom to tell what happens here, if anybody listens.
    """

    def __init__(
        self,
        backend: Backend | Callable[[], Backend],
        *,
        name: str = "default",
        registry: Registry | None = None,
        payloads: DataConverter | None = None,
        environment: Environment | None = None,
        default_version: str | None = None,
        pending_max: int | None = None,
        settings: WorkerSettings | None = None,
        telemetry: Telemetry | Iterable[Telemetry] | None = None,
        retention: Retention | None = DEFAULT_RETENTION,
    ) -> None:
        self.name = name
        self.signals = signals_for(telemetry)
        self._registry = registry or default_registry
        self._payloads = payloads or JsonConverter()
        self._environment = environment or SystemEnvironment()
        self._default_version = check_version(default_version)
        self._pending_max = _checked_bound(pending_max)
        self._settings = settings or WorkerSettings()
        self._retention = _checked(retention)
        self._opened: _Opened | None = None
        self._is_opening = False
        self._workers = Workers()
        self._make: Callable[[], Backend] | None = None
        if isinstance(backend, str):
            raise ConfigurationError(
                "a hub is made of a backend: for a URL there are TaskHub.at(...) and TaskHub.open(...)"
            )
        if callable(backend):
            self._make = backend
        else:
            self._opened = self._use(backend)

    def __repr__(self) -> str:
        where = f"in {self._opened.backend.description}" if self._opened else "(not open)"
        return f"<TaskHub {self.name!r} {where}>"

    @property
    def client(self) -> Client:
        """Starts, watches and steers orchestrations.

        Raises:
            ConfigurationError: The hub is not open.
        """
        return self._open().client

    @property
    def schedules(self) -> Schedules:
        """Starts orchestrations at times: by cron expressions, at intervals, or once.

        Raises:
            ConfigurationError: The hub is not open.
        """
        return self._open().schedules

    @property
    def backend(self) -> Backend:
        """The store.

        Raises:
            ConfigurationError: The hub is not open.
        """
        return self._open().backend

    @property
    def retention(self) -> Retention:
        """How long its workers here keep what has ended."""
        return self._retention

    @property
    def registry(self) -> Registry:
        """What its workers run by default."""
        return self._registry

    @property
    def payloads(self) -> DataConverter:
        """Its converter of values."""
        return self._payloads

    @classmethod
    def at(
        cls,
        url: str | Backend | None = None,
        *,
        hub: str | None = None,
        registry: Registry | None = None,
        payloads: DataConverter | None = None,
        payload_store: PayloadStore | None = None,
        default_version: str | None = None,
        pending_max: int | None = None,
        settings: WorkerSettings | None = None,
        telemetry: Telemetry | Iterable[Telemetry] | None = None,
        retention: Retention | None = DEFAULT_RETENTION,
        environment: Environment | None = None,
    ) -> TaskHub:
        """Describe a hub that is opened later, in whichever event loop that is; nothing is opened here.

            hub = TaskHub.at("sqlite:///orders.db")
            app = FastAPI(lifespan=hub.lifespan)

        Args:
            url: As for `open`, like all others; a backend of your own making can be opened once only. By default it is what the variable
                ``DURABLE_ASYNC_URL`` says, and nothing else is read from the environment: see `from_environment`.
            hub: Name of the hub in the store.
            registry: What its workers run by default.
            payloads: Converter of values.
            payload_store: Where large payloads are kept.
            default_version: The version of what is started without one.
            pending_max: How many orchestrations may be pending.
            settings: Those of its workers, by default.
            telemetry: Who listens.
            retention: How long what has ended is kept.
            environment: Clock, ids, chance and threads.

        Raises:
            ConfigurationError: The URL names no backend that exists, or cannot be read.
        """
        environment = environment or SystemEnvironment()
        url = url_from() if url is None else url
        hub = name_of(url, hub)
        if isinstance(url, str):
            store_of(url, hub, environment)  # says now what is wrong with the URL
        if payloads is None and payload_store is not None:
            payloads = JsonConverter(payload_bytes_warn=PAYLOAD_BYTES_MAX)
        return cls(
            functools.partial(made, url, hub, payload_store, environment),
            name=hub,
            registry=registry,
            payloads=payloads,
            environment=environment,
            default_version=default_version,
            pending_max=pending_max,
            settings=settings,
            telemetry=telemetry,
            retention=retention,
        )

    @classmethod
    def from_environment(
        cls, *, url: str | Backend | None = None, **options: Unpack[HubOptions]
    ) -> TaskHub:
        """Describe a hub by environment variables, ``DURABLE_ASYNC_URL`` and others; see `durable_async.configuration.Settings`.

        Args:
            url: As for `at`, in place of what the variable says.
            **options: The same of all that `at` takes.

        Raises:
            ConfigurationError: A variable makes no sense, or there is no such setting, or nothing says where the store is.
        """
        found = Settings.from_environment()
        described: HubOptions = {
            "hub": found.hub,
            "default_version": found.default_version,
            "pending_max": found.pending_max,
            "settings": found.worker,
            "retention": found.retention,
        }
        described.update(options)
        return cls.at(found.url if url is None else url, **described)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str | Backend,
        *,
        hub: str | None = None,
        registry: Registry | None = None,
        payloads: DataConverter | None = None,
        payload_store: PayloadStore | None = None,
        default_version: str | None = None,
        pending_max: int | None = None,
        settings: WorkerSettings | None = None,
        telemetry: Telemetry | Iterable[Telemetry] | None = None,
        retention: Retention | None = DEFAULT_RETENTION,
        environment: Environment | None = None,
    ) -> AsyncGenerator[TaskHub, None]:
        """Open a hub for the length of an ``async with`` block; store and hub are created if they are new.

        Args:
            url: ``postgresql://user@host/database`` (``?schema=name`` for another schema than ``durable_async``, and more: see
                `durable_async.backends.postgres.PostgresBackend`), ``sqlite:///file.db`` (relative), ``sqlite:////path/file.db``
                (absolute), or ``memory://``; or a backend of your own making, not open yet, for what no URL carries, such as
                ``PostgresBackend("postgresql://host/database", pool=pool)``.
            hub: Name of the hub in the store, ``default`` by default; a backend of your own making has been told already.
            registry: What its workers run by default; otherwise what the module-level decorators registered.
            payloads: Converter of values; JSON by default.
            payload_store: Where large payloads are kept, beside the store: see `durable_async.backends.offload`. All processes of a hub need
                the same.
            default_version: The version of what this hub's client, its routes and, at their ticks, its schedules start without one, most often
                that of the program's own code; none by default. What orchestrations and entities start has the version that they say.
            pending_max: How many orchestrations of the hub may be pending, about, before this client's starts are refused with
                ``OverloadedError``; any number by default. Children are not refused.
            settings: Those of its workers, by default.
            telemetry: Who hears what happens here: one, such as `durable_async.integrations.opentelemetry.OpenTelemetry`, or several.
            retention: How long orchestrations that have ended are kept, after which the hub's workers delete them: 30 days by default, and 90
                if they failed; see `Retention`. ``None`` keeps them for ever.
            environment: Clock, ids, chance and threads; only tests change it.

        Raises:
            ConfigurationError: The URL names no backend that exists, or cannot be read; the store cannot be used.
            SchemaVersionError: Its schema does not fit this release, and may not be upgraded from here.
            BackendUnavailableError: It does not answer, or does not let us in.
        """
        described = cls.at(
            url,
            hub=hub,
            registry=registry,
            payloads=payloads,
            payload_store=payload_store,
            default_version=default_version,
            pending_max=pending_max,
            settings=settings,
            telemetry=telemetry,
            retention=retention,
            environment=environment,
        )
        async with described:
            yield described

    async def __aenter__(self) -> Self:
        """Open it, as `at` described it; raises what `open` raises."""
        if self._make is None:
            raise ConfigurationError("this hub was made with a store that is open already")
        if self._opened is not None or self._is_opening:
            raise ConfigurationError(f"the hub {self.name!r} is open already, in this process")
        self._is_opening = True
        try:
            backend = self._make()
            await backend.open()
            self._opened = self._use(backend)
            self._workers.begin_anew()
        finally:
            self._is_opening = False
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it; who waits for something of it is told that it is closed."""
        opened = self._open()
        self._opened = None
        try:
            opened.client.close()
        finally:
            await opened.backend.close()

    @asynccontextmanager
    async def lifespan(
        self, app: object = None, *, works: bool = True
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Open the hub and run a worker, as long as an application lives: ``FastAPI(lifespan=hub.lifespan)``.

        It takes no signal handlers, and runs in the application's event loop. In a lifespan of your own: ``async with hub.lifespan(app): yield``.

        Args:
            app: The application; one that has a ``state``, as Starlette's have, finds the hub there as ``task_hub``, too.
            works: Whether a worker runs here; without one, this process only starts and watches what others carry out.

        Yields:
            What Starlette puts into ``request.state``: the hub, as ``task_hub``.
        """
        async with self:
            with _left_at(getattr(app, "state", None), self):
                if not works:
                    yield {"task_hub": self}
                    return
                async with self.worker():
                    yield {"task_hub": self}

    def worker(
        self,
        registry: Registry | None = None,
        *,
        settings: WorkerSettings | None = None,
        **changes: Unpack[WorkerChanges],
    ) -> Worker:
        """Return a worker for an ``async with`` block; it runs in this event loop, as long as the block.

        Args:
            registry: What it runs; the hub's by default.
            settings: Its bounds and times; the hub's by default.
            **changes: Single settings by name, which differ from the hub's, instead of ``settings``.
        """
        if settings is not None and changes:
            raise ConfigurationError("pass settings, or single settings by name, not both")
        opened = self._open()
        worker = opened.make_worker(
            opened.backend,
            registry=(registry or self._registry).with_system(opened.system),
            settings=settings or dataclasses.replace(self._settings, **changes),
            retention=self._retention,
            on_failure=self._workers.note_failure,
        )
        self._workers.add(worker)
        return worker

    def _use(self, backend: Backend) -> _Opened:
        ends = Ends()
        client = Client(
            backend,
            self._environment,
            self._payloads,
            ends,
            default_version=self._default_version,
            pending_max=self._pending_max,
            signals=self.signals,
            hub=self.name,
        )
        system = system_of(client, self.signals, self.name)
        make_worker = functools.partial(
            Worker,
            environment=self._environment,
            payloads=self._payloads,
            hub=self.name,
            ends=ends,
            signals=self.signals,
        )
        schedules = Schedules(
            client,
            self._payloads,
            backend.now_us,
            self._environment.new_id,
            lambda: make_worker(backend, registry=system, settings=self._settings),
        )
        return _Opened(backend, client, schedules, system, make_worker)

    def _open(self) -> _Opened:
        if self._opened is None:
            raise ConfigurationError(
                f"the hub {self.name!r} is not open: it is inside `async with hub`, or while an application lives that has `hub.lifespan`"
            )
        return self._opened

    async def statistics(self) -> HubStatistics:
        """Count what the hub holds, in all processes; who listens is told, too."""
        found = await self.backend.statistics()
        if self.signals is not None and self.signals.hub_counted is not None:
            self.signals.hub_counted(_counted(self.name, found))
        return found

    async def explain(self, instance: str | OrchestrationHandle[Any]) -> Explanation:
        """Say what an orchestration waits for, since when, and what is in its way.

        If its orchestrator is registered here, its history is replayed with the code as it is now, from which come the source lines and the
        external events that are waited for; nothing else comes of the replay, and nothing is changed. A turn that takes longer than
        ``turn_seconds_max`` of the hub's settings is interrupted, as in a worker, and then in the way.

        Args:
            instance: An id or a handle.

        Raises:
            InstanceNotFoundError: There is no such instance.
        """
        watchdog = Watchdog(self._environment, self._settings.turn_seconds_max)
        watch = watchdog.start()
        try:
            return await explain(
                instance, self.backend, self._registry, self._payloads, watchdog.watch
            )
        finally:
            watch.stop()

    async def health(self, *, timeout: float = 2.0) -> Health:
        """Look how the hub is in this process, as for ``/healthz`` and ``/readyz``: one small read, and it never raises.

        A hub that is not open yet, or not any more, is alive and not ready. One of whose workers ended with an exception is not alive,
        open or closed, until it gets another worker or is opened again: the application around it may go on as if nothing were.

        Args:
            timeout: Seconds that the store may take to answer.
        """
        backend = None if self._opened is None else self._opened.backend
        return await self._workers.health(backend, self._environment, timeout)

    async def count_expired(self, retention: Retention | None = None) -> dict[str, int]:
        """Count what a retention would delete by now, by the names of orchestrators; the hub's own by default. Nothing is deleted."""
        return await self.client.count_expired(retention or self._retention)


def _checked_bound(pending_max: object) -> int | None:
    """Return how many orchestrations may be pending; refused before a store is open, which nobody would close."""
    if pending_max is None:
        return None
    if not isinstance(pending_max, int) or isinstance(pending_max, bool) or pending_max < 1:
        raise ConfigurationError(
            f"pending_max must be a whole number, 1 or more, not {shown(pending_max)}"
        )
    return pending_max


def _checked(retention: Retention | None) -> Retention:
    if retention is not None and not isinstance(retention, Retention):
        raise ConfigurationError(f"retention must be a Retention, not {shown(retention)}")
    return Retention.OFF if retention is None else retention


@contextmanager
def _left_at(state: Any, hub: TaskHub) -> Generator[None]:
    """Let an application find its hub, where it has a place for such things."""
    if state is None:
        yield
        return
    outer = getattr(state, "task_hub", None)  # of an application with several hubs
    state.task_hub = hub
    try:
        yield
    finally:
        state.task_hub = outer


def _counted(hub: str, found: HubStatistics) -> HubCounted:
    return HubCounted(
        hub=hub,
        by_status={status.value: count for status, count in found.by_status.items()},
        entities=found.entities,
        parked=found.parked,
        workers=found.workers,
        letters=found.letters,
        queued_activities=found.queued_activities,
    )
