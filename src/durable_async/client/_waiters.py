"""Waiting for an instance or an answer: hints first, looking again as the guarantee."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

import anyio
from anyio.lowlevel import checkpoint

from durable_async.backend import Hearing, Wakeups
from durable_async.environment import Environment

from ._lookout import Lookout, Waiter

FEW = 20
"""So many waiters may as well read at once when anything may have changed."""

F = TypeVar("F")


class News:
    """What has been heard of a key since somebody began to care, as long as he keeps this.

    Attributes:
        is_changed: Whether it changed, or may have.
        has_progressed: Whether there was progress, or may have been.
    """

    __slots__ = ("__weakref__", "has_progressed", "is_changed")

    def __init__(self) -> None:
        self.is_changed = False
        self.has_progressed = False


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
        self._wakeups = wakeups
        self._environment = environment
        self._read = read
        self._lookout = Lookout(look, wakeups, environment)
        self._by_key: dict[str, dict[Waiter[F], None]] = {}
        self._news: WeakValueDictionary[str, News] = WeakValueDictionary()
        self._unlisten = wakeups.listen(self._lookout.stir, self._on_changed, self._on_progress)

    def close(self) -> None:
        """Listen no more, and have all who wait see that the store is closed, which it is by the time that they read."""
        self._unlisten()
        for waiters in self._by_key.values():
            for waiter in waiters:
                waiter.tell()

    def news(self, key: str) -> News:
        """Note what is heard of a key from now on: who asks for something, and may wait for it later, need not look then if there was none."""
        news = self._news.get(key)
        if news is None:
            news = self._news[key] = News()
        return news

    def is_quiet(self, news: News, *, in_progress: bool) -> bool:
        """Tell whether nothing has been heard of a key so far, of all that is told here."""
        if self._wakeups.hearing is Hearing.NEVER:
            return False
        return not news.is_changed and not (in_progress and news.has_progressed)

    @contextmanager
    def waiter(
        self, key: str, is_over: Callable[[F | None], bool], *, in_progress: bool = False
    ) -> Generator[Waiter[F]]:
        """Hear of a key from now on: who asks for something hears of the answer however soon it comes."""
        waiter: Waiter[F] = Waiter(
            key, is_over, self._environment.monotonic(), in_progress=in_progress
        )
        self._by_key.setdefault(key, {})[waiter] = None
        try:
            yield waiter
        finally:
            waiting = self._by_key[key]
            waiting.pop(waiter, None)
            if not waiting:
                del self._by_key[key]

    async def wait(self, waiter: Waiter[F], timeout: float | None, *, look_first: bool) -> bool:
        """Tell whether the wait was over in time; ``waiter.found`` is what was there, unless it was brought what it waits for.

        Args:
            waiter: Who waits.
            timeout: Seconds to wait at most; ``None`` for ever.
            look_first: Whether it may be over already; otherwise nothing is read before there is news.

        Raises:
            BackendUnavailableError: The store is silent, and has been for a while.
        """
        if timeout is None:
            await self._until_over(waiter, look_first=look_first)
            return True
        with anyio.move_on_after(timeout):
            await self._until_over(waiter, look_first=look_first)
            return True
        return False

    async def _until_over(self, waiter: Waiter[F], *, look_first: bool) -> None:
        if not look_first:
            await self._listen(waiter)
        while not waiter.is_finished:
            waiter.is_told = False  # before the query: what changes after it is heard
            try:
                waiter.found = await self._read(waiter.key)
            except BaseException:
                waiter.is_told = True  # it has not seen what it was told of, and may wait again
                raise
            if waiter.is_over(waiter.found):
                return
            await self._listen(waiter)

    async def _listen(self, waiter: Waiter[F]) -> None:
        await self._lookout.wait(waiter)
        if not waiter.is_finished:
            await checkpoint()  # a hint from this process may be a step ahead of what is brought

    def _on_changed(self, keys: frozenset[str] | None) -> None:
        self._lookout.stir()
        for news in self._heard_of(keys):
            news.is_changed = True
        if keys is None and len(self._by_key) > FEW:
            self._lookout.hurry()
            return
        for key in self._by_key if keys is None else keys:
            for waiter in self._by_key.get(key, ()):
                waiter.tell()

    def _on_progress(self, keys: frozenset[str] | None) -> None:
        self._lookout.stir()
        for news in self._heard_of(keys):
            news.has_progressed = True
        for key in self._by_key if keys is None else keys:
            for waiter in self._by_key.get(key, ()):
                if waiter.in_progress:
                    waiter.tell()

    def _heard_of(self, keys: frozenset[str] | None) -> list[News]:
        if keys is None:
            return list(self._news.values())
        if not self._news:
            return []
        return [news for key in keys if (news := self._news.get(key)) is not None]
