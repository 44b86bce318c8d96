"""Stage: what a workload stands on during one run: time, chance, ids, patience, and a ledger outside the engine."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any, Final, Protocol, TypeVar

import anyio
import msgspec

from durable_async.environment import Environment
from durable_async.errors import BackendUnavailableError
from durable_async.model.history import HistoryEvent
from durable_async.testing.loop import NODE

from .plan import Plan, Profile
from .violations import Violation

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
        node: The life of a process that did it, as ``"w1.2"``.
        at_us: When, by the clock of the store.
        tick: When, in the order of ``Stage.tick``.
        facts: What else is to be known.
    """

    key: str
    attempt: int
    node: str
    at_us: int
    tick: int
    facts: dict[str, Any] = {}


class Ledger:
    """What activities did to the world outside the engine, in the order in which it happened.

    Attributes:
        entries: All lines.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.entries: list[Entry] = []

    def write(self, key: str, attempt: int = 0, **facts: Any) -> None:
        """Add a line."""
        stage = self._stage
        node = NODE.get() or ""
        self.entries.append(Entry(key, attempt, node, stage.now_us(), stage.tick(), facts))

    def of(self, key: str) -> list[Entry]:
        """Return the lines of a key."""
        return [entry for entry in self.entries if entry.key == key]


class System(Protocol):
    """The whole that a stage stands in."""

    @property
    def store(self) -> Any:
        """Where everything is kept: a `MemoryStore`, or the path of a SQLite file."""
        ...

    def now_us(self) -> int:
        """Return the clock of the store."""
        ...

    def die(self) -> None:
        """Let the process that this step belongs to be gone after this step, as by ``kill -9``; a new one begins soon."""
        ...

    def recorded(self, instance_id: str) -> tuple[int, Sequence[HistoryEvent]]:
        """Return the current execution of an instance and its history, past all faults; ``(0, ())`` if there is none."""
        ...

    def is_deposed(self) -> bool:
        """Tell whether the process of this step is a worker whose lease is over, as far as is known."""
        ...

    def accuse(self, violation: Violation) -> None:
        """End the run with a violation that was noticed where raising would be taken for something else."""
        ...

    def excuse(self, instance_id: str) -> None:
        """Hold an instance to nothing that its rows say: a workload lays hands on them."""
        ...


class Stage:
    """What a workload stands on.

    Attributes:
        env: The environment of nobody in particular, whose clock is that of the store.
        plan: What is played.
        ledger: Written by activities.
        lease_seconds: The lease of workers.
    """

    def __init__(self, env: Environment, plan: Plan, system: System, lease_seconds: float) -> None:
        self.env = env
        self.plan = plan
        self.lease_seconds = lease_seconds
        self.ledger = Ledger(self)
        self._system = system
        self._ticks = 0
        self._chances: dict[str, random.Random] = {}

    # -- chance and time

    def chance(self, name: str) -> random.Random:
        """Return a stream of chance of its own, the same object for the same name; what others draw does not change it."""
        if name not in self._chances:
            self._chances[name] = random.Random(f"{self.plan.seed}:{name}")
        return self._chances[name]

    def new_id(self, prefix: str = "") -> str:
        """Return an id that was not given out before."""
        return f"{prefix}{self.chance('ids').getrandbits(64):016x}"

    def now_us(self) -> int:
        """Return the clock of the store."""
        return self._system.now_us()

    def tick(self) -> int:
        """Return a moment that is later than all before: what happened before what, where time stands still."""
        self._ticks += 1
        return self._ticks

    # -- calls of clients

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

    # -- the system

    @property
    def is_calm(self) -> bool:
        """Whether nothing goes wrong in this run."""
        plan = self.plan
        is_lossless = plan.losses == () or (plan.losses is None and plan.profile == Profile())
        return is_lossless and not plan.strikes

    @property
    def store(self) -> Any:
        """Where everything is kept: a `MemoryStore`, or the path of a SQLite file."""
        return self._system.store

    def die(self) -> None:
        """Let the process that this step belongs to be gone after this step, as by ``kill -9``; a new one begins soon."""
        self._system.die()

    def recorded(self, instance_id: str) -> tuple[int, Sequence[HistoryEvent]]:
        """Return the current execution of an instance and its history, past all faults; ``(0, ())`` if there is none."""
        return self._system.recorded(instance_id)

    def excuse(self, instance_id: str) -> None:
        """Hold an instance to nothing that its rows say: a workload lays hands on them."""
        self._system.excuse(instance_id)

    def is_deposed(self) -> bool:
        """Tell whether the process of this step is a worker whose lease is over: then it must not begin anything."""
        return self._system.is_deposed()

    def accuse(self, violation: Violation) -> None:
        """End the run with a violation that was noticed where raising would be taken for something else, as inside an activity."""
        self._system.accuse(violation)


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
