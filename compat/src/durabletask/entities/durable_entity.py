"""DurableEntity: the class that entities written as classes are derived from."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar, overload

from .entity_context import EntityContext
from .entity_instance_id import EntityInstanceId

TState = TypeVar("TState")


class DurableEntity:
    """An entity as a class: each method is an operation.

    An object lives for one operation; what is to last is its state. The context is there before ``__init__`` runs, so that
    ``__init__`` may give the entity a first state: what it sets counts only where there is no state yet.

    Attributes:
        entity_context: The operation that is carried out.
    """

    entity_context: EntityContext

    def _initialize_entity_context(self, context: EntityContext) -> None:
        self.entity_context = context

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
        return self.entity_context.get_state(intended_type, default)

    def set_state(self, state: Any) -> None:
        """Replace the state; it is written now, so later changes of the value do not count. ``None`` deletes it.

        Raises:
            TypeError: The value cannot be written.
        """
        self.entity_context.set_state(state)

    def signal_entity(
        self,
        entity_instance_id: EntityInstanceId,
        operation: str,
        input: Any | None = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Let another entity do something, or this one later; see `EntityContext.signal_entity`."""
        self.entity_context.signal_entity(entity_instance_id, operation, input, signal_time)

    def schedule_new_orchestration(
        self, orchestration_name: str, input: Any | None = None, instance_id: str | None = None
    ) -> str:
        """Start an orchestration and return its id; see `EntityContext.schedule_new_orchestration`."""
        return self.entity_context.schedule_new_orchestration(
            orchestration_name, input, instance_id
        )

    def delete(self, input: Any = None) -> None:
        """Delete the state: an operation that every entity has. The input is not looked at."""
        self.set_state(None)
