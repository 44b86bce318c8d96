"""Where in the user's code something happens: lines for errors."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple

from .futures import DurableFuture, EventFuture
from .program import drive

_NOT_THE_USERS = frozenset(
    (__name__.partition(".")[0], "asyncio", "anyio", "contextlib", "contextvars", "types")
)

_turn_frames: set[CodeType] = set()


def ends_the_search(code: CodeType) -> None:
    """Mark the code below which a stack is the worker's, not the orchestrator's."""
    _turn_frames.add(code)


def user_line() -> str | None:
    """Return ``file:line`` of the innermost running frame of an orchestrator, or ``None`` if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code not in _turn_frames:
        if _is_the_users(frame):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def place_of(task: asyncio.Task[Any]) -> str:
    """Describe where a task that waits stands: the user's innermost line in it, if there is one."""
    chosen: FrameType | None = None
    for frame in _waiting_frames(task.get_coro()):
        if chosen is None or _is_the_users(frame) or not _is_the_users(chosen):
            chosen = frame
    if chosen is None:
        return f"  {task.get_name()}: not started"
    code = chosen.f_code
    return f"  {task.get_name()}: {code.co_filename}:{chosen.f_lineno} in {code.co_name}"


class Place(NamedTuple):
    """Where a task that waits stands, for people.

    Attributes:
        task: Its name.
        lines: File, line and function of the user's frames in it, outermost first.
        awaited: The durable calls that it waits for itself, alone or gathered.
    """

    task: str
    lines: list[tuple[str, int, str]]
    awaited: list[DurableFuture[Any]]


def place_in_full(task: asyncio.Task[Any]) -> Place:
    """Return where a task stands, from its outermost function to the line that waits."""
    lines = [
        (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)
        for frame in _waiting_frames(task.get_coro())
        if _is_the_users(frame)
    ]
    return Place(task.get_name(), lines, list(_awaited(task)))


def _awaited(task: asyncio.Task[Any]) -> Iterator[DurableFuture[Any]]:
    """Go through what a task waits for; of what is gathered, what has not come."""
    waiter = getattr(task, "_fut_waiter", None)
    for future in (waiter, *getattr(waiter, "_children", ())):
        if not isinstance(future, DurableFuture) or future.done():
            continue
        if future.seq or isinstance(future, EventFuture):  # otherwise it stands for several
            yield future


def _waiting_frames(awaited: Any) -> Iterator[FrameType]:
    """Go from a coroutine to what it awaits, to what that awaits; and into a generator orchestrator."""
    while awaited is not None:
        frame, awaited = _look_into(awaited)
        if frame is None:
            return
        yield frame
        if frame.f_code is drive.__code__:
            awaited = frame.f_locals.get("generator", awaited)


def _look_into(awaited: Any) -> tuple[FrameType | None, Any]:
    for frame, inner in (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom")):
        if hasattr(awaited, frame):
            return getattr(awaited, frame), getattr(awaited, inner)
    return None, None


def _is_the_users(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package not in _NOT_THE_USERS
