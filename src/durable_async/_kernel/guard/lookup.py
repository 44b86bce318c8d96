"""Finds out whether a callable is in the catalogue, by identity: aliases and captured names do not hide it."""

from __future__ import annotations

import datetime as dt
import functools
import importlib
import sys
from collections.abc import Iterable
from contextlib import suppress
from types import BuiltinFunctionType, MethodType, ModuleType
from typing import Any, Final

from .catalogue import CLOCK_CLASSMETHODS, GROUPS, READS, Condition, Group, Operation

NOTHING: Final = object()
"""Stands for the first argument of a call that has none."""

_EAGER = ("os", "random", "secrets", "subprocess", "threading", "time", "uuid")
# By id(); the objects are kept alive, so that their ids stay their own.
_known: dict[int, Operation] = {}
_alive: list[Any] = []
_pending: list[Group] = list(GROUPS)
_reads: dict[int, Operation] = {}

known = _known.get
"""Return the entry of a callable by its ``id``, if it is one of the listed objects itself."""


def load() -> None:
    """Look up every name of the modules that are loaded, and load the small ones."""
    for name in _EAGER:
        importlib.import_module(name)
    _learn_new_modules()
    for group in READS:
        _learn(group, sys.modules[group.module], _reads)


def find(callee: Any, first: Any = NOTHING) -> Operation | None:
    """Return the entry of a callable, called with a first argument, or ``None``.

    A method may be given bound, or as its function with the object as ``first``. Whether the entry's condition holds is asked
    of ``applies``.
    """
    if _pending:
        _learn_new_modules()
    entry = _known.get(id(callee))
    if entry is not None:
        return entry
    kind = type(callee)  # isinstance() would run code of proxies that lie about their class
    if kind is BuiltinFunctionType:
        return _bound_builtin(callee.__self__, callee.__name__)
    if kind is MethodType:
        return find(callee.__func__, callee.__self__)
    if kind is functools.partial:
        return find(callee.func, callee.args[0] if callee.args else first)
    if first is not NOTHING and first is _shared_random():
        # What the module offers are its methods, bound once: they are known, and others of the same name are new each time.
        offered = getattr(sys.modules["random"], getattr(callee, "__name__", ""), None)
        return _known.get(id(offered))
    return None


def stand_in(replacement: Any, original: Any) -> None:
    """Let a wrapper count as what it wraps."""
    entry = find(original)
    if entry is not None:
        _known[id(replacement)] = entry
        _alive.append(replacement)


def applies(operation: Operation, first: Any) -> bool:
    """Say whether a call with this first argument is meant by the entry."""
    return operation.condition is Condition.ALWAYS or first is NOTHING or first is None


def find_read(value: Any) -> Operation | None:
    """Return the entry of an object that may not even be looked at."""
    return _reads.get(id(value))


def is_catalogued(module: str) -> bool:
    """Say whether a module is one of the catalogue's, so that importing it is harmless."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names and any(group.module == module for group in GROUPS)


def _bound_builtin(owner: Any, name: str) -> Operation | None:
    if isinstance(owner, type) and issubclass(owner, dt.date):
        return CLOCK_CLASSMETHODS.get(name)
    return None


def _shared_random() -> Any:
    return getattr(sys.modules.get("random"), "_inst", NOTHING)


def _learn_new_modules() -> None:
    # Each call in here may be a call site that is watched, and other threads look things up as well: the same group may be
    # learned twice, which is harmless, but none is taken for learned before it is.
    for group in tuple(_pending):
        if _is_ready(group.module):
            _learn(group, sys.modules[group.module], _known)
            with suppress(ValueError):
                _pending.remove(group)


def _is_ready(name: str) -> bool:
    module = sys.modules.get(name)
    return module is not None and not getattr(module.__spec__, "_initializing", False)


def _learn(group: Group, module: ModuleType, table: dict[int, Operation]) -> None:
    for name in group.names.split():
        for value in _values(module, name.split(".")):
            if id(value) not in table:
                table[id(value)] = group.operation(name)
                _alive.append(value)


def _values(module: ModuleType, path: list[str]) -> Iterable[Any]:
    value: Any = module
    for name in path:
        value = getattr(value, name, None)
    # A class method is a new object each time it is looked at: what counts is its function.
    value = getattr(value, "__func__", value) if len(path) > 1 else value
    return () if value is None else (value,)
