"""Sets that iterate the same way in every run.

asyncio and anyio keep tasks, futures and cancel scopes in sets, whose order follows addresses, and cancel them in that order. Here
each hashes by a number that its loop gives out, or stands in a set that remembers insertion.
"""

from __future__ import annotations

import asyncio
import functools
import re
from asyncio import events
from collections.abc import Coroutine, Generator, Iterable, Iterator, MutableSet
from typing import Any, Protocol, TypeVar

from anyio._backends import _asyncio as anyio_asyncio

T = TypeVar("T")

ADDRESS = re.compile(r"\b0x[0-9a-f]+", re.IGNORECASE)


class Numbering(Protocol):
    """Who gives out numbers."""

    def next_number(self) -> int:
        """Return a number that was not given out before."""
        ...


class VirtualTask(asyncio.Task[T]):
    """A task that hashes by its number.

    Attributes:
        number: Counts the tasks of the loop from 1.
        label: Number and name, or coroutine where it was made without a name; the same in every run.
    """

    number: int
    label: str

    def __init__(
        self,
        coro: Generator[Any, Any, T] | Coroutine[Any, Any, T],
        number: int,
        *,
        name: object = None,
        **options: Any,
    ) -> None:
        self.number = number
        known_as = getattr(coro, "__qualname__", type(coro).__qualname__) if name is None else name
        self.label = f"task {number} {ADDRESS.sub('0x', str(known_as))}"
        super().__init__(coro, name=f"Task-{number}" if name is None else str(name), **options)

    def __hash__(self) -> int:
        return self.number


class VirtualFuture(asyncio.Future[T]):
    """A future that hashes by a number, which it asks for when it first gets into a set."""

    _number: int | None = None

    def __hash__(self) -> int:
        if self._number is None:
            loop: Any = self.get_loop()
            numbering: Numbering = loop
            self._number = numbering.next_number()
        return self._number


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

    def add(self, value: T) -> None:
        """Add a value at the end, unless it is there."""
        self._items[value] = None

    def discard(self, value: T) -> None:
        """Remove a value, if it is there."""
        self._items.pop(value, None)


@functools.cache
def order_cancel_scopes() -> None:
    """Make anyio's cancel scopes on numbering loops remember the order of their children. Once is enough.

    anyio offers no seam for it, so its constructor is wrapped; scopes on any other loop stay as they are.
    """
    construct = anyio_asyncio.CancelScope.__init__

    @functools.wraps(construct)
    def construct_in_order(scope: Any, *args: Any, **kwargs: Any) -> None:
        construct(scope, *args, **kwargs)
        if hasattr(events._get_running_loop(), "next_number"):
            scope._child_scopes = OrderedSet()

    # A plain assignment is refused by type checkers: a class's constructor is not for strangers.
    setattr(anyio_asyncio.CancelScope, "__init__", construct_in_order)  # noqa: B010
