"""What both clients are made with, and how they come to their hub: when they first need it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio.to_thread

from durable_async import TaskHub
from durabletask._runtime.hosts import Host, attach, resolve, taskhub_in
from durabletask._runtime.rpc import ended_with_client, translated
from durabletask._runtime.tracing import tracing
from durabletask._runtime.verbs import Verbs
from durabletask.internal.shared import get_logger
from durabletask.payload import PayloadStore
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter

T = TypeVar("T")

Verb = Callable[[Verbs], Coroutine[Any, Any, T]]


class Connection:
    """A client's way to its hub. Nothing is opened before the first call, and an error in that is the call's.

    Args:
        host_address: Where the hub is.
        metadata: May name it.
        logger: Hears what is done.
        payload_store: Where large payloads are kept, or ``None``.
        data_converter: Makes texts of values; the default one, if it is ``None``.
        emit_trace_spans: Whether spans are written.

    Attributes:
        emit_trace_spans: As it was given.
    """

    def __init__(
        self,
        *,
        host_address: str | None,
        metadata: list[tuple[str, str]] | None,
        logger: logging.Logger,
        payload_store: PayloadStore | None,
        data_converter: DataConverter | None,
        emit_trace_spans: bool,
    ) -> None:
        self._host_address = host_address
        self._taskhub = taskhub_in(metadata)
        self._logger = logger
        self._payload_store = payload_store
        self.emit_trace_spans = emit_trace_spans
        self.converter = DEFAULT_DATA_CONVERTER if data_converter is None else data_converter
        self._lock = threading.Lock()
        self._is_closed = False
        self._host: Host | None = None
        self._verbs: tuple[TaskHub, Verbs] | None = None

    # -- calling

    def run(self, verb: Verb[T]) -> T:
        """Do something on the hub's loop, and wait for it in this thread.

        Raises:
            RuntimeError: The client is closed, or this is the hub's own thread.
        """
        host, verbs = self._open()
        with ended_with_client():
            return host.run(verb(verbs))

    async def run_async(self, verb: Verb[T]) -> T:
        """Do something on the hub's loop, and await it on the caller's.

        Raises:
            RuntimeError: The client is closed.
        """
        opened = self._opened()
        if opened is None:
            opened = await anyio.to_thread.run_sync(self._open)
        host, verbs = opened
        with ended_with_client():
            return await host.run_async(verb(verbs))

    # -- opening and closing

    def _open(self) -> tuple[Host, Verbs]:
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the client is closed")
            if self._host is None:
                with translated():
                    self._host = attach(resolve(self._host_address, self._taskhub, self._logger))
            telemetry = tracing() if self.emit_trace_spans else None
            hub = self._host.task_hub(payload_store=self._payload_store, telemetry=telemetry)
            if self._verbs is None or self._verbs[0] is not hub:  # new, or in a forked child
                self._verbs = (hub, self._made(hub))
            return self._host, self._verbs[1]

    def _made(self, hub: TaskHub) -> Verbs:
        return Verbs(
            hub,
            converter=self.converter,
            logger=self._logger,
        )

    def _opened(self) -> tuple[Host, Verbs] | None:
        """Return what is open already, without waiting for anything."""
        host, verbs = self._host, self._verbs
        if host is None or verbs is None or self._is_closed or not host.is_of_this_process:
            return None
        return host, verbs[1]

    def close(self) -> None:
        """Let go of the hub. Safe to repeat."""
        with self._lock:
            self._is_closed = True
            host, self._host, self._verbs = self._host, None, None
        if host is not None:
            host.detach()

    async def close_async(self) -> None:
        """Let go of the hub without blocking the caller's loop. Safe to repeat."""
        with anyio.CancelScope(shield=True):  # also for a caller that was cancelled
            await anyio.to_thread.run_sync(self.close)


def connection(
    kind: str,
    *,
    host_address: str | None,
    metadata: list[tuple[str, str]] | None,
    log_handler: logging.Handler | None,
    log_formatter: logging.Formatter | None,
    logger: logging.Logger | None,
    payload_store: PayloadStore | None,
    data_converter: DataConverter | None,
    emit_trace_spans: bool,
) -> Connection:
    """Return a connection as a constructor's arguments say.

    Raises:
        ValueError: Both a logger and parts of one are given.
    """
    return Connection(
        host_address=host_address,
        metadata=metadata,
        logger=get_logger(kind, log_handler, log_formatter, logger),
        payload_store=payload_store,
        data_converter=data_converter,
        emit_trace_spans=emit_trace_spans,
    )
