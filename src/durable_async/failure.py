"""An exception as data: what crosses the durable boundary instead of the exception itself."""

from __future__ import annotations

import traceback

import msgspec

MESSAGE_CHARS_MAX = 8_192
STACK_CHARS_MAX = 16_384
CAUSE_DEPTH_MAX = 10


class FailureDetails(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is kept of an exception: strings only, so that nothing is rebuilt by name from data.

    Attributes:
        error_type: Qualified name, such as ``shop.errors.CardDeclined`` or ``builtins.ValueError``.
        message: ``str(exception)``, cut at 8,192 characters.
        stack_trace: The formatted traceback, cut at 16,384 characters (the end is kept).
        cause: The failure that this one was raised from, at most ten deep; of a group, the first in it.
        non_retryable: Whether the code that raised it ruled out another attempt.
    """

    error_type: str
    message: str
    stack_trace: str = ""
    cause: FailureDetails | None = None
    non_retryable: bool = False

    @classmethod
    def of(cls, error: BaseException, *, non_retryable: bool | None = None) -> FailureDetails:
        """Describe an exception and what caused it.

        An error that itself carries ``FailureDetails`` in ``.failure`` keeps them as the cause.
        """
        return _describe(error, CAUSE_DEPTH_MAX, set(), non_retryable)

    @property
    def root(self) -> FailureDetails:
        """The failure at the bottom of the causes: what went wrong first."""
        failure = self
        while failure.cause is not None:
            failure = failure.cause
        return failure

    def is_type(self, name: str) -> bool:
        """Tell whether the error's type has this name, qualified or bare."""
        return self.error_type == name or self.error_type.rpartition(".")[2] == name


def qualified_name(error_class: type[BaseException]) -> str:
    """Return ``module.qualname`` of an exception class."""
    return f"{error_class.__module__}.{error_class.__qualname__}"


def _describe(
    error: BaseException, depth: int, seen: set[int], non_retryable: bool | None
) -> FailureDetails:
    seen.add(id(error))
    return FailureDetails(
        error_type=qualified_name(type(error)),
        message=_text(error)[:MESSAGE_CHARS_MAX],
        stack_trace="".join(traceback.format_tb(error.__traceback__))[-STACK_CHARS_MAX:],
        cause=_cause(error, depth, seen),
        non_retryable=bool(getattr(error, "non_retryable", False))
        if non_retryable is None
        else non_retryable,
    )


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
    return text.encode("utf-8", "replace").decode("utf-8")
