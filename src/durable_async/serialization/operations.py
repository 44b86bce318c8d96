"""How an entity's operation is named by whoever calls it, and what of the call is stored."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from durable_async.errors import ValidationError
from durable_async.model.identity import check_name

from .converter import DataConverter
from .signatures import Signature


@dataclass(frozen=True, slots=True)
class OperationCall:
    """An operation of an entity, with its arguments.

    Attributes:
        operation: Its name.
        input: Its arguments as one payload; ``None`` for no input.
        result_type: What its result is read into, if that is known.
    """

    operation: str
    input: bytes | None
    result_type: Any


def encode_call(
    converter: DataConverter,
    operation: str | Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> OperationCall:
    """Return what is stored of a call, or of a signal.

    Args:
        converter: Makes bytes of the arguments.
        operation: The method of the entity's class, such as ``Counter.add``, or a name.
        args: By method, its arguments; by name, at most one input, and ``None`` is none.
        kwargs: By method, its arguments; by name, nothing.

    Raises:
        ValidationError: The operation is neither, or the arguments do not fit.
        EncodeError: An argument cannot be stored.
    """
    if not isinstance(operation, str):
        name, signature = _method(operation)
        data = signature.encode(converter, args, kwargs, f"operation {name!r} input")
        return OperationCall(name, data, signature.result_type)
    check_name(operation, "operation")
    if kwargs or len(args) > 1:
        raise ValidationError("operation", f"{operation!r} by name takes one input at most")
    value = args[0] if args else None
    if value is None:
        return OperationCall(operation, None, Any)
    return OperationCall(operation, converter.encode(value, f"operation {operation!r} input"), Any)


def _method(operation: Callable[..., Any]) -> tuple[str, Signature]:
    try:
        return _method_of(operation)
    except TypeError:  # it cannot be hashed
        raise _no_operation(operation) from None


@functools.lru_cache(maxsize=4_096)
def _method_of(operation: Callable[..., Any]) -> tuple[str, Signature]:
    if not inspect.isfunction(operation) or operation.__name__ == "<lambda>":
        raise _no_operation(operation)
    return check_name(operation.__name__, "operation"), Signature.of_operation(operation)


def _no_operation(operation: Any) -> ValidationError:
    return ValidationError(
        "operation",
        f"{operation!r} is none: pass a method of the entity's class, such as Counter.add, or its name",
    )
