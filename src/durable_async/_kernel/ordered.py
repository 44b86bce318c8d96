"""Gives asyncio and anyio sets that keep their order, where the order decides what an orchestration does first.

Two places put objects into a set that hashes them by address, and then act on them one after the other: ``asyncio.as_completed``
starts coroutines in that order, and anyio's cancel scopes cancel in it. Both get an ``OrderedSet`` when, and only when, the
running loop is deterministic. Any other loop gets the plain set that it always got. Since anyio makes a scope for nearly
everything, whoever it belongs to, the others pay one look at their loop, where anyio has a call of Python anyway.

What ``asyncio.gather`` returns is a future that no loop makes, so it hashes by address too; on a deterministic loop it hashes
like the first of what it gathers.
"""

from __future__ import annotations

import asyncio
import builtins
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, MutableSet
from typing import Any, TypeVar

T = TypeVar("T")

_ANYIO_BACKEND = "anyio._backends._asyncio"
_SCOPE_SETS = ("_child_scopes", "_tasks")
done: builtins.set[str] = builtins.set()
"""The libraries that were taken notice of, beside asyncio."""


class OrderedSet(MutableSet[T]):
    """A set that iterates in the order of insertion."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items = dict.fromkeys(items)

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"OrderedSet({list(self._items)!r})"

    def add(self, value: T) -> None:
        """Add an item; one that is there keeps its place."""
        self._items[value] = None

    def discard(self, value: T) -> None:
        """Remove an item, if it is there."""
        self._items.pop(value, None)


def install() -> None:
    """Put the sets in place: for asyncio now, for anyio as soon as it is used. Once for the process."""
    if not hasattr(asyncio.tasks, "set"):
        setattr(asyncio.tasks, "set", _set_of_tasks)  # noqa: B010 - types do not know of it
        asyncio.tasks._GatheringFuture.__hash__ = _hash_of_gathering  # type: ignore[attr-defined]
    refresh()


def refresh() -> None:
    """Take notice of anyio, if it was imported since; looked after at the start of every turn until it was."""
    if done or "anyio" not in sys.modules:
        return
    # anyio loads this itself, but only at the first use, which may be in the middle of a turn.
    backend = importlib.import_module(_ANYIO_BACKEND)
    backend.CancelScope.__new__ = _scope_maker(backend.CancelScope)
    done.add(_ANYIO_BACKEND)


def _is_deterministic() -> bool:
    return getattr(asyncio._get_running_loop(), "is_deterministic", False)


def _set_of_tasks(*items: Iterable[Any]) -> Any:
    """Stand in for ``set`` in ``asyncio.tasks``; the sets that ``wait`` gives back start empty and stay plain."""
    if items and _is_deterministic():
        return OrderedSet(*items)
    return builtins.set(*items)


def _hash_of_gathering(gathering: Any) -> int:
    """Return the hash of its first future; it never changes, since a gathering always has one."""
    if getattr(gathering.get_loop(), "is_deterministic", False):
        return hash(gathering._children[0])
    return object.__hash__(gathering)


def _scope_maker(plain: type[Any]) -> Callable[..., Any]:
    """Return what stands in for the ``__new__`` of anyio's cancel scopes, which makes an object and no more."""

    class OrderedScope(plain):  # type: ignore[misc]
        """A cancel scope that keeps the order of what it cancels."""

        __slots__ = ()

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            for name in _SCOPE_SETS:
                setattr(self, name, OrderedSet(getattr(self, name)))

    new = object.__new__
    running_loop = asyncio._get_running_loop

    def make(cls: type[Any], *args: Any, **kwargs: Any) -> Any:
        if cls is plain and getattr(running_loop(), "is_deterministic", False):
            return new(OrderedScope)
        return new(cls)

    return make
