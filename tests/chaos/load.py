"""Customers: each starts an orchestration, waits for its result, and starts the next. What was acknowledged to them must come true."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from workload import Count, Plan

from durable_async import BackendUnavailableError, Client, DurableError

SIZE = 12
_COUNTED = 6
_AGAIN_SECONDS = 0.05


@dataclass
class Acknowledged:
    """What the store acknowledged.

    Attributes:
        results: What each instance must end with.
        events: How many events were delivered.
        unanswered: How often a call gave up without an answer, and was made once more.
        wrong: Results that a customer saw and that were not as they must be.
    """

    results: dict[str, object] = field(default_factory=dict)
    events: int = 0
    unanswered: int = 0
    wrong: list[str] = field(default_factory=list)


class Load:
    """A number of customers, so many instances under way at a time, from here until it is told to stop."""

    def __init__(self, client: Client, ledger: str, *, customers: int, seed: int) -> None:
        self._client = client
        self._ledger = ledger
        self._customers = customers
        self._random = random.Random(seed)
        self._is_over = asyncio.Event()
        self._numbers = 0
        self.acknowledged = Acknowledged()

    def stop(self) -> None:
        """Let each customer wait for what it has started, and go."""
        self._is_over.set()

    async def run(self) -> None:
        """Serve all customers until told to stop and all have gone."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._customers):
                group.create_task(self._serve(number))

    async def _serve(self, customer: int) -> None:
        while not self._is_over.is_set():
            self._numbers += 1
            name = ("chain", "fan", "family", "count")[self._numbers % 4]
            instance = f"{name}-{customer}-{self._numbers}"
            order = self._count if name == "count" else self._start
            expected = await order(name, instance)
            result = await self._result(instance)
            if result != expected:
                self.acknowledged.wrong.append(f"{instance}: {result!r} instead of {expected!r}")

    async def _result(self, instance: str) -> object:
        return await self._insist(lambda: self._client.wait(instance, timeout=60))

    async def _start(self, name: str, instance: str) -> object:
        plan = Plan(self._ledger, SIZE)
        await self._insist(
            lambda: self._client.start(name, plan, instance_id=instance, request_id=instance)
        )
        self.acknowledged.results[instance] = SIZE
        return SIZE

    async def _count(self, name: str, instance: str) -> object:
        first = Count([], _COUNTED)
        await self._insist(
            lambda: self._client.start(name, first, instance_id=instance, request_id=instance)
        )
        expected = list(range(_COUNTED))
        self.acknowledged.results[instance] = expected
        for value in expected:
            await self._raise(instance, value)
            await asyncio.sleep(self._random.uniform(0.0, 0.1))
        return expected

    async def _raise(self, instance: str, value: int) -> None:
        request = f"{instance}/{value}"
        delivered = await self._insist(
            lambda: self._client.raise_event(instance, "number", value, request_id=request)
        )
        if not delivered:
            self.acknowledged.wrong.append(f"{request}: refused, as if {instance} had ended")
        self.acknowledged.events += 1

    async def _insist(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Make a call until it is answered; its request id makes that harmless."""
        while True:
            try:
                return await call()
            except BackendUnavailableError:
                self.acknowledged.unanswered += 1
                await asyncio.sleep(_AGAIN_SECONDS)
            except DurableError as error:
                # Stuck or failed: the checker finds out which.
                return error
