"""Customers: each starts an orchestration, waits for its result, and starts the next. What was acknowledged to them must come true."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from faults import Fault
from stories import Story
from workload import Count, Plan

from durable_async import (
    BackendUnavailableError,
    Client,
    DurableError,
    OrchestrationFailedError,
    OrchestrationTerminatedError,
    Status,
    TaskHub,
    WaitTimeoutError,
)

SIZE = 12
_COUNTED = 6
_AGAIN_SECONDS = 0.05
_OPERATIONS = frozenset({"start", "raise_event", "terminate", "signal", "call"})
"""Calls that change something; all others read."""

_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Ended:
    """An end other than a result.

    Attributes:
        message: Why, of an orchestration that failed.
    """

    status: Status
    message: str = ""


async def end_of(client: Client, instance: str, timeout: float = _WAIT_SECONDS) -> object:
    """Wait for the end of an instance: a result, or how it ended otherwise."""
    try:
        return await client.wait(instance, timeout=timeout)
    except OrchestrationFailedError as error:
        return Ended(Status.FAILED, error.failure.message)
    except OrchestrationTerminatedError:
        return Ended(Status.TERMINATED)


@dataclass
class Acknowledged:
    """What the store acknowledged.

    Attributes:
        results: What each instance must end with.
        events: How many events were delivered.
        operations: How many calls were answered that change something, by their name.
        unanswered: How often a call gave up without an answer, and was made once more.
        wrong: Results that a customer saw and that were not as they must be.
        stuck: Who waited in vain.
    """

    results: dict[str, object] = field(default_factory=dict)
    events: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    wrong: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    def add(self, other: Acknowledged) -> None:
        """Take in what was acknowledged to others."""
        self.results |= other.results
        self.events += other.events
        self.operations += other.operations
        self.unanswered += other.unanswered
        self.wrong += other.wrong
        self.stuck += other.stuck

    def status_of(self, instance: str) -> Status:
        """Return how an instance must end."""
        expected = self.results.get(instance)
        return expected.status if isinstance(expected, Ended) else Status.COMPLETED


@dataclass
class Found:
    """What customers find out in the end.

    Attributes:
        lost: What was acknowledged and not done.
        stuck: What is left over.
        doubled: What was done twice, or out of order.
        notes: What else is counted.
    """

    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    notes: dict[str, float] = field(default_factory=dict)

    def add(self, other: Found) -> None:
        """Take in what others found; what both count is counted together."""
        self.lost += other.lost
        self.stuck += other.stuck
        self.doubled += other.doubled
        for name, number in other.notes.items():
            self.notes[name] = self.notes.get(name, 0) + number


class Customers(ABC):
    """A number of them, with so many instances under way at a time, until they are told to stop.

    If they are in another process, a copy of what they know comes back from there, without a client.

    Args:
        client: Their way to the store.
        ledger: For activities.
        customers: How many.
        seed: Of what they draw.
        name: What the ids of all that is theirs begin with, if there are others of their kind.

    Attributes:
        acknowledged: What they heard.
        done: How many of their errands are done.
    """

    def __init__(
        self, client: Client, ledger: str, *, customers: int, seed: int, name: str = ""
    ) -> None:
        self._name = name
        self._client = client
        self._ledger = ledger
        self._customers = customers
        self._random = random.Random(seed)
        self._is_over = asyncio.Event()
        self.acknowledged = Acknowledged()
        self.done = 0

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in vars(self).items()
            if not isinstance(value, (Client, asyncio.Event))
        }

    @property
    def is_any(self) -> bool:
        """Whether there are any customers."""
        return self._customers > 0

    def stop(self) -> None:
        """Let each customer wait for what it has started, and go."""
        self._is_over.set()

    async def run(self) -> None:
        """Serve all customers until told to stop and all have gone."""
        async with asyncio.TaskGroup() as group:
            for one in self._lives():
                group.create_task(one)

    @abstractmethod
    def _lives(self) -> list[Coroutine[Any, Any, None]]:
        """Return what each customer does until told to stop."""

    async def examine(
        self, hub: TaskHub, stories: Mapping[str, Story], faults: list[Fault]
    ) -> Found:
        """Check what only they know, when everything has ended."""
        return Found()

    async def _insist(
        self, call: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> Any:
        """Make a call until it is answered; its request id makes that harmless."""
        while True:
            try:
                answer = await call(*args, **kwargs)
            except BackendUnavailableError:
                self.acknowledged.unanswered += 1
                await asyncio.sleep(_AGAIN_SECONDS)
            except WaitTimeoutError as error:
                # While everything is struck all the time a long story takes a minute and more. Nobody is struck any more when it is over.
                if self._is_over.is_set():
                    return error
            except DurableError as error:
                # Stuck or failed: the checker finds out which.
                return error
            else:
                if call.__name__ in _OPERATIONS:
                    self.acknowledged.operations[call.__name__] += 1
                return answer


class Load(Customers):
    """Customers of chains, fans, families and counts."""

    def _lives(self) -> list[Coroutine[Any, Any, None]]:
        return [self._serve(number) for number in range(self._customers)]

    async def _serve(self, customer: int) -> None:
        while not self._is_over.is_set():
            self.done += 1
            name = ("chain", "fan", "family", "count")[self.done % 4]
            instance = f"{self._name}{name}-{customer}-{self.done}"
            order = self._count if name == "count" else self._start
            expected = await order(name, instance)
            result = await self._insist(end_of, self._client, instance)
            if result != expected:
                self.acknowledged.wrong.append(f"{instance}: {result!r} instead of {expected!r}")

    async def _start(self, name: str, instance: str) -> object:
        plan = Plan(self._ledger, SIZE)
        start = self._client.start
        await self._insist(start, name, plan, instance_id=instance, request_id=instance)
        self.acknowledged.results[instance] = SIZE
        return SIZE

    async def _count(self, name: str, instance: str) -> object:
        first = Count([], _COUNTED)
        start = self._client.start
        await self._insist(start, name, first, instance_id=instance, request_id=instance)
        expected = list(range(_COUNTED))
        self.acknowledged.results[instance] = expected
        for value in expected:
            await self._raise(instance, value)
            await asyncio.sleep(self._random.uniform(0.0, 0.1))
        return expected

    async def _raise(self, instance: str, value: int) -> None:
        request = f"{instance}/{value}"
        send = self._client.raise_event
        delivered = await self._insist(send, instance, "number", value, request_id=request)
        if not delivered:
            self.acknowledged.wrong.append(f"{request}: refused, as if {instance} had ended")
        self.acknowledged.events += 1
