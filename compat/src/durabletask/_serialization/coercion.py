"""What JSON holds, made into what a type hint says."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from .base import DataConverter
from .dataclass_fields import build_dataclass
from .hooks import call_read_hook, read_hook

NoneType = type(None)


class Coercion:
    """The SDK's rules for one converter, which is passed on to ``from_json`` methods that ask for it.

    Every rule either returns a value or raises; that the JSON is passed on where it does not fit is the converter's business.
    """

    def __init__(self, converter: DataConverter | None) -> None:
        self.converter = converter

    def coerce(self, value: Any, hint: Any) -> Any:
        """Return the value as the hint says, or unchanged where the hint says nothing that can be followed.

        Raises:
            TypeError: The value is nothing that the hint's type can be made of.
        """
        if value is None or hint is None or hint is Any:
            return value
        origin = typing.get_origin(hint)
        if origin is not None:
            return self.coerce_generic(value, origin, typing.get_args(hint))
        if not isinstance(hint, type) or isinstance(value, hint):
            return value
        return self.coerce_class(value, hint)

    def coerce_class(self, value: Any, kind: type) -> Any:
        """Return an instance of a class made of a value that is none."""
        hook = read_hook(kind)
        if hook is not None:
            return call_read_hook(hook, value, self.converter)
        if dataclasses.is_dataclass(kind) and isinstance(value, dict):
            return build_dataclass(kind, value, self.field_hints(kind), self.coerce)
        construct: Any = kind
        try:
            return construct(value)
        except Exception as error:
            raise TypeError(f"{kind.__name__} cannot be made of {type(value).__name__}") from error

    def coerce_generic(self, value: Any, origin: Any, args: tuple[Any, ...]) -> Any:
        """Return a value as a hint with parameters says, such as ``list[Order]``."""
        if origin in (typing.Union, types.UnionType):
            return self._one_of(value, [arg for arg in args if arg is not NoneType])
        if origin in (list, Sequence) and isinstance(value, list):
            item = args[0] if args else None
            return [self.coerce(element, item) for element in value]
        if origin in (dict, Mapping) and isinstance(value, dict):
            item = args[1] if len(args) == 2 else None
            return {key: self.coerce(element, item) for key, element in value.items()}
        if origin is tuple and isinstance(value, list):
            return self.as_tuple(value, args)
        return value

    def field_hints(self, kind: type) -> Mapping[str, Any]:
        """Return the types of a class's fields; none at all if one of them cannot be resolved."""
        try:
            return typing.get_type_hints(kind)
        except Exception:  # noqa: BLE001 - an annotation may be any expression
            return {}

    def as_tuple(self, items: Sequence[Any], args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a tuple of the types given, ``tuple[X, ...]`` included.

        Raises:
            TypeError: There are more or fewer items than types.
        """
        if not args:
            return tuple(items)
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(self.coerce(item, args[0]) for item in items)
        if len(items) != len(args):
            raise TypeError(f"{len(args)} items make the tuple, and there are {len(items)}")
        return tuple(map(self.coerce, items, args))

    def _one_of(self, value: Any, members: list[Any]) -> Any:
        """Follow an optional type. Of several, none is guessed: a value that is none of them stays as it is."""
        for member in members:
            if member is Any or (isinstance(member, type) and isinstance(value, member)):
                return value
        return self.coerce(value, members[0]) if len(members) == 1 else value
