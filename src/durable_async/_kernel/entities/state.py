"""The state of an entity while an operation works on it: bytes, and perhaps a copy that the code changes in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from durable_async._kernel.program import Payloads

NO_COPY: Final[Any] = object()


class StateCell:
    """One operation's view of the state. What it leaves behind is saved if the operation succeeds.

    Attributes:
        is_written: Whether ``set`` was called.
    """

    __slots__ = (
        "_copied_from",
        "_copy",
        "_data",
        "_into",
        "_payloads",
        "_stored",
        "_where",
        "is_written",
    )

    def __init__(self, data: bytes | None, into: Any, payloads: Payloads, where: str) -> None:
        self._data = self._stored = data
        self._into = into
        self._payloads = payloads
        self._where = where
        self._copy = NO_COPY
        self._copied_from: bytes | None = None
        self.is_written = False

    def get(self, into: Any, default: Any) -> Any:
        """Return a fresh copy; the default if there is no state. ``into`` is its type, or ``None`` for the entity's own."""
        data = self.flush()
        if data is None:
            return default
        return self._payloads.decode(data, self._into if into is None else into, self._where)

    def set(self, value: Any) -> None:
        """Replace the state, encoded at once; ``None`` deletes it."""
        self._data = None if value is None else self._payloads.encode(value, self._where)
        self._copy = NO_COPY
        self.is_written = True

    def working_copy(self, initial: Callable[[], Any]) -> Any:
        """Return the copy that the code changes in place; if there is no state, it begins as ``initial()``."""
        if self._copy is NO_COPY:
            data = self._data
            if data is None:
                # Read back from its bytes, too, so that what initial() returned is not changed in place.
                data = self._payloads.encode(initial(), self._where)
            self._copy = self._payloads.decode(data, self._into, self._where)
            self._copied_from = data
        return self._copy

    def replace_copy(self, value: Any) -> None:
        """Let a value be the working copy; ``None`` deletes the state."""
        self._copy = NO_COPY if value is None else value
        self._copied_from = None
        self._data = None

    def flush(self) -> bytes | None:
        """Return the state as it would be saved now: an initial state that the code only looked at is none."""
        if self._copy is not NO_COPY:
            data = self._payloads.encode(self._copy, self._where)
            if data != self._copied_from:
                self._data = self._copied_from = data
        return self._data

    def save(self) -> bytes | None:
        """Return the state as it is to be stored.

        Raises:
            EncodeError: It does not become bytes.
            DecodeError: It is not of the entity's type: stored, it would fail each later operation that looks at it.
        """
        data = self.flush()
        if data is not None and data != self._stored and self._into is not Any:
            self._payloads.decode(data, self._into, self._where)
        return data

    def seed(self, initialize: Callable[[], None]) -> None:
        """Let code set a state that is absent; one that is there stays as it is, whatever the code does to it."""
        stored = self._data
        initialize()
        if stored is None:
            stored = self.flush()
        self._data = stored
        self._copy = NO_COPY
