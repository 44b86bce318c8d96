"""Where a hub is: what a host address, a task hub and the process's environment come to.

A host address means a server elsewhere to the Durable Task SDK. Here the store is reached directly, so an address says something only
if it is a store's URL, or the port of a backend that runs in this process.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from durable_async import ConfigurationError

URL_VARIABLE = "DURABLE_ASYNC_URL"
DEFAULT_FILE = "durabletask.db"
DEFAULT_HUB = "default"
DEFAULT_HOST_ADDRESS = "localhost:4001"

_STORES = frozenset({"sqlite", "postgresql", "postgres", "memory"})
_HERE = frozenset({"", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 - names for this machine, nothing is bound

_log = logging.getLogger("durabletask")


@dataclass(frozen=True, slots=True)
class Address:
    """A hub in a store.

    Attributes:
        url: The store: ``sqlite:////path/file.db``, ``postgresql://...`` or ``memory://name``.
        hub: The hub's name in it.
    """

    url: str
    hub: str

    @property
    def is_memory(self) -> bool:
        """Whether it is nowhere but in this process."""
        return self.url.startswith("memory:")


class _Ports:
    """The backends of this process, by the ports that they pretend to listen on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._addresses: dict[int, str] = {}
        self._told: set[str] = set()

    def claim(self, port: int, url: str) -> None:
        with self._lock:
            taken = self._addresses.setdefault(port, url)
        if taken != url:
            raise RuntimeError(f"a test backend runs at port {port} of this process already")

    def release(self, port: int, url: str) -> None:
        with self._lock:
            if self._addresses.get(port) == url:
                del self._addresses[port]

    def find(self, port: int | None) -> str | None:
        with self._lock:
            return None if port is None else self._addresses.get(port)

    def is_news(self, url: str) -> bool:
        with self._lock:
            is_news = url not in self._told
            self._told.add(url)
        return is_news


_ports = _Ports()


def _forget() -> None:
    """Begin anew in a forked child: nothing runs there, and a lock may have been held."""
    global _ports  # noqa: PLW0603 - one table for the process, as ports are
    _ports = _Ports()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def claim_port(port: int, url: str) -> None:
    """Let clients and workers with an address at a port of this machine find a store of this process.

    Raises:
        RuntimeError: Another store has the port.
    """
    _ports.claim(port, url)


def release_port(port: int, url: str) -> None:
    """Take back what `claim_port` gave; nothing happens if that is over."""
    _ports.release(port, url)


def resolve(
    host_address: str | None = None,
    taskhub: str | None = None,
    logger: logging.Logger = _log,
) -> Address:
    """Return the hub that an address means.

    In this order: the address is a store's URL; it has the port of a backend of this process; the environment variable
    ``DURABLE_ASYNC_URL`` names a store; the file ``durabletask.db`` in the current directory.

    Args:
        host_address: What a program gives as its server; by default the one that the SDK has.
        taskhub: Name of the hub in the store, ``default`` by default.
        logger: Hears, once in a process, which file it is if nothing else is told.

    Raises:
        ConfigurationError: What the environment variable says is no URL of a store, or a URL cannot be read.
    """
    hub = taskhub or DEFAULT_HUB
    given = (host_address or DEFAULT_HOST_ADDRESS).strip()
    if _scheme(given) in _STORES:
        return Address(_absolute(given), hub)
    local = _ports.find(_local_port(given))
    if local is not None:
        return Address(local, DEFAULT_HUB)  # as with the SDK, a backend for tests is one hub
    told = os.environ.get(URL_VARIABLE, "").strip()
    if told:
        if _scheme(told) not in _STORES:
            raise ConfigurationError(
                f"{URL_VARIABLE} is no URL of a store: "
                "use postgresql://host/database, sqlite:////absolute/file.db or memory://"
            )
        return Address(_absolute(told), hub)
    url = _sqlite_url(Path(DEFAULT_FILE))
    if _ports.is_news(url):
        logger.info(
            "%s is not set: everything is kept in the file %s",
            URL_VARIABLE,
            Path.cwd() / DEFAULT_FILE,
        )
    return Address(url, hub)


def taskhub_in(metadata: Iterable[tuple[str, str]] | None) -> str | None:
    """Return the hub that metadata name, if they do."""
    found = [value for key, value in metadata or () if key.lower() == "taskhub"]
    return found[-1] if found else None


def _scheme(text: str) -> str:
    return text.partition(":")[0].lower() if "://" in text else ""


def _absolute(url: str) -> str:
    """Let a relative file mean the same for all, wherever the process goes later."""
    if _scheme(url) != "sqlite":
        return url
    path = _path(url)
    return _sqlite_url(Path(unquote(path[1:]))) if len(path) > 1 else url


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        pass  # whose words may quote what is secret
    raise ConfigurationError("the URL of the store cannot be read")


def _sqlite_url(path: Path) -> str:
    return f"sqlite:///{quote(str(path.absolute()))}"


def _local_port(host_address: str) -> int | None:
    """Return the port of an address on this machine; none if it is elsewhere, or no address."""
    bare = host_address.split("://", 1)[-1]
    try:
        parts = urlsplit(f"//{bare}")
        port = parts.port
    except ValueError:
        return None
    return port if (parts.hostname or "") in _HERE else None
