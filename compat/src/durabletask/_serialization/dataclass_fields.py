"""Which of the fields stored for a dataclass its constructor is called with."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def build_dataclass(
    cls: Any, data: Mapping[str, Any], hints: Mapping[str, Any], coerce: Callable[[Any, Any], Any]
) -> Any:
    """Return an instance made of stored fields.

    Keys that are no field are left out, and fields that are not stored take their defaults. A field with ``init=False`` is given only to
    an ``__init__`` of the program's own that takes it by name.

    Args:
        cls: The dataclass.
        data: Its fields as they were stored.
        hints: The resolved types of its fields; a field without one takes what is stored.
        coerce: Makes a stored value one of a type.

    Raises:
        TypeError: A field is missing that has no default. Whatever the constructor raises passes through.
    """
    accepted: _Accepted | None = None
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.name not in data:
            continue
        if not field.init:
            accepted = accepted or _Accepted(cls)
            if not accepted.takes(field.name):
                continue
        arguments[field.name] = coerce(data[field.name], hints.get(field.name))
    return cls(**arguments)


class _Accepted:
    """The names that a class's ``__init__`` takes."""

    def __init__(self, cls: Any) -> None:
        self._names: frozenset[str] | None = None  # any name
        self._receiver: str | None = None
        initialiser = cls.__init__
        try:
            signature = inspect.signature(initialiser, follow_wrapped=False)
        except (TypeError, ValueError):
            return
        parameters = list(signature.parameters.values())
        if _has_receiver(cls, initialiser) and parameters:
            receiver = parameters.pop(0)
            if receiver.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
                self._receiver = receiver.name  # taken, even where any name is
        if all(parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            self._names = frozenset(p.name for p in parameters if p.kind in _BY_NAME)

    def takes(self, name: str) -> bool:
        return name != self._receiver and (self._names is None or name in self._names)


def _has_receiver(cls: Any, initialiser: Any) -> bool:
    """Tell whether the first parameter is the instance, which Python passes by itself."""
    if isinstance(inspect.getattr_static(cls, "__init__"), staticmethod):
        return False
    return inspect.isfunction(initialiser) or inspect.ismethoddescriptor(initialiser)
