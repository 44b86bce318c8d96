"""EntityMetadata: what a client is told of an entity."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .entity_instance_id import EntityInstanceId

if TYPE_CHECKING:
    from durabletask.serialization import DataConverter

TState = TypeVar("TState")


class EntityMetadata:
    """An entity as it was when a client asked.

    Attributes:
        id: The entity.
        last_modified: When something was last written of it; aware, UTC.
        backlog_queue_size: How many operations wait for it.
        includes_state: Whether the state was asked for; without it, there is none here.

    Args:
        id: The entity.
        last_modified: When something was last written of it.
        backlog_queue_size: How many operations wait for it.
        locked_by: The id of who has it to itself; empty if nobody has.
        includes_state: Whether the state was asked for.
        state: The state as the converter's text; ``None`` if there is none.
        data_converter: Reads the state.
    """

    def __init__(
        self,
        id: EntityInstanceId,
        last_modified: datetime,
        backlog_queue_size: int,
        locked_by: str,
        includes_state: bool,
        state: Any | None,
        data_converter: DataConverter,
    ) -> None:
        self.id = id
        self.last_modified = last_modified
        self.backlog_queue_size = backlog_queue_size
        self.includes_state = includes_state
        self._locked_by = locked_by
        self._state = state
        self._data_converter = data_converter

    def __repr__(self) -> str:
        return f"<EntityMetadata {self.id}>"

    @staticmethod
    def from_entity_response(
        entity_response: Any, includes_state: bool, data_converter: DataConverter
    ) -> EntityMetadata:
        """Return what a message of the SDK's wire, or an object with its fields, says in answer to a question about one entity."""
        return EntityMetadata.from_entity_metadata(
            entity_response.entity, includes_state, data_converter
        )

    @staticmethod
    def from_entity_metadata(
        entity: Any, includes_state: bool, data_converter: DataConverter
    ) -> EntityMetadata:
        """Return what a message of the SDK's wire, or an object with its fields, says of an entity.

        Raises:
            ValueError: Its id is none of an entity.
        """
        return EntityMetadata(
            EntityInstanceId.parse(entity.instanceId),
            entity.lastModifiedTime.ToDatetime(UTC),
            entity.backlogQueueSize,
            entity.lockedBy.value,
            includes_state,
            entity.serializedState.value if includes_state else None,
            data_converter,
        )

    @property
    def locked_by(self) -> str | None:
        """The id of the orchestration that has the entity to itself; ``None`` if none has."""
        return self._locked_by or None

    @overload
    def get_state(self, intended_type: type[TState]) -> TState | None: ...
    @overload
    def get_state(self, intended_type: None = None) -> Any: ...
    def get_state(self, intended_type: type[TState] | None = None) -> TState | Any | None:
        """Return the state's text as it is stored, or what a type makes of that text; to have it read, see `get_typed_state`.

        Raises:
            TypeError: The type does not take the text.
        """
        text = self._state
        if intended_type is None or text is None or isinstance(text, intended_type):
            return text
        try:
            return intended_type(text)  # type: ignore[call-arg]
        except Exception as error:
            raise TypeError(
                f"the text of the state of {self.id} is no {intended_type.__name__}: {error}; "
                "get_typed_state reads it as one"
            ) from error

    @overload
    def get_typed_state(self, intended_type: type[TState]) -> TState | None: ...
    @overload
    def get_typed_state(self, intended_type: None = None) -> Any: ...
    def get_typed_state(self, intended_type: type[TState] | None = None) -> TState | Any | None:
        """Return the state as the converter reads it, into a type if one is given; ``None`` if there is none."""
        if self._state is None:
            return None
        return self._data_converter.deserialize(self._state, intended_type)

    def get_locked_by(self) -> EntityInstanceId | None:
        """Return the entity that holds the lock; ``None`` if none does. What an orchestration holds, ``locked_by`` tells."""
        if not self._locked_by.startswith("@"):
            return None
        return EntityInstanceId.parse(self._locked_by)
