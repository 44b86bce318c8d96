"""Stores: what a URL names, and what the name of the hub in it is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from durable_async.backend import Backend
from durable_async.environment import Environment
from durable_async.errors import ConfigurationError
from durable_async.model.identity import check_name

if TYPE_CHECKING:
    from durable_async.backends.offload import PayloadStore


def name_of(url: str | Backend, asked: str | None) -> str:
    """Return the hub's one name for both sides: idempotency keys begin with it, so all processes have to agree."""
    told = None if isinstance(url, str) else getattr(url, "hub_name", None)
    if asked is not None and told is not None and asked != told:
        raise ConfigurationError(
            f"the backend was made for the hub {told!r} and cannot be opened as {asked!r}: leave the name out here"
        )
    return check_name((told or "default") if asked is None else asked, "hub")


def made(
    url: str | Backend, hub: str, payload_store: PayloadStore | None, environment: Environment
) -> Backend:
    """Return the store of a hub, not open yet: the one that is given, or that a URL names."""
    backend = store_of(url, hub, environment) if isinstance(url, str) else url
    if payload_store is not None:
        backend = _offloading(backend, payload_store, environment)
    return backend


def store_of(url: str, hub: str, environment: Environment) -> Backend:
    """Return the store that a URL names, not open yet.

    Raises:
        ConfigurationError: It names no backend that exists, or cannot be read.
    """
    scheme = _scheme(url)
    match scheme:
        case "memory":
            from durable_async.backends.memory import MemoryBackend  # noqa: PLC0415 - only the store that is used is imported

            return MemoryBackend(hub=hub, environment=environment)
        case "sqlite":
            from durable_async.backends.sqlite import SqliteBackend  # noqa: PLC0415 - only the store that is used is imported

            return SqliteBackend(_sqlite_path(url), hub=hub, environment=environment)
        case "postgresql" | "postgres":
            from durable_async.backends.postgres import PostgresBackend  # noqa: PLC0415 - only the store that is used is imported

            return PostgresBackend(url, hub=hub, environment=environment)
        case _:
            raise ConfigurationError(
                f"no backend for the scheme {scheme!r}: "
                "use postgresql://host/database, sqlite:///file.db or memory://"
            )


def _offloading(backend: Backend, store: PayloadStore, environment: Environment) -> Backend:
    from durable_async.backends.offload import OffloadingBackend  # noqa: PLC0415 - only the store that is used is imported

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
