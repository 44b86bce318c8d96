"""An exception as data: what crosses the durable boundary instead of the exception itself."""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import msgspec

MESSAGE_CHARS_MAX = 8_192
STACK_CHARS_MAX = 16_384
CAUSE_DEPTH_MAX = 10
PROPERTIES_DEPTH_MAX = 10

_LIBRARY = __file__.removesuffix("failure.py")
_INTEGERS = range(-(2**63), 2**63)


class FailureDetails(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is kept of an exception: plain data only, so that nothing is rebuilt by name from data.

    An exception whose attribute ``recorded_as`` is ``FailureDetails`` is recorded as exactly those, wherever it is raised: in an activity,
    an orchestrator or an operation of an entity, or as the cause of another. So layers above decide what is kept of their errors, and with
    ``non_retryable`` whether another attempt is made.

    Attributes:
        error_type: Qualified name, such as ``shop.errors.CardDeclined`` or ``builtins.ValueError``.
        message: ``str(exception)``, cut at 8,192 characters.
        stack_trace: The formatted traceback, from the first line that is not the library's own, cut at 16,384 characters (the end is kept).
        cause: The failure that this one was raised from, at most ten deep; of a group, the first in it.
        non_retryable: Whether the code that raised it ruled out another attempt.
        properties: Further facts as JSON has them, ten levels deep at most, or ``None``. Only ``recorded_as`` gives an exception any; of what
            JSON does not have, the text is recorded.
    """

    error_type: str
    message: str
    stack_trace: str = ""
    cause: FailureDetails | None = None
    non_retryable: bool = False
    properties: dict[str, Any] | None = None

    @classmethod
    def of(cls, error: BaseException, *, non_retryable: bool | None = None) -> FailureDetails:
        """Describe an exception and what caused it.

        An error that itself carries ``FailureDetails`` in ``.failure`` keeps them as the cause. One that carries them in
        ``.recorded_as`` is described by them, ``non_retryable`` included.
        """
        return _describe(error, CAUSE_DEPTH_MAX, set(), non_retryable)

    @property
    def chain(self) -> tuple[FailureDetails, ...]:
        """This failure, what caused it, what caused that, and so on."""
        failures: list[FailureDetails] = [self]
        while (cause := failures[-1].cause) is not None:
            failures.append(cause)
        return tuple(failures)

    @property
    def root(self) -> FailureDetails:
        """The failure at the bottom of the causes: what went wrong first."""
        return self.chain[-1]

    def is_type(self, name: str) -> bool:
        """Tell whether the error's type has this name, qualified or bare."""
        return self.error_type == name or self.error_type.rpartition(".")[2] == name


def qualified_name(error_class: type[BaseException]) -> str:
    """Return ``module.qualname`` of an exception class."""
    return f"{error_class.__module__}.{error_class.__qualname__}"


def _describe(
    error: BaseException, depth: int, seen: set[int], non_retryable: bool | None
) -> FailureDetails:
    recorded = getattr(error, "recorded_as", None)
    if isinstance(recorded, FailureDetails):
        return _storable(recorded, depth)
    seen.add(id(error))
    return FailureDetails(
        error_type=qualified_name(type(error)),
        message=_text(error)[:MESSAGE_CHARS_MAX],
        stack_trace="".join(traceback.format_tb(_outside(error.__traceback__)))[-STACK_CHARS_MAX:],
        cause=_cause(error, depth, seen),
        non_retryable=bool(getattr(error, "non_retryable", False))
        if non_retryable is None
        else non_retryable,
    )


def _outside(stack: TracebackType | None) -> TracebackType | None:
    """Return a traceback without what of this library called the code that it is about; all of it if there is no other code."""
    frame = stack
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_LIBRARY):
        frame = frame.tb_next
    return frame or stack


def _cause(error: BaseException, depth: int, seen: set[int]) -> FailureDetails | None:
    carried = getattr(error, "failure", None)
    if isinstance(carried, FailureDetails):
        return carried
    cause = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__
    if cause is None and not error.__suppress_context__:
        cause = error.__context__
    if cause is None or depth <= 1 or id(cause) in seen:
        return None
    return _describe(cause, depth - 1, seen, None)


def _text(error: BaseException) -> str:
    try:
        text = str(error)
        if isinstance(error, BaseExceptionGroup):
            inner = "; ".join(f"{type(one).__name__}: {_text(one)}" for one in error.exceptions)
            text = f"{text}: {inner}"
    except Exception as broken:  # noqa: BLE001 - one whose __str__ raises must still be recorded
        text = f"<unprintable: {type(broken).__name__}>"
    return _valid(text)


def _valid(text: str) -> str:
    """Return a text that can be stored: half a surrogate pair cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _storable(failure: FailureDetails, depth: int) -> FailureDetails:
    """Return what layers above made as the stores can keep it, so that it is the same before and after."""
    cause, properties = failure.cause, failure.properties
    return FailureDetails(
        error_type=_valid(failure.error_type),
        message=_valid(failure.message),
        stack_trace=_valid(failure.stack_trace),
        cause=None if cause is None or depth <= 1 else _storable(cause, depth - 1),
        non_retryable=failure.non_retryable,
        properties=None if properties is None else _as_object(properties, PROPERTIES_DEPTH_MAX),
    )


def _as_object(values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {_printed(key): _as_json(value, depth - 1) for key, value in values.items()}


def _as_json(value: Any, depth: int) -> Any:
    match value:
        case None | bool():
            return value
        case int() if value in _INTEGERS:
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
        case Mapping() if depth > 0:
            return _as_object(value, depth)
        case list() | tuple() if depth > 0:
            return [_as_json(one, depth - 1) for one in value]
        case _:
            return _printed(value)


def _printed(value: Any) -> str:
    try:
        return _valid(str(value))
    except Exception as broken:  # noqa: BLE001 - one whose __str__ raises must still be recorded
        return f"<unprintable: {type(broken).__name__}>"
