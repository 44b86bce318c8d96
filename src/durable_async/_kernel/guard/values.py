"""What the lint knows about a value without running the code: an object, an instance of a class, or nothing."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from dataclasses import dataclass
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    CodeType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, Final

from . import lookup


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """This very object."""

    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """Some object of this class."""

    cls: type


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """A function taken from an object that is not there yet."""

    function: FunctionType
    receiver: Instance


@dataclass(frozen=True, slots=True, eq=False)
class Nested:
    """A function that the code itself defines."""

    code: CodeType


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A place on the stack that only the reader cares about."""

    name: str


Value = Known | Instance | Method | Nested | Mark

UNKNOWN: Final = Mark("unknown")
NULL: Final = Mark("null")
TOLERATED: Final = Mark("tolerated")
"""The block of ``with unsafe_nondeterminism():`` runs while this is on the stack."""

_ABSENT: Final = object()
_PLAIN = (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    classmethod,
    staticmethod,
    type,
)
_LOOP_GETTERS = (asyncio.get_event_loop, asyncio.get_running_loop)


def attribute(owner: Value, name: str) -> Value:
    """Return what an attribute stands for, without running anybody's ``__getattr__`` or property."""
    match owner:
        case Known(value=ModuleType() as module):
            return _of_module(module, name)
        case Known(value=type() as cls):
            return _of_class(cls, name)
        case Known(value=value):
            return _of_object(value, name)
        case Instance(cls=cls):
            function = inspect.getattr_static(cls, name, _ABSENT)
            if isinstance(function, FunctionType):
                return Method(function, owner)
            return _of_class(cls, name)
        case _:
            return UNKNOWN


def called(callee: Value) -> Value:
    """Return what a call gives."""
    match callee:
        case Known(value=type() as cls):
            return Instance(cls)
        case Known(value=value) if any(value is getter for getter in _LOOP_GETTERS):
            return Instance(asyncio.AbstractEventLoop)
        case _:
            return UNKNOWN


def imported(name: str, level: int, from_names: object) -> Value:
    """Return what an import statement binds, if that needs no import of anybody's code."""
    if level:
        return UNKNOWN
    bound = name if from_names else name.partition(".")[0]
    module = sys.modules.get(bound)
    if module is None and lookup.is_catalogued(bound):
        module = importlib.import_module(bound)
    return UNKNOWN if module is None else Known(module)


def _of_module(module: ModuleType, name: str) -> Value:
    value = vars(module).get(name, _ABSENT)
    if value is _ABSENT and lookup.is_catalogued(module.__name__):
        value = getattr(module, name, _ABSENT)  # the standard library loads some names late
    if value is _ABSENT:
        value = sys.modules.get(f"{module.__name__}.{name}", _ABSENT)
    return UNKNOWN if value is _ABSENT else Known(value)


def _of_class(cls: type, name: str) -> Value:
    found = inspect.getattr_static(cls, name, _ABSENT)
    if found is _ABSENT or not isinstance(found, _PLAIN):
        return UNKNOWN
    return Known(getattr(cls, name))


def _of_object(value: Any, name: str) -> Value:
    found = inspect.getattr_static(value, name, _ABSENT)
    if found is _ABSENT or not isinstance(found, _PLAIN):
        return UNKNOWN
    is_of_class = found is inspect.getattr_static(type(value), name, _ABSENT)
    bind = getattr(found, "__get__", None) if is_of_class else None
    return Known(found if bind is None else bind(value, type(value)))
