"""How code names an operation of an entity: by a method of the entity's class, or by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from durable_async.errors import ValidationError, shown
from durable_async.model.identity import EntityId, check_name
from durable_async.serialization.signatures import Signature

from .program import Payloads

_signatures: WeakKeyDictionary[Callable[..., Any], Signature] = WeakKeyDictionary()

_BESIDE_ARGUMENTS = {
    "at": "say when with signal_entity_at(...)",
    "timeout": "a client says it with client.entity(..., timeout=...), an orchestrator with asyncio.timeout(...)",
    "request_id": "a client says it with client.entity(..., request_id=...)",
    "result_type": "leave it out, for the method's annotation says it",
}
"""What callers may want to say and a method cannot take, and how to say it."""


class OperationCall(NamedTuple):
    """An operation with its arguments, as it is stored, and what its result is read into.

    Attributes:
        name: The operation.
        input: Its arguments as one payload; ``None`` for no input.
        result_type: The annotation of its result; ``Any`` by name.
    """

    name: str
    input: bytes | None
    result_type: Any


def encode_operation(
    payloads: Payloads, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> OperationCall:
    """Return what is stored of an operation in either form: a method with its arguments, or a name with one input at most.

    Raises:
        ValidationError: It is neither, or the arguments do not fit the method; with a name there is more than one input, or a keyword.
        EncodeError: An argument cannot be stored.
    """
    if isinstance(operation, str):
        if kwargs or len(args) > 1:
            raise ValidationError("operation", _one_input_only(operation, len(args), kwargs))
        return _named(payloads, operation, *args)
    signature = signature_of(operation)
    name: str = operation.__name__
    try:
        data = signature.encode(payloads, args, kwargs, _where(name))
    except ValidationError as error:
        if error.field in kwargs and error.field in _BESIDE_ARGUMENTS:
            hint = _BESIDE_ARGUMENTS[error.field]
            raise ValidationError(error.field, f"{error.reason}: {hint}") from None
        raise
    return OperationCall(name, data, signature.result_type)


def _one_input_only(operation: str, count: int, keywords: Iterable[str]) -> str:
    given = [f"{count} inputs"] if count > 1 else []
    given += [f"{name}=" for name in keywords]
    return (
        f"{shown(operation)} is said by name, so there is one input, by position, and {', '.join(given)} does not fit:"
        " pass the method itself, such as Counter.add, or put everything into one value"
    )


def _named(payloads: Payloads, operation: str, input: Any = None, /) -> OperationCall:
    """By name, ``None`` stands for no input."""
    operation = check_name(operation, "operation")
    data = None if input is None else payloads.encode(input, _where(operation))
    return OperationCall(operation, data, Any)


def signature_of(method: Callable[..., Any]) -> Signature:
    """Return what goes into an operation and comes out of it, read once for each method.

    Raises:
        ValidationError: It is not a method that is named through its class.
        RegistrationError: It has parameters that cannot travel.
    """
    try:
        return _signatures[method]
    except (KeyError, TypeError):  # not yet, or nothing that can be kept
        pass
    if not inspect.isfunction(method):
        raise ValidationError(
            "operation",
            f"{shown(method)} is not one: pass a method of the entity's class, such as Counter.add, or its name",
        )
    signature = _signatures[method] = Signature.of_method(method)
    return signature


def check_entity(entity: Any) -> str:
    """Return the id in the store of what must be an entity; ``ValidationError`` if it is none."""
    if not isinstance(entity, EntityId):
        raise ValidationError("entity", f'{shown(entity)} is not an EntityId("name", "key")')
    return str(entity)


def _where(operation: str) -> str:
    return f"operation {operation!r} input"
