"""Looking again: all who wait in this process share one look, for hints may be lost."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable

import anyio

from durable_async.backend import Backend, Hearing
from durable_async.environment import Environment
from durable_async.errors import BackendUnavailableError
from durable_async.model.records import InstanceRecord

PAUSE_SECONDS_FIRST = 0.25
PAUSE_SHARE = 0.25
"""A waiter is looked for again after this share of the time that it has waited already: ten thousand of them must not be a load."""

PAUSE_SECONDS_MAX = {Hearing.ALWAYS: 30.0, Hearing.MOSTLY: 1.0, Hearing.NEVER: 0.25}
"""This is what a lost hint costs at most."""

LOOK_MAX = 1_000
"""Instances in one look; those who waited longest for one come first."""

LOOK_GAP_SECONDS = 0.1
"""At least so long from one look to the next."""

RETRY_SECONDS = 15.0
"""How long a store may be silent before that is the caller's concern."""

_log = logging.getLogger("durable_async")


class Waiter:
    """One who waits for one instance.

    Attributes:
        instance_id: Which.
        reached: Tells by a record whether the wait is over.
        is_told: Whether it should read its instance: something changed, or may have.
        error: What became of looking for it.
    """

    __slots__ = ("_event", "began", "due", "error", "instance_id", "is_told", "reached")

    def __init__(
        self, instance_id: str, reached: Callable[[InstanceRecord], bool], now: float
    ) -> None:
        self.instance_id = instance_id
        self.reached = reached
        self.began = now
        self.due = now
        self.is_told = False
        self.error: BackendUnavailableError | None = None
        self._event = anyio.Event()

    def tell(self) -> None:
        """Let it read its instance."""
        self.is_told = True
        self._event.set()

    def nudge(self) -> None:
        """Let it think again."""
        self._event.set()

    async def sleep(self) -> None:
        """Wait until it is told or nudged."""
        await self._event.wait()
        self._event = anyio.Event()


class Lookout:
    """Looks for all who wait, without payloads, by the task of one of them, who passes that on when it leaves."""

    def __init__(self, backend: Backend, environment: Environment) -> None:
        self._backend = backend
        self._environment = environment
        self._waiting: dict[Waiter, None] = {}
        self._leader: Waiter | None = None
        self._planned = 0.0
        self._looked_at = float("-inf")
        self._silent_since: float | None = None

    async def wait(self, waiter: Waiter) -> None:
        """Return when the waiter was told.

        Raises:
            BackendUnavailableError: The store is silent.
        """
        self._waiting[waiter] = None
        self._put_off(waiter)
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

    def hurry(self) -> None:
        """Look for all as soon as possible."""
        now = self._environment.monotonic()
        for waiter in self._waiting:
            waiter.due = now
        if self._leader is not None:
            self._leader.nudge()

    async def _lead(self, leader: Waiter) -> None:
        self._leader = leader
        try:
            while not leader.is_told:
                self._planned = max(
                    min(one.due for one in self._waiting), self._looked_at + LOOK_GAP_SECONDS
                )
                left = self._planned - self._environment.monotonic()
                if left > 0:
                    with anyio.move_on_after(left):
                        await leader.sleep()
                else:
                    await self._look()
        finally:
            self._leader = None

    def _pass_on(self) -> None:
        if self._leader is None and self._waiting:
            next(iter(self._waiting)).nudge()

    # -- one look

    async def _look(self) -> None:
        self._looked_at = self._environment.monotonic()
        chosen = self._choose(self._looked_at)
        ids = list(dict.fromkeys(waiter.instance_id for waiter in chosen))
        try:
            records = await self._backend.read(ids, payloads=False)
        except BackendUnavailableError as error:
            self._fail(chosen, error)
            return
        self._silent_since = None
        found = dict(zip(ids, records, strict=True))
        for waiter in chosen:
            record = found[waiter.instance_id]
            if record is None or waiter.reached(record):
                waiter.tell()
            else:
                self._put_off(waiter)

    def _choose(self, now: float) -> list[Waiter]:
        """Return those whose time has come, and who would not have long to go."""
        chosen = [
            waiter for waiter in self._waiting if waiter.due - now <= self._pause(waiter, now) / 2
        ]
        if len(chosen) <= LOOK_MAX:
            return chosen
        return heapq.nsmallest(LOOK_MAX, chosen, key=lambda waiter: waiter.due)

    def _fail(self, chosen: list[Waiter], error: BackendUnavailableError) -> None:
        now = self._environment.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        _log.debug("cannot look for %d instances: %s", len(chosen), error)
        for waiter in chosen:
            if now - self._silent_since > RETRY_SECONDS:
                waiter.error = error
                waiter.tell()
            else:
                waiter.due = now + PAUSE_SECONDS_FIRST

    # -- when

    def _put_off(self, waiter: Waiter) -> None:
        now = self._environment.monotonic()
        spread = 0.9 + 0.1 * self._environment.random().random()
        waiter.due = now + self._pause(waiter, now) * spread

    def _pause(self, waiter: Waiter, now: float) -> float:
        wanted = max((now - waiter.began) * PAUSE_SHARE, PAUSE_SECONDS_FIRST)
        return min(wanted, self._pause_max())

    def _pause_max(self) -> float:
        return PAUSE_SECONDS_MAX[self._backend.hearing]
