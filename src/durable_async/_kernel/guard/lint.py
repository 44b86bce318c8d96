"""Reads an orchestrator's code when it is registered, and the code of its own package that it calls.

On Python 3.11 this is the main net; later it finds at start-up what would otherwise be found at the first run. It reports only what it can
resolve to the very object in the catalogue. It looks into functions that are called, not into those that are only mentioned,
such as activities.
"""

from __future__ import annotations

import builtins
import functools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType, MethodType
from typing import Any, Final

from . import lookup
from .bytecode import Call, Definition, Reader
from .catalogue import Operation, Severity
from .frames import is_library
from .policy import Finding, GuardPolicy, unsafe_nondeterminism, warn_once
from .values import NULL, UNKNOWN, Instance, Known, Method, Value

DEPTH_MAX = 12
FUNCTIONS_MAX = 400
_MARK = "__durable_"
# Methods that call their first argument in the same turn.
_CALLS_ARGUMENT = frozenset({"call_later", "call_soon", "start", "start_soon"})
_MISSING: Final = object()


def lint(function: Callable[..., Any], policy: GuardPolicy = GuardPolicy.RAISE) -> list[Finding]:
    """Return what an orchestrator does that a replay cannot repeat, without running it.

    Args:
        function: The orchestrator: a function, a bound method, or a callable object.
        policy: ``OFF`` leaves soft findings out.
    """
    lookup.load()
    linter = _Linter(function)
    return [f for f in linter.run() if f.severity is Severity.HARD or policy is not GuardPolicy.OFF]


def check(function: Callable[..., Any], policy: GuardPolicy = GuardPolicy.WARN) -> None:
    """Refuse or warn of an orchestrator that does what a replay cannot repeat.

    Raises:
        ForbiddenOperationError: For the first finding that the policy does not allow; its notes name the others.
    """
    findings = lint(function, policy)
    refused = [f.error() for f in findings if f.is_refused(policy) or not warn_once(f)]
    if refused:
        for other in refused[1:]:
            refused[0].add_note(str(other))
        raise refused[0]


@dataclass(frozen=True, slots=True)
class _Scope:
    """What names mean around one function."""

    globals: Mapping[str, Any]
    closure: Mapping[str, Value] = field(default_factory=dict)

    def outer(self, name: str) -> Value:
        if name in self.closure:
            return self.closure[name]
        value = self.globals.get(name, _MISSING)
        if value is _MISSING:
            value = vars(builtins).get(name, _MISSING)
        return UNKNOWN if value is _MISSING else Known(value)

    def is_escape(self, callee: Value) -> bool:
        return isinstance(callee, Known) and callee.value is unsafe_nondeterminism


@dataclass(frozen=True, slots=True)
class _Unit:
    """Code to read."""

    code: CodeType
    scope: _Scope
    first: Value
    depth: int
    called_at: tuple[str, int] | None


class _Linter:
    def __init__(self, function: Callable[..., Any]) -> None:
        self._package = _package(function)
        self._queue: deque[_Unit] = deque()
        self._seen: set[CodeType] = set()
        self._findings: dict[tuple[str, str], Finding] = {}
        self._follow(Known(function), 0, None, is_root=True)

    def run(self) -> list[Finding]:
        while self._queue:
            self._read(self._queue.popleft())
        return list(self._findings.values())

    def _read(self, unit: _Unit) -> None:
        reader = Reader(unit.code, unit.scope, unit.first)
        nested: list[CodeType] = []
        for event in reader.read():
            match event:
                case Definition(code=code):
                    nested.append(code)
                case Call(callee=callee, arguments=arguments, line=line):
                    self._judge(unit, callee, arguments, line)
                    place = _place(unit, line)
                    self._follow(callee, unit.depth + 1, place)
                    self._follow_argument(callee, arguments, unit.depth + 1, place)
                case _:
                    self._add(unit, lookup.find_read(event.value), event.line)
        closure = {**unit.scope.closure, **reader.names}
        for code in nested:
            free = {name: closure.get(name, UNKNOWN) for name in code.co_freevars}
            scope = _Scope(unit.scope.globals, free)
            self._enqueue(_Unit(code, scope, UNKNOWN, unit.depth, unit.called_at))

    # -- what is forbidden

    def _judge(
        self, unit: _Unit, callee: Value, arguments: tuple[Value, ...] | None, line: int
    ) -> None:
        match callee:
            case Known(value=value):
                target, first = value, _first(arguments)
            case Method(function=function):
                target, first = function, UNKNOWN
            case _:
                return
        operation = lookup.find(target, first)
        if operation is not None and lookup.applies(operation, first):
            self._add(unit, operation, line)

    def _add(self, unit: _Unit, operation: Operation | None, line: int) -> None:
        if operation is not None:
            finding = Finding.of(operation, *_place(unit, line))
            self._findings.setdefault((finding.operation, finding.source), finding)

    # -- what is read next

    def _follow(
        self, callee: Value, depth: int, place: tuple[str, int] | None, *, is_root: bool = False
    ) -> None:
        for function, first in _functions(callee, is_root=is_root):
            if depth <= DEPTH_MAX and (is_root or self._is_own(function)):
                closure = {
                    name: UNKNOWN if content is _MISSING else Known(content)
                    for name, content in _cells(function)
                }
                scope = _Scope(function.__globals__, closure)
                self._enqueue(_Unit(function.__code__, scope, first, depth, place))

    def _follow_argument(
        self,
        callee: Value,
        arguments: tuple[Value, ...] | None,
        depth: int,
        place: tuple[str, int],
    ) -> None:
        function = _function_of(callee)
        if arguments and function is not None and function.__name__ in _CALLS_ARGUMENT:
            self._follow(arguments[0], depth, place)

    def _enqueue(self, unit: _Unit) -> None:
        if unit.code not in self._seen and len(self._seen) < FUNCTIONS_MAX:
            self._seen.add(unit.code)
            self._queue.append(unit)

    def _is_own(self, function: FunctionType) -> bool:
        file = function.__code__.co_filename
        if is_library(file) or file.startswith("<frozen"):
            return False
        return _package(function) == self._package


def _functions(callee: Value, *, is_root: bool) -> list[tuple[FunctionType, Value]]:
    """Return the functions that a call runs, each with what its first parameter stands for."""
    match callee:
        case Method(function=function, receiver=receiver):
            return [] if _is_marked(function) else _unwrapped(function, receiver)
        case Known(value=type() as cls):
            return _constructors(cls)
        case Known(value=value) if is_root or not _is_marked(value):
            return _of_object(value)
        case _:
            return []


def _of_object(value: Any) -> list[tuple[FunctionType, Value]]:
    if isinstance(value, functools.partial):
        return _of_object(value.func)
    if isinstance(value, MethodType):
        return _unwrapped(value.__func__, Known(value.__self__))
    if isinstance(value, FunctionType) or hasattr(type(value), "cache_info"):
        return _unwrapped(value, UNKNOWN)
    call = getattr(type(value), "__call__", None)  # noqa: B004 - the function is wanted
    return _unwrapped(call, Known(value))


def _unwrapped(function: Any, first: Value) -> list[tuple[FunctionType, Value]]:
    """Return a function and what its decorators wrapped."""
    found: list[tuple[FunctionType, Value]] = []
    while function is not None and len(found) < DEPTH_MAX:
        if isinstance(function, FunctionType):
            found.append((function, first))
        function = getattr(function, "__wrapped__", None)
    return found


def _constructors(cls: type) -> list[tuple[FunctionType, Value]]:
    names = ("__init__", "__post_init__")
    functions = (getattr(cls, name, None) for name in names)
    return [pair for function in functions for pair in _unwrapped(function, Instance(cls))]


def _is_marked(value: Any) -> bool:
    """Say whether it is an activity or another durable thing, which runs elsewhere."""
    names = [*getattr(value, "__dict__", ()), *vars(type(value))]
    return any(isinstance(name, str) and name.startswith(_MARK) for name in names)


def _cells(function: FunctionType) -> list[tuple[str, Any]]:
    found = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found.append((name, cell.cell_contents))
        except ValueError:  # not filled yet
            found.append((name, _MISSING))
    return found


def _function_of(callee: Value) -> Any:
    match callee:
        case Method(function=function):
            return function
        case Known(value=MethodType() | FunctionType() as value):
            return value
        case _:
            return None


def _first(arguments: tuple[Value, ...] | None) -> Any:
    """Return the first argument as the lookup knows it."""
    if arguments is None:
        return UNKNOWN
    if not arguments or arguments[0] is NULL:
        return lookup.NOTHING
    return arguments[0].value if isinstance(arguments[0], Known) else UNKNOWN


def _package(function: Any) -> str:
    module = getattr(function, "__module__", None) or ""
    return str(module).partition(".")[0]


def _place(unit: _Unit, line: int) -> tuple[str, int]:
    """Return file and line; of the caller, for generated code that has no file."""
    file = unit.code.co_filename
    if file.startswith("<") and unit.called_at is not None:
        return unit.called_at
    return file, line
