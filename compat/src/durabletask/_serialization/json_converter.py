"""The SDK's own converter, wire form by wire form."""

from __future__ import annotations

import dataclasses
import enum
import json
import logging
import types
import typing
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from .base import DataConverter
from .coercion import Coercion, NoneType
from .hooks import read_hook, write_hook

# Programs on releases up to 1.6 marked the objects in their payloads by it, and their histories are still read.
LEGACY_OBJECT_MARKER = "__durabletask_autoobject__"

TOO_DEEP = "the value is nested too deeply for JSON"

logger = logging.getLogger("durabletask")


class JsonDataConverter(DataConverter):
    """Writes plain JSON, exactly as the Durable Task SDK does.

    Written are what JSON has (``NaN`` and infinities included, and everything beyond ASCII escaped); objects whose class has a
    ``to_json`` method, as what it returns; enumerations by their value; dataclasses and ``SimpleNamespace`` as objects; tuples and named
    tuples as arrays. Anything else is a ``TypeError``.

    Read without a type, a payload is what JSON has. With one, classes that have a ``from_json(value)`` or
    ``from_json(value, converter)`` class method, dataclasses, enumerations and whatever can be made by a call of the type are built, also
    inside ``list``, ``Sequence``, ``dict``, ``Mapping``, ``tuple`` and ``Optional``. Reading into a type is best effort: a payload that
    does not fit is passed on as it is, with a line in the log at level ``DEBUG``. Fields of a dataclass that are not stored take their
    defaults, keys that are no field are left out, and a field with ``init=False`` is given to ``__init__`` only if it takes that name.
    """

    def serialize(self, value: Any) -> str | None:
        """Return the JSON of a value.

        Raises:
            TypeError: It holds something that is not written; the error's cause names it.
            ValueError: It holds itself, or is nested too deeply.
        """
        return None if value is None else write_json(value)

    def deserialize(self, data: str | None, target_type: type | None = None) -> Any:
        """Return the value of a JSON text, as ``target_type`` if that can be.

        Raises:
            ValueError: The text is not JSON.
        """
        if data is None or data == "":
            return None
        if target_type is None:
            return read_json(data)
        parsed = parse_for_type(data)
        try:
            return Coercion(self).coerce(parsed, target_type)
        except Exception as error:  # noqa: BLE001 - constructors and hooks of the program raise what they like
            log_misfit(target_type, error)
            return read_json(data)

    def coerce(self, value: Any, target_type: type | None = None) -> Any:
        """Return a value that was read before as ``target_type``, or unchanged if it does not fit."""
        try:
            return Coercion(self).coerce(value, target_type)
        except Exception as error:  # noqa: BLE001 - the same as above
            log_misfit(target_type, error)
            return value

    def can_reconstruct(self, target_type: Any) -> bool:
        """Tell whether a type is a dataclass, has a ``from_json``, or is a list or an optional of such a type."""
        args = typing.get_args(target_type)
        match typing.get_origin(target_type):
            case None:
                return isinstance(target_type, type) and (
                    dataclasses.is_dataclass(target_type) or read_hook(target_type) is not None
                )
            case typing.Union | types.UnionType:
                return any(self.can_reconstruct(arg) for arg in args if arg is not NoneType)
            case origin if origin in (list, Sequence):
                return any(map(self.can_reconstruct, args))
            case _:
                return False


def write_json(value: Any) -> str:
    """Return the JSON of a value.

    Raises:
        TypeError: It holds something that is not written.
    """
    try:
        return json.dumps(value, default=one_level_down)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    except TypeError as error:
        raise TypeError(
            f"Failed to serialize object of type '{type(value).__name__}' to JSON: {error}"
        ) from error


def read_json(data: str | bytes | bytearray) -> Any:
    """Return what a JSON text holds; objects of old releases are namespaces."""
    return parsed(data, _as_object)


def parse_for_type(data: str | bytes | bytearray) -> Any:
    """Return what a JSON text holds, to be made into a type: old releases' marks are taken off."""
    return parsed(data, _without_marker)


def parsed(data: str | bytes | bytearray, object_hook: Callable[[dict[str, Any]], Any]) -> Any:
    """Return what a JSON text holds; ``ValueError`` also if it is nested too deeply to be read."""
    try:
        return json.loads(data, object_hook=object_hook)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None


def one_level_down(value: Any) -> Any:
    """Return what stands for a value that JSON does not have; the result may hold such values again.

    Raises:
        TypeError: Nothing does.
    """
    hook = write_hook(type(value))
    if hook is not None:
        return hook(value)
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, SimpleNamespace):
        return vars(value)
    raise TypeError(f"Object of type '{type(value).__name__}' is not JSON serializable")


def log_misfit(target_type: Any, error: Exception) -> None:
    """Leave a trace of a payload that is passed on as it is."""
    name = getattr(target_type, "__name__", target_type)
    logger.debug("A payload does not fit %s, and is passed on as it is: %s", name, error)


def _as_object(members: dict[str, Any]) -> Any:
    marked = members.pop(LEGACY_OBJECT_MARKER, False)
    return SimpleNamespace(**members) if marked else members


def _without_marker(members: dict[str, Any]) -> dict[str, Any]:
    members.pop(LEGACY_OBJECT_MARKER, None)
    return members
