"""Stage: what a workload stands on during one run: time, chance, ids, patience, and a ledger outside the engine."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from enum import Enum
from typing import Final, TypeVar

import anyio
import msgspec

from durable_async.environment import Environment
from durable_async.errors import BackendUnavailableError
from durable_async.testing.loop import NODE

T = TypeVar("T")

PATIENCE_SECONDS = 0.1
REPEATED = 0.1
"""Share of calls that are repeated after they were answered."""


class Unknown(Enum):
    """The outcome of a call that was not answered: it may have taken effect, or may still."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


class Entry(msgspec.Struct, frozen=True):
    """A line of the ledger.

    Attributes:
        key: What was done.
        attempt: Which attempt did it, from 1; 0 where nobody counts.
        node: The process that did it.
        at_us: When, by the clock of the store.
    """

    key: str
    attempt: int
    node: str
    at_us: int


class Ledger:
    """What activities did to the world outside the engine, in the order in which it happened.

    Attributes:
        entries: All lines.
    """

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self.entries: list[Entry] = []

    def write(self, key: str, attempt: int = 0) -> None:
        """Add a line."""
        self.entries.append(Entry(key, attempt, NODE.get() or "", self._now_us()))

    def of(self, key: str) -> list[Entry]:
        """Return the lines of a key."""
        return [entry for entry in self.entries if entry.key == key]


class Stage:
    """What a workload stands on.

    Attributes:
        env: The environment of nobody in particular, whose clock is that of the store.
        seed: That of the plan.
        ledger: Written by activities.
    """

    def __init__(self, env: Environment, seed: int) -> None:
        self.env = env
        self.seed = seed
        self.ledger = Ledger(env.now_us)
        self._ticks = 0
        self._chances: dict[str, random.Random] = {}

    def chance(self, name: str) -> random.Random:
        """Return a stream of chance of its own, the same object for the same name; what others draw does not change it."""
        if name not in self._chances:
            self._chances[name] = random.Random(f"{self.seed}:{name}")
        return self._chances[name]

    def new_id(self, prefix: str = "") -> str:
        """Return an id that was not given out before."""
        return f"{prefix}{self.chance('ids').getrandbits(64):016x}"

    def now_us(self) -> int:
        """Return the clock of the store."""
        return self.env.now_us()

    def tick(self) -> int:
        """Return a moment that is later than all before: what happened before what, where time stands still."""
        self._ticks += 1
        return self._ticks

    async def persist(self, call: Callable[[], Awaitable[T]], *, repeats: bool = True) -> T:
        """Make a call again and again until it is answered, and now and then once more after that.

        Args:
            call: Makes it; each time with the same ``request_id``.
            repeats: Whether it may be repeated after its answer, which must change nothing. Errors of the repetition are the caller's.
        """
        answer = await self._answer(call)
        if repeats and self.chance("repeats").random() < REPEATED:
            await self._answer(call)
        return answer

    async def once(self, call: Callable[[], Awaitable[T]]) -> T | Unknown:
        """Make a call once, and return its answer or ``UNKNOWN``."""
        try:
            return await call()
        except BackendUnavailableError:
            return UNKNOWN

    async def _answer(self, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            answer = await self.once(call)
            if not isinstance(answer, Unknown):
                return answer
            await anyio.sleep(PATIENCE_SECONDS)


_stages: list[Stage] = []


def current_stage() -> Stage:
    """Return the stage of the run that is going on, for code inside activities and operations."""
    return _stages[-1]


@contextmanager
def on_stage(stage: Stage) -> Generator[None, None, None]:
    """Make a stage the current one."""
    _stages.append(stage)
    try:
        yield
    finally:
        _stages.pop()
