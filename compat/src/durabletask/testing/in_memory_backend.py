"""InMemoryOrchestrationBackend: everything that the engine does, with a store that is gone after the test."""

from __future__ import annotations

import threading
import uuid
import weakref
from typing import Final, Self

from durable_async.backends.memory import MemoryStore
from durable_async.backends.memory.state import HubState
from durable_async.environment import SystemEnvironment
from durabletask._runtime.addresses import DEFAULT_HUB
from durabletask._runtime.hosts import (
    Address,
    Host,
    attach,
    claim_port,
    keep_store,
    release_port,
)

_CONTENT: Final = (
    "instances",
    "order",
    "entities",
    "children",
    "tombstones",
    "schedule",
    "activities",
    "activity_queue",
    "starts",
    "sends",
    "answers",
)


class InMemoryOrchestrationBackend:
    """A store in this process's memory. While it runs, clients and workers of this process with its address use it.

    No port is opened: the port is the name by which it is found, under ``localhost``. Whatever task hub they name, all who use it share
    what is in it.

        backend = create_test_backend(port=50060)
        with TaskHubGrpcWorker(host_address="localhost:50060") as worker:
            ...
        backend.stop()

    Args:
        max_history_size: Accepted; histories are not bounded.
        port: The port to be found by.
    """

    def __init__(self, max_history_size: int = 10000, port: int = 50051) -> None:
        self._max_history_size = max_history_size
        self._port = port
        self._address = Address(f"memory://test-backend-{uuid.uuid4().hex}", DEFAULT_HUB)
        self._lock = threading.Lock()
        self._host: Host | None = None
        self._store = MemoryStore(SystemEnvironment())
        keep_store(self._address, self._store)
        weakref.finalize(self, keep_store, self._address, None)

    def __repr__(self) -> str:
        running = "running" if self._host is not None else "stopped"
        return f"<InMemoryOrchestrationBackend at port {self._port}, {running}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.stop()

    def start(self) -> str:
        """Let clients and workers find it, and return its address. What is in it since an earlier start is still there.

        Raises:
            RuntimeError: Another one runs at the port.
        """
        with self._lock:
            claim_port(self._port, self._address.url)
            if self._host is None:
                self._host = attach(self._address)
            _running.add(self)
        return f"localhost:{self._port}"

    def stop(self, grace: float | None = None) -> None:
        """Let nobody find it any more; who has found it may go on. Safe to repeat.

        Args:
            grace: Accepted; there is nothing to wait for.
        """
        with self._lock:
            release_port(self._port, self._address.url)
            host, self._host = self._host, None
            _running.discard(self)
        if host is not None:
            host.detach()

    def reset(self) -> None:
        """Empty it, also while it runs. Who waits for what was in it is told that it is gone."""
        host = attach(self._address)
        try:
            host.run(_emptied(self._store.hub(self._address.hub)))
        finally:
            host.detach()


_running: set[InMemoryOrchestrationBackend] = set()
"""One that runs is there until it is stopped, whether or not the program holds it."""


async def _emptied(hub: HubState) -> None:
    """Empty a hub on its own thread; its workers and listeners stay."""
    gone = [*hub.instances, *hub.entities]
    fresh = HubState()
    for part in _CONTENT:
        setattr(hub, part, getattr(fresh, part))
    for worker in hub.workers.values():
        worker.owned.clear()
        worker.marked.clear()
        worker.activities.clear()
    hub.hints.changed.update(dict.fromkeys(gone))
    hub.hints.publish()


def create_test_backend(
    port: int = 50051, max_history_size: int = 10000
) -> InMemoryOrchestrationBackend:
    """Return a backend that is started.

    Args:
        port: The port to be found by.
        max_history_size: Accepted; histories are not bounded.

    Raises:
        RuntimeError: Another one runs at the port.
    """
    backend = InMemoryOrchestrationBackend(max_history_size=max_history_size, port=port)
    backend.start()
    return backend
