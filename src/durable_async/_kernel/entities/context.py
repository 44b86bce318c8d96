"""EntityContext: what the code of an operation sees of the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from durable_async._kernel.context import OrchestratorReference
from durable_async._kernel.operations import check_entity, encode_operation
from durable_async._kernel.program import Payloads
from durable_async._kernel.times import due_us
from durable_async.errors import OutsideOrchestrationError, ValidationError, shown
from durable_async.model.history import EntityOperation, Origin
from durable_async.model.identity import (
    EntityId,
    check_instance_id,
    check_orchestrator_name,
    check_tags,
    check_version,
)
from durable_async.model.moments import EPOCH
from durable_async.model.policy import Seconds
from durable_async.telemetry.traceparent import passed_on_by_operation

from .outcome import EntitySignal, OrchestrationStart
from .state import StateCell

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D")
In = TypeVar("In", contravariant=True)

current_entity: ContextVar[EntityContext] = ContextVar("durable_async_entity")


class EntityContext:
    """One operation of an entity, from the inside.

    What the code does to the state, and what it sends and starts, takes effect if the operation succeeds, and not at all otherwise.
    An entity cannot call another one and wait for the answer: while it waited, it could serve nobody, and two that called each other
    would wait for ever. Signal it, or let an orchestration call both.

    Attributes:
        entity_id: The entity.
        operation: The operation's name.
        caller: The id of the orchestration that called it; ``None`` for a signal, or a client's call.
    """

    __slots__ = (
        "_cell",
        "_new_id",
        "_now_us",
        "_origin",
        "_payloads",
        "_signals",
        "_starts",
        "caller",
        "entity_id",
        "operation",
    )

    def __init__(
        self,
        entity_id: EntityId,
        letter: EntityOperation,
        cell: StateCell,
        payloads: Payloads,
        now_us: int,
        new_id: Callable[[], str],
    ) -> None:
        self.entity_id = entity_id
        self.operation = letter.operation
        self.caller = None if letter.caller is None else letter.caller.instance_id
        self._cell = cell
        self._payloads = payloads
        self._now_us = now_us
        self._origin = letter.origin
        self._new_id = new_id
        self._signals: list[EntitySignal] | None = None
        self._starts: list[OrchestrationStart] | None = None

    def __repr__(self) -> str:
        return f"<EntityContext {self.entity_id} {self.operation!r}>"

    def sent(self) -> tuple[tuple[EntitySignal, ...], tuple[OrchestrationStart, ...]]:
        """Return what was signaled so far, and what was started."""
        return tuple(self._signals or ()), tuple(self._starts or ())

    def begin_trace(self, header: str) -> None:
        """Let what is signaled and started from here on belong to a trace that begins with this operation."""
        self._origin = Origin(header, self._now_us)

    def now(self) -> datetime:
        """Return the store's time at which the operation began, aware, UTC."""
        return EPOCH + timedelta(microseconds=self._now_us)

    # -- state

    @overload
    def get_state(self) -> Any: ...
    @overload
    def get_state(self, type: type[T]) -> T | None: ...
    @overload
    def get_state(self, type: type[T], default: D) -> T | D: ...
    @overload
    def get_state(self, type: Any = ..., default: Any = ...) -> Any: ...
    def get_state(self, type: Any = None, default: Any = None) -> Any:
        """Return the state, a fresh copy each time; ``default`` if there is none.

        ``0``, ``""``, ``False`` and empty containers are states like others.

        Args:
            type: What it is read into; by default the entity's own state type, or plain JSON values.
            default: What to return if there is no state.

        Raises:
            DecodeError: The state does not fit the type.
        """
        return self._cell.get(type, default)

    def set_state(self, value: Any) -> None:
        """Replace the state; it is encoded now, so later changes of the value do not count. ``None`` deletes it.

        Raises:
            EncodeError: The value cannot be stored.
        """
        self._cell.set(value)

    def delete_state(self) -> None:
        """Delete the state; the next operation finds none."""
        self._cell.set(None)

    # -- others

    @overload
    def signal_entity(
        self,
        entity: EntityId,
        operation: Callable[Concatenate[Any, P], Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None: ...
    @overload
    def signal_entity(
        self,
        entity: EntityId,
        operation: str,
        input: Any = None,
        /,
        *,
        at: datetime | Seconds | None = None,
    ) -> None: ...
    def signal_entity(self, entity: EntityId, operation: Any, /, *args: Any, **kwargs: Any) -> None:
        """Let another entity do something, or this one later; nobody waits for it, and whether it succeeds is not told.

        By a method of the entity's class the arguments are those of the method. By name there is one input, where ``None`` stands
        for none, and ``at`` says when, as in `signal_entity_at`.

        Raises:
            ValidationError: An argument is refused.
            EncodeError: An argument cannot be stored.
        """
        at = kwargs.pop("at", None) if isinstance(operation, str) else None
        self._signal(entity, operation, args, kwargs, at)

    @overload
    def signal_entity_at(
        self,
        due: datetime | Seconds,
        entity: EntityId,
        operation: Callable[Concatenate[Any, P], Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None: ...
    @overload
    def signal_entity_at(
        self,
        due: datetime | Seconds,
        entity: EntityId,
        operation: str,
        input: Any = None,
        /,
    ) -> None: ...
    def signal_entity_at(
        self,
        due: datetime | Seconds,
        entity: EntityId,
        operation: Any,
        /,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Let an entity do something at a time or after a duration; else as `signal_entity`.

        Args:
            due: Seconds or a ``timedelta`` from now, or a ``datetime``; a naive one is UTC. What is past is done at once.
            entity: The entity.
            operation: A method of its class, or a name.
            *args: Its arguments.
            **kwargs: Its arguments.

        Raises:
            ValidationError: An argument is refused; ``due`` is not a number, or more than 1,000 years ahead.
            EncodeError: An argument cannot be stored.
        """
        self._signal(entity, operation, args, kwargs, due)

    def _signal(
        self,
        entity: EntityId,
        operation: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        due: datetime | Seconds | None,
    ) -> None:
        entity_id = check_entity(entity)
        call = encode_operation(self._payloads, operation, args, kwargs)
        moment_us = 0 if due is None else due_us(due, self._now_us)
        later_us = moment_us if moment_us > self._now_us else 0
        origin = None if self._origin is None else self._passed_on(self._origin)
        if later_us and entity == self.entity_id:
            origin = None  # one who wakes itself again and again would never come to the end of its trace
        letter = EntityOperation(call.name, call.input, due_us=later_us, origin=origin)
        if self._signals is None:
            self._signals = []
        self._signals.append(EntitySignal(entity_id, entity.stored_name, letter))

    @overload
    def start_orchestration(
        self,
        orchestrator: OrchestratorReference[None, Any],
        /,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        start_at: datetime | Seconds | None = None,
    ) -> str: ...
    @overload
    def start_orchestration(
        self,
        orchestrator: OrchestratorReference[In, Any],
        /,
        input: In,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        start_at: datetime | Seconds | None = None,
    ) -> str: ...
    @overload
    def start_orchestration(
        self,
        orchestrator: str,
        /,
        input: Any = None,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        start_at: datetime | Seconds | None = None,
    ) -> str: ...
    def start_orchestration(
        self,
        orchestrator: Any,
        /,
        input: Any = None,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        start_at: datetime | Seconds | None = None,
    ) -> str:
        """Start an orchestration and return its id; nobody waits for it.

        One of that id that has ended is replaced; one that is still running is left alone, and nothing is started.

        Args:
            orchestrator: The decorated function, or its name.
            input: Its input; by name, ``None`` stands for none.
            instance_id: Its id; 32 random hex digits by default.
            version: What it sees as ``ctx.version``.
            tags: To find it by.
            start_at: Not to begin before a time, or before a duration has passed.

        Raises:
            ValidationError: An argument is refused.
            EncodeError: The input cannot be stored.
        """
        data: bytes | None
        if isinstance(orchestrator, str):
            name = check_orchestrator_name(orchestrator)
            where = f"orchestrator {name!r} input"
            data = None if input is None else self._payloads.encode(input, where)
        elif not hasattr(orchestrator, "__durable_orchestrator__"):
            raise ValidationError(
                "orchestrator", f"{shown(orchestrator)} is not one: decorate it with @orchestrator"
            )
        else:
            name = orchestrator.name
            data = orchestrator.encode_input(self._payloads, input)
        instance_id = self._new_id() if instance_id is None else check_instance_id(instance_id)
        version = check_version(version)
        tags = {} if tags is None else check_tags(tags)
        start_us = 0 if start_at is None else max(due_us(start_at, self._now_us), 0)
        origin = None if self._origin is None else self._passed_on(self._origin)
        start = OrchestrationStart(instance_id, name, version, data, origin, tags, start_us)
        if self._starts is None:
            self._starts = []
        self._starts.append(start)
        return instance_id

    def _passed_on(self, origin: Origin) -> Origin:
        """Return what the next signal or start belongs to."""
        place = len(self._signals or ()) + len(self._starts or ())
        header = passed_on_by_operation(origin.traceparent, str(self.entity_id), place)
        return Origin(header, self._now_us)


def entity_context() -> EntityContext:
    """Return the context of the operation that is being carried out; a way to it for helpers that do not get it passed.

    Raises:
        OutsideOrchestrationError: None is.
    """
    context = current_entity.get(None)
    if context is None:
        raise OutsideOrchestrationError(
            "entity_context() outside an entity",
            "call it in an operation that a worker carries out",
        )
    return context
