"""The type hints of a function, as far as they can be resolved; the rest is ``Any``."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

_AWAITABLE = (
    collections.abc.Awaitable,
    collections.abc.Coroutine,
    collections.abc.Generator,
    types.CoroutineType,
)


def hints_of(fn: Callable[..., Any]) -> dict[str, Any]:
    """Return the resolved hint of each parameter, and of the result under ``return``.

    A hint that cannot be resolved, such as a name imported for type checkers only, is ``Any``:
    values then come back as plain JSON.
    """
    target = _annotated(fn)
    try:
        return typing.get_type_hints(target, include_extras=True)
    except Exception:  # noqa: BLE001 - an annotation may be any expression
        return _one_by_one(target)


def result_hint(fn: Callable[..., Any], hints: Mapping[str, Any]) -> Any:
    """Return the type of what a function returns, once it was awaited."""
    hint = hints.get("return", Any)
    origin = typing.get_origin(hint)
    if origin in _AWAITABLE and not inspect.iscoroutinefunction(inspect.unwrap(fn)):
        return typing.get_args(hint)[-1]
    return hint


def _annotated(fn: Callable[..., Any]) -> Any:
    while isinstance(fn, functools.partial):
        fn = fn.func
    if inspect.isroutine(fn) or inspect.isclass(fn):
        return fn
    return type(fn).__call__


def _one_by_one(target: Any) -> dict[str, Any]:
    function = inspect.unwrap(target)
    global_names = getattr(function, "__globals__", {})
    local_names = _names_around(function)
    resolved: dict[str, Any] = {}
    for name, hint in getattr(target, "__annotations__", {}).items():
        holder = types.SimpleNamespace(__annotations__={name: hint})
        try:
            found = typing.get_type_hints(holder, global_names, local_names, include_extras=True)
        except Exception:  # noqa: BLE001 - the same, for this one
            found = {name: Any}
        resolved |= found
    return resolved


def _names_around(function: Any) -> dict[str, Any]:
    """Return the local names that a nested function's annotations may mean.

    A decorator runs while the enclosing function does, so its frame is still there to be asked.
    """
    outer, is_nested, _ = getattr(function, "__qualname__", "").rpartition(".<locals>.")
    frame = inspect.currentframe() if is_nested else None
    while frame is not None:
        if frame.f_code.co_qualname == outer:
            return dict(frame.f_locals)
        frame = frame.f_back
    return {}
