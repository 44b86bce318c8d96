"""Serving: a worker at work, from its start to its end, on the thread of its hub."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable

from durable_async import BackendUnavailableError, Registry, TaskHub, WorkerSettings
from durabletask.payload import PayloadStore

from .engine_logs import passed_on
from .hosts import Address, Host, attach
from .tracing import tracing

RETRY_SECONDS = 1.0
RETRY_SECONDS_MAX = 30.0


class Serving:
    """A worker at work.

    Args:
        address: The hub.
        registry: What it runs.
        settings: Its bounds.
        payload_store: Where large payloads are kept, or ``None`` for the hub's own store.
        emits_spans: Whether its spans are written.
        logger: The worker's.
    """

    def __init__(
        self,
        address: Address,
        registry: Registry,
        settings: WorkerSettings,
        payload_store: PayloadStore | None,
        emits_spans: bool,
        logger: logging.Logger,
    ) -> None:
        self._address = address
        self._registry = registry
        self._settings = settings
        self._payload_store = payload_store
        self._emits_spans = emits_spans
        self._log = logger
        self._stopping = threading.Event()
        self._lock = threading.RLock()  # a signal's handler may stop it while it is stopped
        self._host: Host | None = None
        self._work: concurrent.futures.Future[None] | None = None
        self._end: Callable[[], object] | None = None
        self._patient: threading.Thread | None = None

    def start(self) -> None:
        """Begin to work; a store that does not answer is tried again until it does.

        Raises:
            ConfigurationError: There is no such store, or it cannot be used.
        """
        try:
            self._begin()
        except BackendUnavailableError as error:
            self._log.warning("the store does not answer, and is tried again: %s", error)
            self._patient = threading.Thread(
                target=self._begin_patiently, name="durabletask worker start", daemon=True
            )
            self._patient.start()

    def _begin_patiently(self) -> None:
        wait = RETRY_SECONDS
        while not self._stopping.wait(wait):
            try:
                self._begin()
            except BackendUnavailableError:
                wait = min(wait * 2, RETRY_SECONDS_MAX)
            except Exception:  # noqa: BLE001 - nobody waits for this thread, so it says what it met
                self._log.exception("the worker could not be started")
                return
            else:
                self._log.info("the store answers")
                return

    def _begin(self) -> None:
        host = attach(self._address)
        try:
            telemetry = tracing() if self._emits_spans else None
            hub = host.task_hub(self._registry, self._payload_store, telemetry=telemetry)
        except BaseException:
            host.detach()
            raise
        with self._lock:
            if self._stopping.is_set():
                host.detach()
                return
            self._host = host
            self._work = host.submit(self._serve(hub))
            self._work.add_done_callback(self._ended)

    async def _serve(self, hub: TaskHub) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        self._end = lambda: loop.call_soon_threadsafe(stop.set)
        if self._stopping.is_set():
            return
        with passed_on(self._log):
            await self._work_until(stop, hub)

    async def _work_until(self, stop: asyncio.Event, hub: TaskHub) -> None:
        async with hub.worker(settings=self._settings):
            self._log.info("working on %s", hub.backend.description)
            await stop.wait()

    def _ended(self, work: concurrent.futures.Future[None]) -> None:
        error = None if work.cancelled() else work.exception()
        if error is not None:
            self._log.error("the worker ended: %s", error, exc_info=error)

    @property
    def is_here(self) -> bool:
        """Whether the caller runs in the thread that does the work."""
        host = self._host
        return host is not None and host.is_here

    def stop(self) -> None:
        """Hand everything back, and let go of the hub; waits until that is done. In a forked child there is nothing to wait for."""
        self._stopping.set()
        if self._patient is not None:
            self._patient.join()
        with self._lock:
            host, work, end = self._host, self._work, self._end
            self._host = None
        if host is None or work is None:
            return
        if host.is_of_this_process:
            if end is not None:
                end()
            concurrent.futures.wait([work])
        host.detach()
