"""Failures on their way into history and out of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, Final

import durable_async
from durabletask._vocabulary.failures import FailureDetails, TaskFailedError
from durabletask.entities import EntityInstanceId, EntityOperationFailedException

_NAMES: Final = {"durable_async.errors.NonDeterminismError": "durabletask.task.NonDeterminismError"}
"""What the engine itself records, in the words of the SDK."""

CAUSE_DEPTH_MAX = 10
STACK_CHARS_MAX = 16_384
MESSAGE_CHARS_MAX = 8_192

PropertiesOf = Callable[[BaseException], "dict[str, Any] | None"]
"""What else is to be recorded of an exception, or ``None``."""


class RecordedError(Exception):
    """Carries what is to be recorded of a failure, to the engine, which records exactly that.

    Attributes:
        recorded_as: It.
    """

    def __init__(self, recorded_as: durable_async.FailureDetails) -> None:
        self.recorded_as = recorded_as
        super().__init__(recorded_as.message)


def from_native(failure: durable_async.FailureDetails) -> FailureDetails:
    """Return a recorded failure in the words of the SDK."""
    return FailureDetails(
        message=failure.message,
        error_type=_NAMES.get(failure.error_type, failure.error_type),
        stack_trace=failure.stack_trace or None,
        inner_failure=None if failure.cause is None else from_native(failure.cause),
        properties=failure.properties,
    )


def to_native(
    error: BaseException, properties_of: PropertiesOf | None = None
) -> durable_async.FailureDetails:
    """Return what is to be recorded of an exception and of what caused it.

    The failure of a task that was not caught is recorded with the task's own failure as its cause.
    """
    return _describe(error, properties_of, CAUSE_DEPTH_MAX, set())


def details_to_native(details: FailureDetails) -> durable_async.FailureDetails:
    """Return a failure that was recorded before as it is recorded again."""
    return durable_async.FailureDetails(
        error_type=details.error_type,
        message=details.message,
        stack_trace=details.stack_trace or "",
        cause=None if details.inner_failure is None else details_to_native(details.inner_failure),
        properties=details.properties,
    )


def operation_failure(
    entity: EntityInstanceId, operation: str, failure: durable_async.FailureDetails
) -> FailureDetails:
    """Return the failure of an entity's operation as its caller is told, with the operation's own failure within."""
    kind = EntityOperationFailedException
    return FailureDetails(
        message=f"Operation '{operation}' on entity '{entity}' failed with error: {failure.message}",
        error_type=f"{kind.__module__}.{kind.__qualname__}",
        stack_trace=None,
        inner_failure=from_native(failure),
    )


def _describe(
    error: BaseException, properties_of: PropertiesOf | None, depth: int, seen: set[int]
) -> durable_async.FailureDetails:
    recorded = getattr(error, "recorded_as", None)
    if isinstance(recorded, durable_async.FailureDetails):
        return recorded
    seen.add(id(error))
    kind = type(error)
    return durable_async.FailureDetails(
        error_type=f"{kind.__module__}.{kind.__qualname__}",
        message=_text(error)[:MESSAGE_CHARS_MAX],
        stack_trace="".join(traceback.format_tb(error.__traceback__))[-STACK_CHARS_MAX:],
        cause=_cause(error, properties_of, depth, seen),
        properties=None if properties_of is None else properties_of(error),
    )


def _cause(
    error: BaseException, properties_of: PropertiesOf | None, depth: int, seen: set[int]
) -> durable_async.FailureDetails | None:
    if isinstance(error, TaskFailedError):
        return details_to_native(error.details)
    cause = error.__cause__ or error.__context__
    if not isinstance(cause, Exception) or depth <= 1 or id(cause) in seen:
        return None
    return _describe(cause, properties_of, depth - 1, seen)


def _text(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - one whose __str__ raises must still be recorded
        text = f"<unprintable: {type(broken).__name__}>"
    return text.encode("utf-8", "replace").decode("utf-8")
