"""Carries out a plan: one strike after the other, and small faults beside."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

from world import World

from .plan import Strike, draw
from .remote import RemoteCustomers

LEASE_SECONDS = 3.0
ZOMBIE_LEASES = (1.5, 3.0)
AWAY_SECONDS_MAX = 0.5
_SPARE_SHARE, _SPARE_SECONDS = 0.3, 90.0
"""How much longer than planned a run may take until it gives up."""

_STANDSTILL_SECONDS = 60.0
_LOOK_SECONDS = 0.05

Act = Callable[[World], Awaitable[None]]


class Everything(ABC):
    """All that can happen on a kind of store, for so many minutes.

    Args:
        quotas: How much of everything there has to be.
        minutes: How long it goes on.

    Attributes:
        injected: What was done, by kind.
        missed: Strikes that found nobody to hit, by kind; they are tried again.
    """

    def __init__(self, quotas: Mapping[str, int], minutes: float) -> None:
        self.quotas = quotas
        self.seconds = 60 * minutes
        self.injected: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()

    @abstractmethod
    def acts(self) -> Mapping[str, Act]:
        """Return what to do for one strike of each kind."""

    @abstractmethod
    def beside(self, plan: list[Strike]) -> Sequence[Act]:
        """Return what goes on beside a plan, until it has been carried out."""

    @abstractmethod
    async def afterwards(self, world: World) -> None:
        """Do what needs silence, when the customers have gone, and count what went on beside."""

    async def __call__(self, world: World) -> None:
        """Strike according to a plan that the seed draws."""
        assert isinstance(world.load, RemoteCustomers)
        plan = draw(self.quotas, world.random)
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(_run(act, world)) for act in self.beside(plan)]
            await self._carry_out(plan, world)
            for task in beside:
                task.cancel()
        world.load.stop()
        await world.load.have_gone.wait()
        await self.afterwards(world)

    async def _carry_out(self, plan: list[Strike], world: World) -> None:
        acts = self.acts()
        began = time.monotonic()
        end = began + self.seconds * (1 + _SPARE_SHARE) + _SPARE_SECONDS
        progress = _Progress()
        while plan or time.monotonic() < began + self.seconds:
            elapsed = time.monotonic() - began
            if time.monotonic() > end or progress.has_stopped(world.load.done):
                return
            if not plan or elapsed < plan[0].at * self.seconds:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            strike = plan.pop(0)
            try:
                await self.strike(strike.kind, acts[strike.kind], world)
            except TimeoutError:
                self.missed[strike.kind] += 1
                plan.append(strike)

    async def strike(self, kind: str, act: Act, world: World) -> None:
        """Do it, and say of what kind its faults are."""
        before = len(world.faults)
        try:
            await act(world)
            self.injected[kind] += 1
        finally:
            for fault in world.faults[before:]:
                # What begins or ends among slow connections is not measured by the same yardstick.
                fault.kind = fault.kind or (f"{kind}, slow" if world.is_slow else kind)


async def _run(act: Act, world: World) -> None:
    await act(world)


class _Progress:
    """Whether customers get anything done."""

    def __init__(self) -> None:
        self._done = 0
        self._at = time.monotonic()

    def has_stopped(self, done: int) -> bool:
        if done != self._done:
            self._done, self._at = done, time.monotonic()
        return time.monotonic() > self._at + _STANDSTILL_SECONDS
