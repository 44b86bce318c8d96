"""The methods by which a class says itself how it is written and read: ``to_json`` and ``from_json``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from .base import DataConverter

CONVERTER_PARAMETER = "converter"

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def write_hook(kind: type) -> Callable[[Any], Any] | None:
    """Return a type's ``to_json``, to be called with the object; an attribute of the object alone is no hook."""
    hook = getattr(kind, "to_json", None)
    return hook if callable(hook) else None


def read_hook(kind: type) -> Callable[..., Any] | None:
    """Return a type's ``from_json``, to be called by `call_read_hook`."""
    hook = getattr(kind, "from_json", None)
    return hook if callable(hook) else None


def call_read_hook(hook: Callable[..., Any], value: Any, converter: DataConverter | None) -> Any:
    """Return what a ``from_json`` makes of a value.

    It gets the converter as well if its second parameter by position is called ``converter``; a second parameter of any other name is the
    class's own.
    """
    if converter is not None and _takes_converter(hook):
        return hook(value, converter)
    return hook(value)


def _takes_converter(hook: Callable[..., Any]) -> bool:
    try:
        return _looked_up(hook)
    except TypeError:  # it has no hash, so there is nothing to remember it by
        return _look_up(hook)


def _look_up(hook: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(hook).parameters.values()
    except (TypeError, ValueError):
        return False
    names = [parameter.name for parameter in parameters if parameter.kind in _BY_POSITION]
    return names[1:2] == [CONVERTER_PARAMETER]


_looked_up = functools.lru_cache(maxsize=2048)(_look_up)
