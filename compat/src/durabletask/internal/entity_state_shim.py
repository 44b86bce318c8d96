"""StateShim: what operations do to an entity's state, and what they send, until it is kept or taken back."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from durabletask.serialization import DataConverter

TState = TypeVar("TState")


@dataclass(frozen=True, slots=True)
class SendSignal:
    """A signal to an entity.

    Attributes:
        entity_id: The entity, as ``@name@key``.
        operation: The operation.
        input: Its input as the converter's text; ``None`` for none.
        due: When it is to be carried out, a naive time being UTC; ``None`` for at once.
    """

    entity_id: str
    operation: str
    input: str | None
    due: datetime | None


@dataclass(frozen=True, slots=True)
class StartOrchestration:
    """An orchestration that is to begin.

    Attributes:
        name: The orchestrator's name.
        input: Its input as the converter's text; ``None`` for none.
        instance_id: Its id.
    """

    name: str
    input: str | None
    instance_id: str


Action = SendSignal | StartOrchestration


class StateShim:
    """A state as the converter's text, and a list of what was sent. Nothing here is stored: whoever made it does that.

    Args:
        start_state: The state to begin with; ``None`` for none.
        data_converter: Reads and writes it.
        is_serialized: Whether ``start_state`` is the converter's text already.
    """

    def __init__(
        self, start_state: Any, data_converter: DataConverter, *, is_serialized: bool = False
    ) -> None:
        self._data_converter = data_converter
        text = start_state if is_serialized else self._text_of(start_state)
        self._text: str | None = text
        self._kept_text: str | None = text
        self._actions: list[Action] = []
        self._kept_actions = 0
        self._passes_over = False

    @overload
    def get_state(self, intended_type: type[TState], default: TState) -> TState: ...
    @overload
    def get_state(self, intended_type: type[TState]) -> TState | None: ...
    @overload
    def get_state(self, intended_type: None = None, default: Any = None) -> Any: ...
    @overload
    def get_state(self, intended_type: type[Any] | None, default: Any) -> Any: ...
    def get_state(self, intended_type: type[Any] | None = None, default: Any = None) -> Any:
        """Return the state, read anew each time; ``default`` if there is none.

        Raises:
            TypeError: It cannot be read into the class that was asked for.
        """
        if self._text is None:
            return default
        if intended_type is None:
            return self._data_converter.deserialize(self._text)
        value = self._data_converter.deserialize(self._text, intended_type)
        if not _fits(value, intended_type):
            raise TypeError(f"the state cannot be read into {intended_type.__name__}")
        return value

    def set_state(self, state: Any) -> None:
        """Replace the state by what the converter makes of a value now; ``None`` deletes it.

        Raises:
            TypeError: The converter cannot write the value; other converters may raise otherwise.
        """
        text = self._text_of(state)
        if not self._passes_over:
            self._put(text)

    def encode_state(self) -> str | None:
        """Return the state as the converter's text; ``None`` if there is none."""
        return self._text

    def now(self) -> datetime:
        """Return the time, aware, UTC."""
        return datetime.now(UTC)

    @contextmanager
    def seeding(self) -> Generator[None]:
        """Let what is set meanwhile count only if there is no state yet."""
        self._passes_over = self._text is not None
        try:
            yield
        finally:
            self._passes_over = False

    def add_operation_action(self, action: Action) -> None:
        """Note something that is to be sent."""
        self._actions.append(action)

    def get_operation_actions(self) -> list[Action]:
        """Return what was sent up to the last ``commit``."""
        return self._actions[: self._kept_actions]

    def commit(self) -> None:
        """Keep what was done so far."""
        self._kept_text = self._text
        self._kept_actions = len(self._actions)

    def rollback(self) -> None:
        """Take back what was done since the last ``commit``."""
        self._text = self._kept_text
        del self._actions[self._kept_actions :]

    def reset(self) -> None:
        """Forget the state, and all that was sent."""
        self._text = self._kept_text = None
        self._actions.clear()
        self._kept_actions = 0

    def _put(self, text: str | None) -> None:
        self._text = text

    def _text_of(self, value: Any) -> str | None:
        return None if value is None else self._data_converter.serialize(value)


def _fits(value: Any, intended_type: Any) -> bool:
    if not isinstance(intended_type, type):
        return True  # such as list[int], which a converter reads as well as it can
    try:
        return isinstance(value, intended_type)
    except TypeError:
        return True  # such as a TypedDict, which no value is an instance of
