"""Looking again: all who wait in this process share one look, for hints may be lost."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from durable_async.backend import Hearing, Wakeups
from durable_async.environment import Environment
from durable_async.errors import BackendUnavailableError

F = TypeVar("F")

PAUSE_SECONDS_FIRST = 0.25
PAUSE_SHARE = 0.25
"""A waiter is looked for again after this share of the time that it has waited already: ten thousand of them must not be a load."""

PAUSE_SECONDS_MAX = {Hearing.ALWAYS: 30.0, Hearing.MOSTLY: 1.0, Hearing.NEVER: 0.25}
"""This is what a lost hint costs at most."""

QUIET_AFTER_SECONDS = 60.0
QUIETER = 1.6
"""Where nothing has been heard for so long, as much longer are the pauses, until something is: there is hardly anything to be lost."""

LOOK_MAX = 1_000
"""Keys in one look; those who waited longest for one come first."""

LOOK_GAP_SECONDS = 0.1
"""At least so long from one look to the next."""

RETRY_SECONDS = 15.0
"""How long a store may be silent before that is the caller's concern."""

_log = logging.getLogger("durable_async")


class Waiter(Generic[F]):
    """One who waits for something in the store: that an instance gets somewhere, or that a request is answered.

    Attributes:
        key: The instance's or the request's id.
        is_over: Tells by what is found under the key, ``None`` for nothing, whether the wait is over.
        found: What was found there last, whole.
        is_told: Whether it should read it again: something changed, or may have.
        is_finished: Whether what it waits for was brought to it, so that nothing is to be read.
        in_progress: Whether it is to be told of progress, too, and not only of what is over.
        error: What became of looking for it.
    """

    __slots__ = (
        "_woken",
        "began",
        "due",
        "error",
        "found",
        "in_progress",
        "is_finished",
        "is_over",
        "is_told",
        "key",
    )

    def __init__(
        self, key: str, is_over: Callable[[F | None], bool], now: float, *, in_progress: bool
    ) -> None:
        self.key = key
        self.is_over = is_over
        self.in_progress = in_progress
        self.found: F | None = None
        self.began = now
        self.due = now
        self.is_told = False
        self.is_finished = False
        self.error: BackendUnavailableError | None = None
        self._woken: asyncio.Future[None] | None = None

    def tell(self) -> None:
        """Let it read again."""
        self.is_told = True
        self.nudge()

    def finish(self) -> None:
        """Let it read nothing any more: it has been brought what it waits for."""
        self.is_finished = True
        self.tell()

    def nudge(self) -> None:
        """Let it think again."""
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def sleep(self) -> None:
        """Wait until it is told or nudged; not at all if it was told already."""
        if self.is_told:
            return
        self._woken = asyncio.get_running_loop().create_future()
        try:
            await self._woken
        finally:
            self._woken = None


class Lookout(Generic[F]):
    """Looks for all who wait, by the task of one of them, who passes that on when it leaves.

    Args:
        look: Reads what is under many keys, no more of it than tells whether a wait is over.
    """

    def __init__(
        self,
        look: Callable[[Sequence[str]], Awaitable[Sequence[F | None]]],
        wakeups: Wakeups,
        environment: Environment,
    ) -> None:
        self._look_at = look
        self._wakeups = wakeups
        self._environment = environment
        self._waiting: dict[Waiter[F], None] = {}
        self._line: list[tuple[float, int, Waiter[F]]] = []
        self._put_off_times = 0
        self._leader: Waiter[F] | None = None
        self._planned = 0.0
        self._looked_at = float("-inf")
        self._silent_since: float | None = None
        self._stirred_at = environment.monotonic()

    async def wait(self, waiter: Waiter[F]) -> None:
        """Return when the waiter was told.

        Raises:
            BackendUnavailableError: The store is silent.
        """
        # That of a wait before was raised, or came too late; who was told of it is still told, and so reads at once.
        waiter.error = None
        self._waiting[waiter] = None
        self._put_off([waiter])
        if self._leader is not None and waiter.due + LOOK_GAP_SECONDS < self._planned:
            self._leader.nudge()
        try:
            while not waiter.is_told:
                if self._leader is None:
                    await self._lead(waiter)
                else:
                    await waiter.sleep()
        finally:
            del self._waiting[waiter]
            self._pass_on()
        if waiter.error is not None:
            raise waiter.error

    def stir(self) -> None:
        """Note that something was heard: whoever was to be looked for after a longer pause is now looked for after one that is not."""
        now = self._environment.monotonic()
        was_quiet = self._is_quiet(now)
        self._stirred_at = now
        if not was_quiet:
            return
        latest = now + self._pause_max(now)
        for waiter in self._waiting:
            if waiter.due > latest:
                self._set_due(waiter, latest)
        if self._leader is not None:
            self._leader.nudge()

    def hurry(self) -> None:
        """Look for all as soon as possible."""
        now = self._environment.monotonic()
        self._line.clear()
        for waiter in self._waiting:
            self._set_due(waiter, now)
        if self._leader is not None:
            self._leader.nudge()

    async def _lead(self, leader: Waiter[F]) -> None:
        self._leader = leader
        try:
            while not leader.is_told:
                self._planned = max(self._next_due(), self._looked_at + LOOK_GAP_SECONDS)
                left = self._planned - self._environment.monotonic()
                if left > 0:
                    alarm = asyncio.get_running_loop().call_later(left, leader.nudge)
                    try:
                        await leader.sleep()
                    finally:
                        alarm.cancel()
                else:
                    await self._look()
        finally:
            self._leader = None

    def _pass_on(self) -> None:
        """Have another one lead: the latest, who is likely to wait for longest."""
        if self._leader is None and self._waiting:
            next(reversed(self._waiting)).nudge()

    # -- one look

    async def _look(self) -> None:
        self._looked_at = self._environment.monotonic()
        chosen = self._choose(self._looked_at)
        keys = list(dict.fromkeys(waiter.key for waiter in chosen))
        try:
            answers = await self._look_at(keys)
        except BackendUnavailableError as error:
            self._fail(chosen, error)
            return
        except BaseException:  # the leader leaves; another one looks for the others
            for waiter in chosen:
                self._set_due(waiter, waiter.due)
            raise
        self._silent_since = None
        found = dict(zip(keys, answers, strict=True))
        left: list[Waiter[F]] = []
        for waiter in chosen:
            if waiter.is_over(found[waiter.key]):
                self._stirred_at = self._looked_at
                waiter.tell()
            else:
                left.append(waiter)
        self._put_off(left)

    def _choose(self, now: float) -> list[Waiter[F]]:
        """Return those whose time has come, and who would not have long to go; those who waited longest for a look, if they are many."""
        chosen: list[Waiter[F]] = []
        others: list[tuple[float, int, Waiter[F]]] = []
        pause_max = self._pause_max(now)
        while self._line and len(chosen) < LOOK_MAX:
            due, _, waiter = self._line[0]
            if due - now > pause_max / 2:
                break
            entry = heapq.heappop(self._line)
            if waiter.due != due or waiter not in self._waiting:
                continue
            if due - now <= _pause(waiter, now, pause_max) / 2:
                chosen.append(waiter)
            else:
                others.append(entry)
        for entry in others:
            heapq.heappush(self._line, entry)
        return chosen

    def _fail(self, chosen: list[Waiter[F]], error: BackendUnavailableError) -> None:
        now = self._environment.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        _log.debug("cannot look for %d keys: %s", len(chosen), error)
        for waiter in chosen:
            if now - self._silent_since > RETRY_SECONDS:
                waiter.error = error
                waiter.tell()
            else:
                self._set_due(waiter, now + PAUSE_SECONDS_FIRST)

    # -- when

    def _put_off(self, waiters: Sequence[Waiter[F]]) -> None:
        now = self._environment.monotonic()
        spread = 0.95 + 0.05 * self._environment.random().random()
        pause_max = self._pause_max(now)
        for waiter in waiters:
            self._set_due(waiter, now + _pause(waiter, now, pause_max) * spread)

    def _set_due(self, waiter: Waiter[F], due: float) -> None:
        """Put a waiter in line; where it stood before does not count any more."""
        waiter.due = due
        self._put_off_times += 1
        heapq.heappush(self._line, (due, self._put_off_times, waiter))

    def _next_due(self) -> float:
        """Return when the first in line is due; the leader is in line."""
        while True:
            due, _, waiter = self._line[0]
            if waiter.due == due and waiter in self._waiting:
                return due
            heapq.heappop(self._line)

    def _pause_max(self, now: float) -> float:
        pause = PAUSE_SECONDS_MAX[self._wakeups.hearing]
        return pause * QUIETER if self._is_quiet(now) else pause

    def _is_quiet(self, now: float) -> bool:
        return (
            now - self._stirred_at >= QUIET_AFTER_SECONDS
            and self._wakeups.hearing is not Hearing.NEVER
        )


def _pause(waiter: Waiter[Any], now: float, pause_max: float) -> float:
    return min(max((now - waiter.began) * PAUSE_SHARE, PAUSE_SECONDS_FIRST), pause_max)
