"""Worker: sessions one after the other, until it is stopped."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup, TaskStatus

from durable_async._engine.ends import Ends
from durable_async.backend import Backend
from durable_async.environment import Environment
from durable_async.errors import BackendUnavailableError, FencedError
from durable_async.model.retention import Retention
from durable_async.registry import Registry
from durable_async.serialization import DataConverter
from durable_async.telemetry import Signals

from ._complaints import Complaints
from ._patience import Patience
from ._session import Session
from .settings import WorkerSettings

_log = logging.getLogger("durable_async")


class _Once(TaskStatus[None]):
    """Tells that the worker has started when the first of its sessions has, whichever that is."""

    def __init__(self, status: TaskStatus[None], complaints: Complaints) -> None:
        self._status = status
        self._complaints = complaints
        self._is_told = False

    def started(self, value: None = None) -> None:
        self._complaints.can("register")
        if not self._is_told:
            self._is_told = True
            self._status.started(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a worker is at the moment.

    Attributes:
        worker_id: Its identity in the store.
        is_registered: Whether the store knows it.
        is_stopping: Whether it was asked to stop.
        holds_lease: Whether its lease was renewed in time.
        seconds_since_renewal: How long ago that was.
    """

    worker_id: str | None
    is_registered: bool
    is_stopping: bool
    holds_lease: bool
    seconds_since_renewal: float

    @property
    def problem(self) -> str | None:
        """Why it is not ready for work."""
        if self.is_stopping:
            return "a worker is about to stop"
        if not self.is_registered:
            return "a worker is not registered"
        if not self.holds_lease:
            return "a worker has not renewed its lease in time"
        return None


class Worker:
    """Runs the orchestrations and activities of one registry, in the caller's event loop.

        async with hub.worker():
            ...

    Leaving the block hands everything back at once: running activities get ``shutdown_seconds`` to end, the rest is cancelled and begun again
    by whoever takes over. A worker that lost its lease drops what it holds and goes on under a new identity.
    """

    def __init__(
        self,
        backend: Backend,
        environment: Environment,
        registry: Registry,
        payloads: DataConverter,
        settings: WorkerSettings,
        hub: str,
        ends: Ends,
        signals: Signals | None = None,
        retention: Retention = Retention.OFF,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._make_session: Callable[[], Session] = functools.partial(
            Session,
            backend,
            environment,
            registry,
            payloads,
            settings,
            hub,
            ends,
            signals,
            retention,
        )
        self._environment = environment
        self._on_failure = on_failure
        self._session: Session | None = None
        self._group: TaskGroup | None = None
        self._stopped = False
        self._ended = anyio.Event()

    @property
    def worker_id(self) -> str | None:
        """Its identity in the store at the moment."""
        return None if self._session is None else self._session.worker_id

    def standing(self) -> Standing | None:
        """Return how it is; ``None`` if it has not begun yet, or has ended."""
        session = self._session
        if session is None or self._ended.is_set():
            return None
        return Standing(
            worker_id=session.worker_id,
            is_registered=session.is_registered,
            is_stopping=self._stopped,
            holds_lease=session.silent_seconds < session.lease_seconds,
            seconds_since_renewal=round(session.silent_seconds, 3),
        )

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        try:
            await self._group.start(self.run)
        except BaseException as error:
            await self._end(error)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        try:
            with anyio.CancelScope(shield=True):
                await self.stop()
        except BaseException as impatience:  # no shield holds what asyncio itself cancels
            await self._end(impatience)
            raise
        return await self._end(error)

    async def _end(self, error: BaseException | None) -> bool | None:
        """Leave the group, which cancels what still runs if an error came of it; that goes on as it is, not wrapped in the group's."""
        assert self._group is not None
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return await self._group.__aexit__(type(error), error, error.__traceback__)
        await self._group.__aexit__(None, None, None)
        return None

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Work until ``stop`` or cancellation."""
        complaints = Complaints(self._environment)
        status = _Once(task_status, complaints)
        patience = Patience(self._environment)
        try:
            while not self._stopped:
                self._session = self._make_session()
                try:
                    await self._session.run(task_status=status)
                except FencedError as error:
                    _log.warning("%s; going on under a new identity", error)
                except BackendUnavailableError as error:
                    complaints.cannot("register", error)
                    await patience.pause()
        except Exception as error:
            # A server may swallow what its application's lifespan raises, as uvicorn does.
            _log.exception("worker %s ended with an exception", self.worker_id)
            if self._on_failure is not None:
                self._on_failure(error)
            raise
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Drain, hand everything back, and return when that is done."""
        self._stopped = True
        if self._session is not None:
            self._session.stop()
        if self._group is not None:
            await self._ended.wait()
