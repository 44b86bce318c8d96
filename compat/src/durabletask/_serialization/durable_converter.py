"""The converter that workers and clients use where a program brings none."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Sequence
from typing import Any

from durable_async.serialization.pydantic_models import is_model

from .hints import LISTS, MAPPINGS, SETS, is_named_tuple, unwrapped
from .json_converter import TOO_DEEP, JsonDataConverter, log_misfit
from .marks import Writer, read_marked
from .values import value_type_read_as
from .wide_coercion import WideCoercion

_SDK = JsonDataConverter()
_SDK_CONTAINERS = (list, Sequence, typing.Union, types.UnionType)


class DurableDataConverter(JsonDataConverter):
    """Writes what `JsonDataConverter` writes, and more kinds of values, which come back as they went in.

    Beyond JSON, dataclasses, enumerations, namespaces and classes with ``to_json``, these are written: ``datetime``, ``date``, ``time``
    and ``timedelta`` as ISO 8601 (a naive ``datetime`` comes back naive, an aware one with its offset from UTC), ``Decimal``, ``UUID``,
    ``bytes``, ``bytearray``, the paths of ``pathlib``, ``set`` and ``frozenset`` (in an order of their texts, so that equal sets have equal
    texts), named tuples with the names of their fields, and pydantic's models.

    Read without a type,

    * those values are what they were, wherever they stand in the payload;
    * a named tuple is a `NamedRecord`, with the fields by name and by index;
    * an object is an `AttributeDict`: a ``dict`` whose keys can be read as attributes as well, whatever it was written from.

    Read into a type, by an argument or by an annotation, they may also be plain texts, arrays and objects as other programs write them, such
    as ``"2026-03-01T09:00:00"`` for a ``datetime``. Annotations that are followed by themselves are those of `JsonDataConverter`, those of
    the values above, models, named tuples and typed dicts, ``set`` and ``frozenset``, and ``list``, ``dict`` with text keys, ``tuple`` and ``Optional``
    of them. Dataclasses in a ``dict`` or a ``tuple`` stay objects, as with the SDK, unless the type is given as an argument.

    What JSON has no form for is an object with the member ``__durabletask_type__``; a reader that does not know it sees a plain object. The
    texts of everything else are those of `JsonDataConverter`.

    Args:
        marks: Whether such objects are written. Without them values are plain texts, and sets and named tuples are arrays, for readers in
            other languages; they then come back as what they were only into a type. Reading knows both, always.
    """

    def __init__(self, *, marks: bool = True) -> None:
        self._marks = marks

    def serialize(self, value: Any) -> str | None:
        """Return the JSON of a value.

        Raises:
            TypeError: It holds something that is not written; the error's cause names it.
            ValueError: It holds itself, or is nested too deeply.
        """
        if value is None:
            return None
        try:
            return json.dumps(Writer(marked=self._marks).plain(value))
        except RecursionError:
            raise ValueError(TOO_DEEP) from None
        except TypeError as error:
            raise TypeError(
                f"Failed to serialize object of type '{type(value).__name__}' to JSON: {error}"
            ) from error

    def deserialize(self, data: str | None, target_type: type | None = None) -> Any:
        """Return the value of a text, as ``target_type`` if that can be.

        Raises:
            ValueError: The text is not JSON.
        """
        if data is None or data == "":
            return None
        if target_type is None:
            return read_marked(data, namespaces=True)
        value = read_marked(data, namespaces=False)
        try:
            return WideCoercion(self).coerce(value, target_type)
        except Exception as error:  # noqa: BLE001 - constructors and hooks of the program raise what they like
            log_misfit(target_type, error)
            return read_marked(data, namespaces=True)

    def coerce(self, value: Any, target_type: type | None = None) -> Any:
        """Return a value that was read before as ``target_type``, or unchanged if it does not fit."""
        try:
            return WideCoercion(self).coerce(value, target_type)
        except Exception as error:  # noqa: BLE001 - the same as above
            log_misfit(target_type, error)
            return value

    def can_reconstruct(self, target_type: Any) -> bool:
        """Tell whether annotations of a type are followed."""
        target_type = unwrapped(target_type)
        origin = typing.get_origin(target_type)
        if origin is None:
            return _is_wide(target_type) or super().can_reconstruct(target_type)
        args = typing.get_args(target_type)
        if origin in _SDK_CONTAINERS:
            return any(map(self.can_reconstruct, args))
        if origin in MAPPINGS and args:
            return args[0] in (str, Any) and self._follows_beyond(args[1])
        return origin in SETS or (
            origin in (*LISTS, tuple) and any(map(self._follows_beyond, args))
        )

    def _follows_beyond(self, item: Any) -> bool:
        """Tell whether a container is followed for what it holds, where the SDK does not look into it.

        A program that has a dataclass in such a container was given objects, and reads them as objects.
        """
        return self.can_reconstruct(item) and not _SDK.can_reconstruct(item)


def _is_wide(kind: Any) -> bool:
    if not isinstance(kind, type):
        return False
    if typing.is_typeddict(kind) or is_named_tuple(kind) or is_model(kind):
        return True
    return kind in SETS or value_type_read_as(kind) is not None
