"""The SDK's rules for type hints, and those for the types that the default converter adds."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Mapping
from typing import Any

from durable_async.serialization.pydantic_models import is_model

from .coercion import Coercion
from .hints import LISTS, MAPPINGS, SETS, is_named_tuple, unwrapped
from .hooks import read_hook
from .values import value_type_read_as


class WideCoercion(Coercion):
    """Follows all that `Coercion` does, and values of `values`, sets, named tuples and typed dicts."""

    def coerce(self, value: Any, hint: Any) -> Any:
        """Return the value as the hint says, or unchanged where the hint says nothing that can be followed.

        Raises:
            TypeError, ValueError: The value is nothing that the hint's type can be made of.
        """
        hint = unwrapped(hint)
        if typing.is_typeddict(hint):
            return self._typed_dict(value, hint)
        return super().coerce(value, hint)

    def coerce_class(self, value: Any, kind: type) -> Any:
        """Return an instance of a class made of a value that is none."""
        if read_hook(kind) is None:
            entry = value_type_read_as(kind)
            if entry is not None:
                return entry.read(value)
            if is_named_tuple(kind):
                return self._named_tuple(value, kind)
            if is_model(kind):
                model: Any = kind
                return model.model_validate(value, by_alias=True, by_name=True)
        return super().coerce_class(value, kind)

    def coerce_generic(self, value: Any, origin: Any, args: tuple[Any, ...]) -> Any:
        """Return a value as a hint with parameters says."""
        if origin in SETS and isinstance(value, list | tuple | set | frozenset):
            item_hint = args[0] if args else None
            return SETS[origin](self.coerce(item, item_hint) for item in value)
        if origin in LISTS and isinstance(value, list | tuple):
            return super().coerce_generic(list(value), list, args)
        if origin in MAPPINGS:
            return super().coerce_generic(value, dict, args)
        if origin is tuple and isinstance(value, tuple):
            return self.as_tuple(value, args)
        return super().coerce_generic(value, origin, args)

    def field_hints(self, kind: type) -> Mapping[str, Any]:
        """Return the types of a class's fields that can be resolved."""
        hints = super().field_hints(kind)
        return hints or _one_by_one(kind)

    def _named_tuple(self, value: Any, kind: Any) -> Any:
        hints = self.field_hints(kind)
        if isinstance(value, dict):
            found = {name: value[name] for name in kind._fields if name in value}
        elif isinstance(value, list | tuple) and len(value) <= len(kind._fields):
            found = dict(zip(kind._fields, value, strict=False))
        else:
            raise TypeError(f"{kind.__name__} cannot be made of {type(value).__name__}")
        return kind(**{name: self.coerce(item, hints.get(name)) for name, item in found.items()})

    def _typed_dict(self, value: Any, kind: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"{kind.__name__} cannot be made of {type(value).__name__}")
        hints = self.field_hints(kind)
        items = {key: self.coerce(item, hints.get(key)) for key, item in value.items()}
        return type(value)(items)


def _one_by_one(kind: type) -> dict[str, Any]:
    """Return the hints that can be resolved, where one of them cannot."""
    resolved: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        names = vars(sys.modules.get(base.__module__, typing))
        for field, hint in inspect.get_annotations(base).items():
            holder = type("Holder", (), {"__annotations__": {field: hint}})
            try:
                resolved |= typing.get_type_hints(holder, names, {kind.__name__: kind})
            except Exception:  # noqa: BLE001 - an annotation may be any expression
                resolved.pop(field, None)
    return resolved
