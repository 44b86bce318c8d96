"""Further facts about an exception in the details of a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class ExceptionPropertiesProvider(Protocol):
    """Says what is recorded of an exception besides its type, its message and its stack.

    Given to a worker as ``exception_properties_provider=``. What it returns is found in `durabletask.task.FailureDetails.properties`.
    """

    def get_exception_properties(self, exception: Exception) -> Mapping[str, Any] | None:
        """Return facts about an exception, or ``None`` if there are none.

        Numbers are recorded as floats, mappings and sequences item by item, and anything else that JSON does not have as its text. An error
        raised here is logged by the worker; the failure is then recorded without properties.
        """
        ...
