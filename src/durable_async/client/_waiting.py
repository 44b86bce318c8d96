"""Waiting for an instance or an answer: hints first, looking again as the guarantee."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

import anyio

from durable_async.backend import Wakeups
from durable_async.environment import Environment

from ._looking import Lookout, Waiter

FEW = 20
"""So many waiters may as well read at once when anything may have changed."""

F = TypeVar("F")


class Waiters(Generic[F]):
    """Those who wait, in this process, for something of one kind.

    Args:
        read: Reads what is under a key, whole; bears with a store that is silent for a while.
        look: Reads what is under many keys, no more of it than tells whether a wait is over.
    """

    def __init__(
        self,
        wakeups: Wakeups,
        environment: Environment,
        read: Callable[[str], Awaitable[F | None]],
        look: Callable[[Sequence[str]], Awaitable[Sequence[F | None]]],
    ) -> None:
        self._environment = environment
        self._read = read
        self._lookout = Lookout(look, wakeups, environment)
        self._by_key: dict[str, set[Waiter[F]]] = {}
        self.close = wakeups.listen(lambda: None, self._on_changed)

    @contextmanager
    def waiter(self, key: str, is_over: Callable[[F | None], bool]) -> Generator[Waiter[F]]:
        """Hear of a key from now on: who asks for something hears of the answer however soon it comes."""
        waiter: Waiter[F] = Waiter(key, is_over, self._environment.monotonic())
        self._by_key.setdefault(key, set()).add(waiter)
        try:
            yield waiter
        finally:
            waiting = self._by_key[key]
            waiting.discard(waiter)
            if not waiting:
                del self._by_key[key]

    async def wait(self, waiter: Waiter[F], timeout: float | None, *, look_first: bool) -> bool:
        """Tell whether the wait was over in time; ``waiter.found`` is what was there.

        Args:
            waiter: Who waits.
            timeout: Seconds to wait at most; ``None`` for ever.
            look_first: Whether it may be over already; otherwise nothing is read before there is news.

        Raises:
            BackendUnavailableError: The store is silent, and has been for a while.
        """
        with anyio.move_on_after(timeout):
            if not look_first:
                await self._lookout.wait(waiter)
            while True:
                waiter.is_told = False  # before the query: what changes after it is heard
                waiter.found = await self._read(waiter.key)
                if waiter.is_over(waiter.found):
                    return True
                await self._lookout.wait(waiter)
        return False

    def _on_changed(self, keys: frozenset[str] | None) -> None:
        if keys is None and len(self._by_key) > FEW:
            self._lookout.hurry()
            return
        for key in self._by_key if keys is None else keys:
            for waiter in self._by_key.get(key, ()):
                waiter.tell()
