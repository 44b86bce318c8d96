"""Failures as data, and the errors of orchestrators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_MODULE: Final = "durabletask.task"
"""An exception is recorded by the name of its class, which programs compare with the documented one."""


@dataclass(frozen=True)
class FailureDetails:
    """An exception as it was recorded.

    Attributes:
        message: Its message.
        error_type: Qualified name of its class, such as ``builtins.ValueError``.
        stack_trace: Where it was raised, as text.
        inner_failure: What caused it, at most ten deep.
        properties: What an `ExceptionPropertiesProvider` told of it.
    """

    message: str
    error_type: str
    stack_trace: str | None
    inner_failure: FailureDetails | None = None
    properties: dict[str, Any] | None = None

    def is_caused_by(self, error_type: str | type[BaseException]) -> bool:
        """Tell whether the recorded exception was of a type; what caused it in turn is not looked at.

        Args:
            error_type: A class: that class itself, or any subclass that this process has loaded. Or a name: compared as it is if both
                names have dots, otherwise by their last part.

        Raises:
            TypeError: It is neither a name nor an exception class.
        """
        if isinstance(error_type, str):
            return self._is_named(error_type)
        if not (isinstance(error_type, type) and issubclass(error_type, BaseException)):  # type: ignore[redundant-expr]
            raise TypeError(f"an exception class or its name was expected, not {error_type!r}")
        return any(self._is_class(kind) for kind in _with_subclasses(error_type))

    def _is_named(self, name: str) -> bool:
        if not name:
            return False
        if "." in name and "." in self.error_type:
            return name == self.error_type
        return name.rpartition(".")[2] == self.error_type.rpartition(".")[2]

    def _is_class(self, kind: type) -> bool:
        qualified = f"{kind.__module__}.{kind.__qualname__}"
        if "." in self.error_type:
            return self.error_type == qualified
        return self.error_type == qualified.rpartition(".")[2]


def _with_subclasses(kind: type) -> set[type]:
    found: set[type] = set()
    left = [kind]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += type.__subclasses__(one)
    return found


class TaskFailedError(Exception):
    """Raised in an orchestrator where it takes the result of a task that failed."""

    __module__ = _MODULE

    def __init__(self, message: str, details: FailureDetails | Exception) -> None:
        super().__init__(message)
        if isinstance(details, Exception):
            kind = type(details)
            name = f"{kind.__module__}.{kind.__qualname__}"
            details = FailureDetails(str(details), name, None)
        self._details = details

    @property
    def details(self) -> FailureDetails:
        """What the failed task's own exception was."""
        return self._details


class TaskCancelledError(Exception):
    """Raised by the result of a task that was cancelled."""

    __module__ = _MODULE


class NonDeterminismError(Exception):
    """Raised when an orchestrator did something else than what its history says."""

    __module__ = _MODULE


class OrchestrationStateError(Exception):
    """Raised when an orchestration is asked for what it cannot do in its state."""

    __module__ = _MODULE
