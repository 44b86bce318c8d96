"""What a function's annotations say of its input and its result, as far as a converter can follow them.

Nothing here raises for an annotation that cannot be resolved, or for a callable whose parameters cannot be read: then there is no type, and
the function gets what the converter returns without one. A worker asks when a function is registered, while names around a nested function
can still be seen.
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from durable_async.serialization.hints import hints_of
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter

_Annotations = tuple[tuple[Any, ...], Any]

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_RESULT_LAST: tuple[Any, ...] = (
    collections.abc.Awaitable,
    collections.abc.Coroutine,
    collections.abc.Generator,
    types.CoroutineType,
)
_UNKNOWN = inspect.Parameter.empty


def discover_input_type(
    fn: Callable[..., Any], converter: DataConverter | None = None, *, skip: int = 1
) -> Any | None:
    """Return the annotation of a function's input, or ``None`` if there is none that the converter follows.

    Args:
        fn: An orchestrator, an activity, an entity function, or a method of an entity's class.
        converter: The worker's; by default `DEFAULT_DATA_CONVERTER`.
        skip: How many parameters by position come before the input, such as the context or ``self``.
    """
    by_position, _ = _annotations(fn)
    return _followed(by_position[skip] if skip < len(by_position) else _UNKNOWN, converter)


def discover_return_type(fn: Any, converter: DataConverter | None = None) -> Any | None:
    """Return the annotation of a function's result, or ``None`` if there is none that the converter follows.

    Of a generator and of a coroutine it is what they return in the end. What is not callable, such as a name, has no result.
    """
    if not callable(fn):
        return None
    _, result = _annotations(fn)
    if typing.get_origin(result) in _RESULT_LAST:
        result = typing.get_args(result)[-1]
    return _followed(_UNKNOWN if result is types.NoneType else result, converter)


def orchestrator_input_type(
    fn: Callable[..., Any], converter: DataConverter | None = None
) -> Any | None:
    """Return the type of the input of an orchestrator ``(ctx, input)``, or ``None``."""
    return discover_input_type(fn, converter)


def activity_input_type(
    fn: Callable[..., Any], converter: DataConverter | None = None
) -> Any | None:
    """Return the type of the input of an activity ``(ctx, input)``, or ``None``."""
    return discover_input_type(fn, converter)


def activity_output_type(fn: Any, converter: DataConverter | None = None) -> Any | None:
    """Return the type of an activity's result, or ``None``, also if it is called by its name."""
    return discover_return_type(fn, converter)


def entity_input_type(
    fn: Any, operation: str, converter: DataConverter | None = None
) -> Any | None:
    """Return the type of the input of an entity's operation, or ``None``.

    Args:
        fn: A class, whose method of that name has the input after ``self``, or a function ``(ctx, input)``.
        operation: The operation's name.
        converter: The worker's; by default `DEFAULT_DATA_CONVERTER`.
    """
    if not isinstance(fn, type):
        return discover_input_type(fn, converter)
    method = getattr(fn, operation, None)
    if not callable(method):
        return None
    is_bound = isinstance(inspect.getattr_static(fn, operation, None), classmethod | staticmethod)
    return discover_input_type(method, converter, skip=0 if is_bound else 1)


def _followed(annotation: Any, converter: DataConverter | None) -> Any | None:
    if annotation is _UNKNOWN or annotation is Any or isinstance(annotation, str):
        return None
    follows = converter if converter is not None else DEFAULT_DATA_CONVERTER
    return annotation if follows.can_reconstruct(annotation) else None


def _annotations(fn: Callable[..., Any]) -> _Annotations:
    try:
        return _remembered(fn)
    except TypeError:  # it has no hash
        return _read(fn)


def _read(fn: Callable[..., Any]) -> _Annotations:
    """Return the annotations of the parameters by position, and the result's."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return (), _UNKNOWN
    resolved = types.SimpleNamespace(__annotations__=hints_of(fn))
    hints = typing.get_type_hints(resolved)  # takes off Annotated, which converters need not know
    by_position = tuple(
        hints.get(parameter.name, parameter.annotation)
        for parameter in parameters
        if parameter.kind in _BY_POSITION
    )
    return by_position, hints.get("return", _UNKNOWN)


_remembered = functools.lru_cache(maxsize=2048)(_read)
