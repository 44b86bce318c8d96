"""EntityContext: what an operation of an entity sees, and does."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

from durabletask.internal.entity_state_shim import SendSignal, StartOrchestration

from .entity_instance_id import EntityInstanceId

if TYPE_CHECKING:
    from durabletask.internal.entity_state_shim import StateShim
    from durabletask.serialization import DataConverter

TState = TypeVar("TState")


class EntityContext:
    """One operation of an entity, from the inside.

    What it does to the state, sends and starts counts if the operation succeeds, and not at all if it fails.

    Args:
        orchestration_id: The entity's own id, as a text.
        operation: The operation's name.
        state: Holds the state, and takes what is sent.
        entity_id: The entity.
        data_converter: Writes what is sent.
    """

    def __init__(
        self,
        orchestration_id: str,
        operation: str,
        state: StateShim,
        entity_id: EntityInstanceId,
        data_converter: DataConverter,
    ) -> None:
        self._orchestration_id = orchestration_id
        self._operation = operation
        self._state = state
        self._entity_id = entity_id
        self._data_converter = data_converter

    def __repr__(self) -> str:
        return f"<EntityContext {self._entity_id} {self._operation!r}>"

    @property
    def orchestration_id(self) -> str:
        """The entity's own id, as a text; of an orchestration that called it, nothing is told."""
        return self._orchestration_id

    @property
    def operation(self) -> str:
        """The operation's name."""
        return self._operation

    @property
    def entity_id(self) -> EntityInstanceId:
        """The entity."""
        return self._entity_id

    @property
    def current_utc_datetime(self) -> datetime:
        """The store's time at which the operation began: naive, UTC, as orchestrations have it."""
        return self._state.now().replace(tzinfo=None)

    @overload
    def get_state(self, intended_type: type[TState], default: TState) -> TState: ...
    @overload
    def get_state(self, intended_type: type[TState]) -> TState | None: ...
    @overload
    def get_state(self, intended_type: None = None, default: Any = None) -> Any: ...
    def get_state(self, intended_type: type[Any] | None = None, default: Any = None) -> Any:
        """Return the state, a fresh copy each time; to change it, set it again.

        Args:
            intended_type: What it is read into; by default, plain JSON values.
            default: What to return if there is no state. ``0``, ``""``, ``False`` and empty lists are states.

        Raises:
            TypeError: It cannot be read into the class that was asked for.
        """
        return self._state.get_state(intended_type, default)

    def set_state(self, new_state: Any) -> None:
        """Replace the state; it is written now, so later changes of the value do not count. ``None`` deletes it.

        Raises:
            TypeError: The value cannot be written.
        """
        self._state.set_state(new_state)

    def signal_entity(
        self,
        entity_instance_id: EntityInstanceId,
        operation: str,
        input: Any | None = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Let another entity do something, or this one later; nobody waits for it.

        Args:
            entity_instance_id: The entity.
            operation: The operation.
            input: Its input.
            signal_time: When it is to be done; a naive time is UTC. By default, and if that is past, at once.

        Raises:
            TypeError: The input cannot be written.
            ValueError: There can be no operation of this name.
        """
        text = self._data_converter.serialize(input)
        signal = SendSignal(str(entity_instance_id), operation, text, signal_time)
        self._state.add_operation_action(signal)

    def schedule_new_orchestration(
        self, orchestration_name: str, input: Any | None = None, instance_id: str | None = None
    ) -> str:
        """Start an orchestration and return its id; nobody waits for it.

        One of that id that has ended is replaced; if it is still running, nothing is started.

        Args:
            orchestration_name: The orchestrator's name.
            input: Its input.
            instance_id: Its id; 32 random hex digits by default.

        Raises:
            TypeError: The input cannot be written.
            ValueError: There can be no orchestrator of this name, or no orchestration of this id.
        """
        text = self._data_converter.serialize(input)
        started = StartOrchestration(orchestration_name, text, instance_id or uuid.uuid4().hex)
        self._state.add_operation_action(started)
        return started.instance_id
