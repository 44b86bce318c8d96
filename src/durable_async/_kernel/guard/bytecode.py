"""Reads a code object the way the interpreter would, with values instead of running it, and tells what it calls.

Bytecode, not source: it is there for every function, and it knows scopes exactly. The reader follows the stack once through the
code, in its order. What it cannot know is ``UNKNOWN``; it never guesses.
"""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any, Protocol

from .values import (
    NULL,
    TOLERATED,
    UNKNOWN,
    Known,
    Nested,
    Value,
    attribute,
    called,
    imported,
)


@dataclass(frozen=True, slots=True)
class Call:
    """A call.

    Attributes:
        callee: What is called.
        arguments: What is passed, or ``None`` where a ``*`` hides it.
        line: Where.
    """

    callee: Value
    arguments: tuple[Value, ...] | None
    line: int


@dataclass(frozen=True, slots=True)
class Read:
    """An object that the code looks at."""

    value: Any
    line: int


@dataclass(frozen=True, slots=True)
class Definition:
    """A function, lambda or comprehension inside the code, with the names it takes from around it."""

    code: CodeType


Event = Call | Read | Definition


class Scope(Protocol):
    """What names mean around the code."""

    def is_escape(self, callee: Value) -> bool:
        """Say whether calling it opens a tolerated block."""
        ...

    def outer(self, name: str) -> Value:
        """Return what a global, a builtin or a name of an enclosing function stands for."""
        ...


class Reader:
    """Reads one code object.

    Args:
        code: What is read.
        scope: What names mean around it.
        first: What its first parameter stands for.

    Attributes:
        names: What its local names turned out to stand for.
    """

    def __init__(self, code: CodeType, scope: Scope, first: Value = UNKNOWN) -> None:
        self._code = code
        self._scope = scope
        self._stack: list[Value] = []
        self._arrivals: dict[int, list[Value]] = {}
        self._falls_through = True
        self._events: list[Event] = []
        self._line = code.co_firstlineno
        count = code.co_argcount + code.co_kwonlyargcount
        count += (code.co_flags & _TAKES_STARS).bit_count()
        self.names: dict[str, Value] = dict.fromkeys(code.co_varnames[:count], UNKNOWN)
        if code.co_argcount:
            self.names[code.co_varnames[0]] = first

    def read(self) -> Iterator[Event]:
        """Yield calls, looks and definitions in the code's order; those in tolerated blocks are left out."""
        bytecode = dis.Bytecode(self._code)
        handlers: dict[int, list[Any]] = {}
        for entry in bytecode.exception_entries:  # type: ignore[attr-defined]
            handlers.setdefault(entry.start, []).append(entry)
        for instruction in bytecode:
            self._arrive(instruction.offset)
            for entry in handlers.get(instruction.offset, ()):
                self._protect(entry)
            if instruction.positions is not None and instruction.positions.lineno is not None:
                self._line = instruction.positions.lineno
            self._step(instruction)
            if self._events:
                if TOLERATED not in self._stack:
                    yield from self._events
                self._events.clear()

    # -- where control goes

    def _arrive(self, offset: int) -> None:
        stack = self._arrivals.get(offset)
        if stack is not None:
            self._stack = _meet(stack, self._stack) if self._falls_through else stack.copy()
        self._falls_through = True

    def _depart(self, target: int, stack: list[Value]) -> None:
        known = self._arrivals.get(target)
        self._arrivals[target] = stack if known is None else _meet(known, stack)

    def _protect(self, entry: Any) -> None:
        """Remember the stack that an exception handler finds."""
        kept = self._stack[: entry.depth]
        kept += [UNKNOWN] * (entry.depth - len(kept) + entry.lasti + 1)
        self._depart(entry.target, kept)

    def _jump(self, instruction: dis.Instruction) -> None:
        if instruction.opcode not in dis.hasjrel and instruction.opcode not in dis.hasjabs:
            return
        effect = dis.stack_effect(instruction.opcode, instruction.arg, jump=True)
        stack = self._stack.copy()
        if effect < 0:
            del stack[effect:]
        else:
            stack += [UNKNOWN] * effect
        self._depart(instruction.argval, stack)

    # -- the stack

    def _pop(self) -> Value:
        return self._stack.pop() if self._stack else UNKNOWN

    def _pops(self, count: int) -> tuple[Value, ...]:
        return tuple(reversed([self._pop() for _ in range(count)]))

    def _push(self, *values: Value) -> None:
        self._stack.extend(values)

    # -- one instruction

    def _step(self, instruction: dis.Instruction) -> None:
        self._jump(instruction)
        name = instruction.opname
        exact = _EXACT.get(name)
        if exact is not None:
            exact(self, instruction)
        elif name.startswith(_POPS_ONLY):
            self._pops(-dis.stack_effect(instruction.opcode, instruction.arg, jump=False))
        elif name.startswith(_KEEPS_STACK):
            pass
        else:
            self._generic(instruction)
        self._falls_through = not name.startswith(_LEAVES)

    def _generic(self, instruction: dis.Instruction) -> None:
        """Only keep the stack's depth right, and forget what is on top."""
        effect = dis.stack_effect(instruction.opcode, instruction.arg, jump=False)
        if instruction.opname.startswith("BUILD_"):
            pops = 1 - effect
        elif instruction.opname.startswith("LOAD_"):
            pops = max(0, -effect)
        else:
            pops = max(1, 1 - effect)
        self._pops(pops)
        self._push(*[UNKNOWN] * (pops + effect))

    # -- names

    def _load_fast(self, instruction: dis.Instruction) -> None:
        names = instruction.argval
        for name in names if isinstance(names, tuple) else (names,):
            self._push(self.names.get(name, UNKNOWN))

    def _store_fast(self, instruction: dis.Instruction) -> None:
        names = instruction.argval
        for name in names if isinstance(names, tuple) else (names,):
            self._store(name)

    def _store_load(self, instruction: dis.Instruction) -> None:
        stored, loaded = instruction.argval
        self._store(stored)
        self._push(self.names.get(loaded, UNKNOWN))

    def _store(self, name: str) -> None:
        value = self._pop()
        self.names[name] = value if _is_same(self.names.get(name, value), value) else UNKNOWN

    def _load_deref(self, instruction: dis.Instruction) -> None:
        name = instruction.argval
        is_free = name in self._code.co_freevars
        self._push(self._scope.outer(name) if is_free else self.names.get(name, UNKNOWN))

    def _load_global(self, instruction: dis.Instruction) -> None:
        value = self._scope.outer(instruction.argval)
        null = instruction.opname == "LOAD_GLOBAL" and bool((instruction.arg or 0) & 1)
        self._push(*((NULL, value) if null else (value,)))
        self._look(value)

    def _load_attribute(self, instruction: dis.Instruction) -> None:
        owner = self._pop()
        value = attribute(owner, instruction.argval)
        flag = (instruction.arg or 0) & _METHOD_FLAG
        is_method = instruction.opname == "LOAD_METHOD" or bool(flag)
        self._push(*((value, owner) if is_method else (value,)))
        self._look(value)

    def _load_super(self, instruction: dis.Instruction) -> None:
        self._pops(3)
        self._push(*[UNKNOWN] * (1 + ((instruction.arg or 0) & 1)))

    def _look(self, value: Value) -> None:
        if isinstance(value, Known):
            self._events.append(Read(value.value, self._line))

    def _import(self, instruction: dis.Instruction) -> None:
        level, names = self._pops(2)
        relative = not isinstance(level, Known) or bool(level.value)
        self._push(
            imported(
                instruction.argval, int(relative), names.value if isinstance(names, Known) else None
            )
        )

    def _import_from(self, instruction: dis.Instruction) -> None:
        value = attribute(self._stack[-1] if self._stack else UNKNOWN, instruction.argval)
        self._push(value)
        self._look(value)

    # -- values

    def _load_const(self, instruction: dis.Instruction) -> None:
        value = instruction.argval
        self._push(Nested(value) if isinstance(value, CodeType) else Known(value))

    def _push_null(self, instruction: dis.Instruction) -> None:
        self._push(NULL)

    def _push_unknown(self, instruction: dis.Instruction) -> None:
        self._push(UNKNOWN)

    def _copy(self, instruction: dis.Instruction) -> None:
        depth = instruction.arg or 1
        self._push(self._stack[-depth] if len(self._stack) >= depth else UNKNOWN)

    def _swap(self, instruction: dis.Instruction) -> None:
        depth = instruction.arg or 2
        if len(self._stack) >= depth:
            self._stack[-depth], self._stack[-1] = self._stack[-1], self._stack[-depth]

    def _make_function(self, instruction: dis.Instruction) -> None:
        code = self._pop()
        self._pops((instruction.arg or 0).bit_count())
        self._push(code)
        if isinstance(code, Nested):
            self._events.append(Definition(code.code))

    def _set_function_attribute(self, instruction: dis.Instruction) -> None:
        function = self._pop()
        self._pop()
        self._push(function)

    # -- calls

    def _call(self, instruction: dis.Instruction) -> None:
        if instruction.opname == "CALL_KW":
            self._pop()
        self._finish_call(self._pops(instruction.arg or 0))

    def _call_spread(self, instruction: dis.Instruction) -> None:
        self._pops(1 + ((instruction.arg or 0) & 1))
        self._finish_call(None)

    def _finish_call(self, arguments: tuple[Value, ...] | None) -> None:
        first, second = self._pops(2)
        callee = second if first is NULL else first
        if self._scope.is_escape(callee):
            self._push(TOLERATED)
            return
        self._events.append(Call(callee, arguments, self._line))
        self._push(called(callee))

    def _enter_block(self, instruction: dis.Instruction) -> None:
        manager = self._pop()
        self._push(TOLERATED if manager is TOLERATED else UNKNOWN, UNKNOWN)


def _meet(one: list[Value], other: list[Value]) -> list[Value]:
    """Return what is known whichever way control came."""
    return [x if _is_same(x, y) else UNKNOWN for x, y in zip(one, other, strict=False)]


def _is_same(one: Value, other: Value) -> bool:
    if isinstance(one, Known) and isinstance(other, Known):
        return one.value is other.value
    return one is other


_TAKES_STARS = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
_METHOD_FLAG = 1 if sys.version_info >= (3, 12) else 0
_KEEPS_STACK = (
    "CACHE",
    "COPY_FREE_VARS",
    "DELETE_DEREF",
    "DELETE_FAST",
    "DELETE_GLOBAL",
    "DELETE_NAME",
    "EXTENDED_ARG",
    "JUMP_",
    "KW_NAMES",
    "MAKE_CELL",
    "NOP",
    "PRECALL",
    "RESUME",
    "SETUP_ANNOTATIONS",
)
_LEAVES = ("JUMP_BACKWARD", "JUMP_FORWARD", "RAISE_", "RERAISE", "RETURN_CONST", "RETURN_VALUE")
_POPS_ONLY = (
    "DELETE_ATTR",
    "DELETE_SUBSCR",
    "END_ASYNC_FOR",
    "END_FOR",
    "JUMP_IF_",
    "LIST_APPEND",
    "MAP_ADD",
    "POP_",
    "SET_ADD",
    "STORE_",
)
_EXACT = {
    "BEFORE_ASYNC_WITH": Reader._enter_block,
    "BEFORE_WITH": Reader._enter_block,
    "CALL": Reader._call,
    "CALL_FUNCTION_EX": Reader._call_spread,
    "CALL_KW": Reader._call,
    "COPY": Reader._copy,
    "IMPORT_FROM": Reader._import_from,
    "IMPORT_NAME": Reader._import,
    "LOAD_ATTR": Reader._load_attribute,
    "LOAD_CLASSDEREF": Reader._load_deref,
    "LOAD_CONST": Reader._load_const,
    "LOAD_DEREF": Reader._load_deref,
    "LOAD_FAST": Reader._load_fast,
    "LOAD_FAST_CHECK": Reader._load_fast,
    "LOAD_FAST_LOAD_FAST": Reader._load_fast,
    "LOAD_GLOBAL": Reader._load_global,
    "LOAD_METHOD": Reader._load_attribute,
    "LOAD_NAME": Reader._load_global,
    "LOAD_SUPER_ATTR": Reader._load_super,
    "MAKE_FUNCTION": Reader._make_function,
    "PUSH_NULL": Reader._push_null,
    "RETURN_GENERATOR": Reader._push_unknown,
    "SET_FUNCTION_ATTRIBUTE": Reader._set_function_attribute,
    "STORE_DEREF": Reader._store_fast,
    "STORE_FAST": Reader._store_fast,
    "STORE_FAST_LOAD_FAST": Reader._store_load,
    "STORE_FAST_STORE_FAST": Reader._store_fast,
    "SWAP": Reader._swap,
}
