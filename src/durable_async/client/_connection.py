"""What every verb of the client stands on: the backend, calls that share round trips, and repetition."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

from durable_async._engine.ends import Ends
from durable_async._kernel.context import current_context
from durable_async._kernel.operations import check_entity
from durable_async.backend import Backend
from durable_async.environment import Environment
from durable_async.errors import (
    BackendUnavailableError,
    ForbiddenOperationError,
    ValidationError,
    shown,
)
from durable_async.model.identity import ENTITY_MARK, EntityId, check_instance_id, check_name
from durable_async.model.records import (
    Delivery,
    EntityRecord,
    InstanceRecord,
    NewInstance,
    Outgoing,
    StartOutcome,
)
from durable_async.model.status import Status
from durable_async.serialization import DataConverter
from durable_async.telemetry import Signals

from ._gathering import Gatherer
from ._handle import OrchestrationHandle
from ._intake import Intake
from ._lookout import RETRY_SECONDS
from ._telling import ClientTeller
from ._waiters import Waiters

A = TypeVar("A")

IdOrHandle = str | OrchestrationHandle[Any]
"""An instance: its id, or the handle of a start."""


class Connection:
    """One client's way to the store.

    Attributes:
        default_version: The version of what is started without one.
    """

    def __init__(
        self,
        backend: Backend,
        environment: Environment,
        payloads: DataConverter,
        ends: Ends | None = None,
        *,
        default_version: str | None = None,
        pending_max: int | None = None,
        signals: Signals | None = None,
        hub: str = "default",
    ) -> None:
        self._store = backend
        self.default_version = default_version
        self._teller = (
            None if signals is None else ClientTeller(signals, environment, backend.now_us, hub)
        )
        self._intake = (
            None if pending_max is None else Intake(self._count_pending, environment, pending_max)
        )
        self._ends = ends or Ends()
        self._environment = environment
        self._payloads = payloads
        self._create: Gatherer[NewInstance, StartOutcome] = Gatherer(backend.create)
        self._send: Gatherer[Outgoing, Delivery] = Gatherer(backend.send)
        self._read: Gatherer[str, InstanceRecord | None] = Gatherer(
            lambda ids: backend.read(ids, payloads=True)
        )
        self._read_entity: Gatherer[str, EntityRecord | None] = Gatherer(backend.read_entities)
        self._read_answer: Gatherer[str, bytes | None] = Gatherer(backend.read_answers)
        self._instances: Waiters[InstanceRecord] = Waiters(
            backend,
            environment,
            read=self._patiently(self._read),
            look=lambda ids: backend.read(ids, payloads=False),
        )
        self._answers: Waiters[bytes] = Waiters(
            backend,
            environment,
            read=self._patiently(self._read_answer),
            look=backend.read_answers,
        )

    @property
    def _backend(self) -> Backend:
        """The store; out of reach for orchestrator code."""
        refuse_inside()
        return self._store

    async def _admit(self, starts: int) -> None:
        """Let some starts in, if there is a bound for them.

        Raises:
            OverloadedError: With these there would be too many.
        """
        intake = self._intake
        if intake is not None:
            await self._persist(lambda: intake.admit(starts))

    async def _count_pending(self) -> int:
        return (await self._store.statistics()).by_status.get(Status.PENDING, 0)

    def _patiently(self, gatherer: Gatherer[str, A]) -> Callable[[str], Awaitable[A]]:
        return lambda key: self._persist(lambda: gatherer.ask(key))

    def close(self) -> None:
        """Stop listening to the backend."""
        self._instances.close()
        self._answers.close()

    def _request_id(self, given: str | None) -> str:
        """Return the caller's own, if it is fit to be stored, or a fresh one."""
        return self._environment.new_id() if given is None else check_name(given, "request_id")

    async def _persist(self, call: Callable[[], Awaitable[A]]) -> A:
        """Repeat a call whose outcome is unknown: its request ids make that harmless."""
        deadline = self._environment.monotonic() + RETRY_SECONDS
        pause = 0.05
        while True:
            try:
                return await call()
            except BackendUnavailableError:
                if self._environment.monotonic() + pause > deadline:
                    raise
            await anyio.sleep(pause * (0.5 + self._environment.random().random()))
            pause = min(pause * 2, 1.0)


def refuse_inside() -> None:
    """Refuse what a client does to the code of an orchestrator: a replay would do it again.

    Raises:
        ForbiddenOperationError: Orchestrator code is running.
    """
    if current_context.get(None) is not None:
        raise ForbiddenOperationError(
            "a call of the client",
            "use ctx.call_sub_orchestrator(...), ctx.send_event(...), ctx.call_entity(...) or ctx.signal_entity(...),"
            " or let an activity call the client",
        )


def id_of(instance: IdOrHandle) -> str:
    """Return the id of an instance; ``ValidationError`` if it cannot be one."""
    refuse_inside()
    if isinstance(instance, OrchestrationHandle):
        return instance.instance_id
    given: Any = instance
    if isinstance(given, EntityId) or (isinstance(given, str) and given.startswith(ENTITY_MARK)):
        raise ValidationError(
            "instance_id",
            f"{shown(str(given))} is an entity: use call_entity, signal_entity, get_entity, delete_entity",
        )
    return check_instance_id(instance)


def entity_id_of(entity: EntityId) -> str:
    """Return the id of an entity in the store; ``ValidationError`` if it is none."""
    refuse_inside()
    return check_entity(entity)
