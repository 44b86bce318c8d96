"""Watches call sites with ``sys.monitoring``, beside coverage, debuggers and profilers. Does nothing on Python 3.11.

The callback answers ``DISABLE`` for a call site that calls nothing forbidden: the interpreter then forgets that site, and it
costs nothing any more.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from . import lookup
from .catalogue import GROUPS, READS, Operation

OnCall = Callable[[CodeType, int, Any, Any], Any]
OnEntry = Callable[[dict[CodeType, Operation], CodeType], None]

NAME = "durable_async"
# Python names 0, 1, 2 and 5 for debuggers, coverage, profilers and optimizers.
_TOOLS = (4, 3, 2, 5)
# Functions worth noticing even when no line of Python calls them: partials, default factories, map().
_ENTERED = (
    ("uuid", "uuid1"),
    ("uuid", "uuid4"),
    ("os", "_Environ.__getitem__"),
    ("threading", "Thread.start"),
)

DISABLE: Any = None


@dataclass(slots=True)
class _Registration:
    tool: int | None = None


_registered = _Registration()

if sys.version_info >= (3, 12):
    _monitoring = sys.monitoring
    DISABLE = _monitoring.DISABLE

    def start(on_call: OnCall, on_entry: OnEntry) -> None:
        """Watch, if a tool number is free."""
        tool = _registered.tool = next(
            (tool for tool in _TOOLS if _monitoring.get_tool(tool) is None), None
        )
        if tool is None:
            return
        _monitoring.use_tool_id(tool, NAME)
        entered = _entered_functions()

        def entry(code: CodeType, offset: int) -> None:
            on_entry(entered, code)

        _monitoring.register_callback(tool, _monitoring.events.CALL, on_call)
        _monitoring.register_callback(tool, _monitoring.events.PY_START, entry)
        _monitoring.set_events(tool, _monitoring.events.CALL)
        for code in entered:
            _monitoring.set_local_events(tool, code, _monitoring.events.PY_START)
        atexit.register(stop)  # what dies after the modules would call what they no longer have

    def stop() -> None:
        """Stop watching and give the tool number back."""
        tool = _registered.tool
        if tool is None:
            return
        atexit.unregister(stop)
        _monitoring.set_events(tool, 0)
        for code in _entered_functions():
            _monitoring.set_local_events(tool, code, 0)
        for event in (_monitoring.events.CALL, _monitoring.events.PY_START):
            _monitoring.register_callback(tool, event, None)
        _monitoring.free_tool_id(tool)
        _registered.tool = None

    def look_again() -> None:
        """Look at every call site again."""
        if _registered.tool is not None:
            _monitoring.restart_events()

    def argument(first: Any) -> Any:
        """Return the first argument as the lookup knows it."""
        return lookup.NOTHING if first is _monitoring.MISSING else first

else:

    def start(on_call: OnCall, on_entry: OnEntry) -> None:
        """Do nothing."""

    def stop() -> None:
        """Do nothing."""

    def look_again() -> None:
        """Do nothing."""

    def argument(first: Any) -> Any:
        """Return the argument."""
        return first


def is_watching() -> bool:
    """Say whether call sites are watched."""
    return _registered.tool is not None


def _entered_functions() -> dict[CodeType, Operation]:
    entries = {
        (group.module, name): group.operation(name)
        for group in (*GROUPS, *READS)
        for name in group.names.split()
    }
    entries["os", "_Environ.__getitem__"] = entries["os", "environ"]
    found = {}
    for module, path in _ENTERED:
        value: Any = sys.modules.get(module)
        for name in path.split("."):
            value = getattr(value, name, None)
        if isinstance(value, FunctionType):
            found[value.__code__] = entries[module, path]
    return found
