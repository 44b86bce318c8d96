"""What a process can tell about itself: tasks, memory blocks, and how full everything is that the engine keeps."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

_PACKAGE = "durable_async"
_CONTAINERS = (dict, list, set, deque)
_FRESH = 3


async def keep_diary(
    diary: Path, every_seconds: float, roots: Callable[[], Iterable[object]], **known: Any
) -> None:
    """Append a line about this process every so often, until cancelled.

    Args:
        diary: The file.
        every_seconds: How often.
        roots: Returns the objects from which everything that the engine keeps can be reached.
        **known: What else there is to tell: values, or functions that return one.
    """
    while True:
        await asyncio.sleep(every_seconds)
        told = {name: one() if callable(one) else one for name, one in known.items()}
        line = json.dumps({**insides(roots()), **told}) + "\n"
        with diary.open("a") as lines:
            lines.write(line)


def insides(roots: Iterable[object]) -> dict[str, Any]:
    """Tell about this process.

    Garbage is collected first: what waits for that is no leak.
    """
    gc.collect()
    return {
        "at": time.time(),
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "blocks": sys.getallocatedblocks(),
        "in_use": in_use(),
        "kept": dict(kept(roots)),
    }


class _Mallinfo(ctypes.Structure):
    """What glibc tells of its allocator, from version 2.33 on."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def in_use() -> int | None:
    """Return how many bytes are in use that are not in Python's own small blocks; ``None`` if nobody knows.

    What the system counts as this process's memory holds what is free as well, in pieces between what is not. It goes up by steps when there
    was more to do for a while; this does not.
    """
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return None
    mallinfo.restype = _Mallinfo
    found = mallinfo()
    return int(found.uordblks + found.hblkhd)


def kept(roots: Iterable[object]) -> Counter[str]:
    """Count what is in all containers that objects of the engine hold, by class and attribute.

    No cache has to be named here for that: one that is added tomorrow is counted, too.
    """
    sizes: Counter[str] = Counter()
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, _CONTAINERS):
            waiting += _members(one)
            continue
        for name, value in _attributes(one):
            if isinstance(value, _CONTAINERS):
                sizes[f"{type(one).__name__}.{name}"] += len(value)
            waiting.append(value)
    return sizes


def _members(container: Any) -> list[object]:
    members = list(container.values()) if isinstance(container, dict) else list(container)
    return [one for one in members if isinstance(one, _CONTAINERS) or _is_ours(one)]


def _attributes(one: object) -> Iterator[tuple[str, object]]:
    if not _is_ours(one):
        return
    yield from getattr(one, "__dict__", {}).items()
    for base in type(one).__mro__:
        for name in getattr(base, "__slots__", ()):
            value = getattr(one, name, None)
            if value is not None:
                yield name, value


def _is_ours(one: object) -> bool:
    return not isinstance(one, type) and type(one).__module__.startswith(_PACKAGE)
