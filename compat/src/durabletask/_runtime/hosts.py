"""Hosts: what a client or a worker holds of a hub that lives in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from durable_async import DataConverter, Registry, TaskHub
from durable_async.backend import Backend
from durable_async.backends.memory import MemoryStore
from durable_async.telemetry import Telemetry

from .addresses import Address, claim_port, release_port, resolve, taskhub_in
from .engines import Engine, engines
from .texts import TextPayloads

if TYPE_CHECKING:
    from durabletask.payload import PayloadStore

T = TypeVar("T")

__all__ = (
    "Address",
    "Host",
    "attach",
    "attach_async",
    "claim_port",
    "keep_store",
    "release_port",
    "resolve",
    "taskhub_in",
)


class Host:
    """One user's hold on a hub: all users of an address in a process share its thread, event loop and open store.

    The store is closed when the last user has detached, and at the end of the process. What is in memory is kept until then. In a forked
    child a host finds, or begins, the child's own.

    Attributes:
        address: The hub.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._is_detached = False
        self._engine: Engine | None = engines().attach(address)

    def __repr__(self) -> str:
        return f"<Host of {self.address.hub!r}>"

    # -- running on the hub's loop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the hub's loop, and wait for its result in this thread.

        Whatever interrupts the wait, such as Ctrl-C, cancels the coroutine.

        Raises:
            RuntimeError: This is the hub's own thread, where waiting would never end, or the host is detached.
        """
        engine = self._engine_for(coroutine)
        if engine.is_here:
            coroutine.close()
            raise RuntimeError(
                "a blocking call in the thread that has to do it would never end: in async code use the async client, in an "
                "orchestrator what its context offers, or make the activity a plain function, which has a thread of its own"
            )
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            return engine.submit(coroutine, future).result()
        finally:
            future.cancel()

    async def run_async(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the hub's loop, and await its result on the caller's, which may be the same.

        Cancelling the caller cancels the coroutine.

        Raises:
            RuntimeError: The host is detached.
        """
        engine = self._engine_for(coroutine)
        if engine.is_here:
            return await coroutine
        return await asyncio.wrap_future(engine.submit(coroutine))

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Let a coroutine run on the hub's loop, and return its future at once; cancelling that cancels it.

        Raises:
            RuntimeError: The host is detached.
        """
        return self._engine_for(coroutine).submit(coroutine)

    @property
    def is_here(self) -> bool:
        """Whether the caller runs in the hub's own thread, where nothing may be waited for."""
        return self._engine is not None and self._engine.is_here

    @property
    def is_of_this_process(self) -> bool:
        """Whether its thread runs here; in a forked child it does not, before the first use."""
        return self._engine is not None and self._engine.pid == os.getpid()

    # -- what there is to run

    @property
    def backend(self) -> Backend:
        """The open store; its verbs belong to the hub's thread."""
        return self._current().hub().backend

    def task_hub(
        self,
        registry: Registry | None = None,
        payload_store: PayloadStore | None = None,
        *,
        telemetry: Telemetry | None = None,
    ) -> TaskHub:
        """Return a hub whose payloads are texts; use it on the hub's loop only.

        Without a registry all users share one, so that their calls share round trips.

        Args:
            registry: What its workers run.
            payload_store: Where large payloads are kept, or ``None`` for the hub's own store.
            telemetry: Who listens.
        """
        engine = self._current()

        def made() -> TaskHub:
            backend, payloads = _kept_in(engine.hub().backend, payload_store)
            return TaskHub(
                backend,
                name=self.address.hub,
                registry=registry or Registry(),
                payloads=payloads,
                telemetry=telemetry,
            )

        return (
            engine.make_hub(made) if registry else engine.shared_hub(made, payload_store, telemetry)
        )

    # -- letting go

    def detach(self) -> None:
        """Let go; the last one closes the store, and waits for that. Safe to repeat."""
        with self._lock:
            engine, self._engine = self._engine, None
            self._is_detached = True
        if engine is not None and engine.pid == os.getpid():
            engines().detach(engine)

    async def detach_async(self) -> None:
        """Let go without blocking the caller's loop."""
        with anyio.CancelScope(shield=True):  # also for a caller that was cancelled
            await anyio.to_thread.run_sync(self.detach)

    def _engine_for(self, coroutine: Coroutine[Any, Any, Any]) -> Engine:
        try:
            return self._current()
        except BaseException:
            coroutine.close()  # it was never to run, and nobody has to be warned of that
            raise

    def _current(self) -> Engine:
        with self._lock:
            if self._is_detached or self._engine is None:
                raise RuntimeError("this client or worker is closed")
            if self._engine.pid != os.getpid():
                self._engine = engines().attach(self.address)
            return self._engine


def _kept_in(backend: Backend, payload_store: PayloadStore | None) -> tuple[Backend, DataConverter]:
    """Return a backend that keeps large payloads in a store of the program's, and how payloads are written for that."""
    if payload_store is None:
        return backend, TextPayloads()
    from .offloading import BoundedTexts, offloading  # noqa: PLC0415 - most programs have none

    return offloading(backend, payload_store), BoundedTexts(payload_store)


def attach(address: Address) -> Host:
    """Take hold of a hub; its store is open when this returns.

    Raises:
        DurableError: The store could not be opened.
    """
    return Host(address)


async def attach_async(address: Address) -> Host:
    """Take hold of a hub without blocking the caller's loop.

    Raises:
        DurableError: The store could not be opened.
    """
    return await anyio.to_thread.run_sync(attach, address)


def keep_store(address: Address, store: MemoryStore | None) -> None:
    """Let an address in memory mean a store of the caller's, or forget it if there is none."""
    if store is None:
        engines().drop(address)
    else:
        engines().keep(address, store)
