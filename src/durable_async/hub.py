"""TaskHub: the front door; the only place that wires things together."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from durable_async._engine.ends import Ends
from durable_async.backend import Backend
from durable_async.client import Client
from durable_async.environment import Environment, SystemEnvironment
from durable_async.errors import ConfigurationError
from durable_async.model.identity import check_name
from durable_async.model.records import HubStatistics
from durable_async.registry import Registry, default_registry
from durable_async.serialization import DataConverter, JsonConverter
from durable_async.serialization.converter import PAYLOAD_BYTES_MAX
from durable_async.worker import Worker, WorkerSettings

if TYPE_CHECKING:
    from durable_async.backends.offload import PayloadStore


class TaskHub:
    """A named container of orchestrations, in a store.

    Attributes:
        name: The hub's name; several hubs in one store never see each other.
        client: Starts, watches and steers orchestrations.
        backend: The store.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        name: str = "default",
        registry: Registry | None = None,
        payloads: DataConverter | None = None,
        environment: Environment | None = None,
        pending_max: int | None = None,
    ) -> None:
        self.name = name
        self.backend = backend
        self._registry = registry or default_registry
        self._payloads = payloads or JsonConverter()
        self._environment = environment or SystemEnvironment()
        self._ends = Ends()
        self.client = Client(
            backend, self._environment, self._payloads, self._ends, pending_max=pending_max
        )

    def __repr__(self) -> str:
        return f"<TaskHub {self.name!r} in {self.backend.description}>"

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
        pending_max: int | None = None,
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
            pending_max: How many orchestrations of the hub may be pending, about, before this client's starts are refused with
                ``OverloadedError``; any number by default. Children are not refused.
            environment: Clock, ids, chance and threads; only tests change it.

        Raises:
            ConfigurationError: The URL names no backend that exists, or cannot be read; the store cannot be used.
            SchemaVersionError: Its schema does not fit this release, and may not be upgraded from here.
            BackendUnavailableError: It does not answer, or does not let us in.
        """
        environment = environment or SystemEnvironment()
        hub = _hub_name(url, hub)
        backend = _backend(url, hub, environment) if isinstance(url, str) else url
        if payload_store is not None:
            backend = _offloading(backend, payload_store, environment)
        await backend.open()
        try:
            if payloads is None and payload_store is not None:
                payloads = JsonConverter(payload_bytes_warn=PAYLOAD_BYTES_MAX)
            opened = cls(
                backend,
                name=hub,
                registry=registry,
                payloads=payloads,
                environment=environment,
                pending_max=pending_max,
            )
            try:
                yield opened
            finally:
                opened.client.close()
        finally:
            await backend.close()

    def worker(
        self,
        registry: Registry | None = None,
        *,
        settings: WorkerSettings | None = None,
        **changes: Any,
    ) -> Worker:
        """Return a worker for an ``async with`` block; it runs in this event loop, as long as the block.

        Args:
            registry: What it runs; the hub's by default.
            settings: Its bounds and times.
            **changes: Single settings by name, instead of ``settings``.
        """
        if settings is not None and changes:
            raise ConfigurationError("pass settings, or single settings by name, not both")
        return Worker(
            self.backend,
            self._environment,
            registry or self._registry,
            self._payloads,
            settings or WorkerSettings(**changes),
            self.name,
            self._ends,
        )

    async def statistics(self) -> HubStatistics:
        """Count what the hub holds."""
        return await self.backend.statistics()


def _hub_name(url: str | Backend, asked: str | None) -> str:
    """Return one name for both sides: idempotency keys begin with it, so all processes have to agree."""
    told = None if isinstance(url, str) else getattr(url, "hub_name", None)
    if asked is not None and told is not None and asked != told:
        raise ConfigurationError(
            f"the backend was made for the hub {told!r} and cannot be opened as {asked!r}: leave the name out here"
        )
    return check_name((told or "default") if asked is None else asked, "hub")


def _backend(url: str, hub: str, environment: Environment) -> Backend:
    scheme = _scheme(url)
    match scheme:
        case "memory":
            from durable_async.backends.memory import MemoryBackend

            return MemoryBackend(hub=hub, environment=environment)
        case "sqlite":
            from durable_async.backends.sqlite import SqliteBackend

            return SqliteBackend(_sqlite_path(url), hub=hub, environment=environment)
        case "postgresql" | "postgres":
            from durable_async.backends.postgres import PostgresBackend

            return PostgresBackend(url, hub=hub, environment=environment)
        case _:
            raise ConfigurationError(
                f"no backend for the scheme {scheme!r}: "
                "use postgresql://host/database, sqlite:///file.db or memory://"
            )


def _offloading(backend: Backend, store: PayloadStore, environment: Environment) -> Backend:
    from durable_async.backends.offload import OffloadingBackend

    return OffloadingBackend(backend, store, environment=environment)


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        pass  # whose words may quote a password
    raise ConfigurationError("the URL of the store cannot be read")


def _sqlite_path(url: str) -> str:
    path = unquote(urlsplit(url).path)
    if not path.startswith("/") or len(path) < 2:
        raise ConfigurationError("a SQLite URL has three slashes and a path: sqlite:///file.db")
    return path[1:]
