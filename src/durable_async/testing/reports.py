"""Tasks and steps in words, for the errors of virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import linecache
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

from .ordering import VirtualTask

TASKS_SHOWN_MAX = 20


def describe_tasks(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """Say of each pending task what it is and where it waits, innermost line last."""
    pending = sorted((task for task in tasks if not task.done()), key=_number)
    lines = [_describe_task(task) for task in pending[:TASKS_SHOWN_MAX]]
    if len(pending) > TASKS_SHOWN_MAX:
        lines.append(f"  and {len(pending) - TASKS_SHOWN_MAX} more tasks")
    return "\n".join(lines) or "  no task is pending"


def describe_callback(callback: Callable[..., Any]) -> str:
    """Name what a step runs, the same way in every run: never by an address."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, VirtualTask):
        return owner.label
    return str(getattr(callback, "__qualname__", type(callback).__qualname__))


def _number(task: asyncio.Task[Any]) -> int:
    return task.number if isinstance(task, VirtualTask) else 0


def _describe_task(task: asyncio.Task[Any]) -> str:
    label = task.label if isinstance(task, VirtualTask) else "task"
    frames = [_describe_frame(frame) for frame in _frames(task.get_coro())]
    return "\n".join([f"  {label} (named {task.get_name()!r})", *frames])


def _describe_frame(frame: FrameType) -> str:
    code, line = frame.f_code, frame.f_lineno
    source = linecache.getline(code.co_filename, line, frame.f_globals).strip()
    return f"    {code.co_filename}:{line} in {code.co_qualname}: {source}"


def _frames(awaitable: object) -> Iterator[FrameType]:
    """Walk down from a coroutine through what it awaits, as far as there are frames."""
    frame: FrameType | None = None
    while awaitable is not None:
        outer = frame
        frame, inner = _look_into(awaitable)
        if frame is None and outer is not None and outer.f_code.co_filename == contextlib.__file__:
            # What an async context manager awaits does not tell its generator; the manager does.
            frame, inner = _look_into(getattr(outer.f_locals.get("self"), "gen", None))
        if frame is None:
            return
        yield frame
        awaitable = inner


def _look_into(awaitable: object) -> tuple[FrameType | None, object]:
    """Return the frame of a coroutine or generator, and what it awaits."""
    for kind, inner in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
        frame = getattr(awaitable, f"{kind}_frame", None)
        if isinstance(frame, FrameType):
            return frame, getattr(awaitable, inner, None)
    return None, None
