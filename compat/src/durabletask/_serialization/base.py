"""The interface between a program's values and the texts that are stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class DataConverter(ABC):
    """Makes payload texts of values, and values of payload texts.

    A worker and its clients hold one converter each, and everything that is stored goes through it: inputs, results, events, custom status
    and the state of entities. Both sides must agree on the texts. A converter has to be deterministic, since an orchestration is run again
    from its history: equal values give equal texts, in every process.
    """

    @abstractmethod
    def serialize(self, value: Any) -> str | None:
        """Return a value's text, or ``None`` for ``None``, which means that there is no payload."""

    @abstractmethod
    def deserialize(self, data: str | None, target_type: type | None = None) -> Any:
        """Return the value of a text.

        Args:
            data: The text; ``None`` or empty if there is no payload, and then the value is ``None``.
            target_type: What the caller wants to have, if it says; any type hint is allowed. It never comes from the text.

        Whether a text that does not fit ``target_type`` is an error is the converter's own decision.
        """

    @abstractmethod
    def coerce(self, value: Any, target_type: type | None = None) -> Any:
        """Return a value that was deserialized before as ``target_type``, by the rules of `deserialize`.

        Without a ``target_type`` the value is returned as it is.
        """

    def can_reconstruct(self, target_type: Any) -> bool:
        """Tell whether this converter builds values of a type, so that annotations of that type are followed.

        A worker asks this for the annotation of an input, or of an activity's result. Where the answer is no, as it is by default, the
        function gets what `deserialize` returns without a type.
        """
        return False
