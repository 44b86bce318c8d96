"""How code names an operation of an entity: by a method of the entity's class, or by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from durable_async.errors import ValidationError
from durable_async.model.identity import EntityId, check_name
from durable_async.serialization.signatures import Signature

from .program import Payloads

_signatures: WeakKeyDictionary[Callable[..., Any], Signature] = WeakKeyDictionary()


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
        ValidationError: It is neither, or the arguments do not fit the method.
        TypeError: There is more than one input for a name.
        EncodeError: An argument cannot be stored.
    """
    if isinstance(operation, str):
        return _named(payloads, operation, *args, **kwargs)
    signature = signature_of(operation)
    name: str = operation.__name__
    data = signature.encode(payloads, args, kwargs, _where(name))
    return OperationCall(name, data, signature.result_type)


def _named(payloads: Payloads, operation: str, input: Any = None, /) -> OperationCall:
    """By name, ``None`` stands for no input."""
    check_name(operation, "operation")
    data = None if input is None else payloads.encode(input, _where(operation))
    return OperationCall(operation, data, Any)


def signature_of(method: Callable[..., Any]) -> Signature:
    """Return what goes into an operation and comes out of it, read once for each method.

    Raises:
        ValidationError: It is not a method that is named through its class.
        RegistrationError: It has parameters that cannot travel.
    """
    if not inspect.isfunction(method):
        raise ValidationError(
            "operation",
            f"{method!r} is not one: pass a method of the entity's class, such as Counter.add, or its name",
        )
    signature = _signatures.get(method)
    if signature is None:
        signature = _signatures[method] = Signature.of_method(method)
    return signature


def check_entity(entity: Any) -> str:
    """Return the id in the store of what must be an entity; ``ValidationError`` if it is none."""
    if not isinstance(entity, EntityId):
        raise ValidationError("entity", f'{entity!r} is not an EntityId("name", "key")')
    return str(entity)


def _where(operation: str) -> str:
    return f"operation {operation!r} input"
