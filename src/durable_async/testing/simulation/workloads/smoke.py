"""Smoke: a few chains of activities. The smallest workload, and the pattern of all others."""

from __future__ import annotations

import random
from typing import ClassVar

import anyio

from durable_async._kernel.context import OrchestrationContext
from durable_async.client import Client
from durable_async.hub import TaskHub
from durable_async.model.status import Status
from durable_async.registry import Registry
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.stage import Stage
from durable_async.testing.simulation.violations import Violation

from ._workload import Workload

registry = Registry()


@registry.activity(name="smoke_double")
async def double(number: int) -> int:
    """Double a number, in a moment."""
    await anyio.sleep(0.1)
    return 2 * number


@registry.orchestrator(name="smoke_chain")
async def chain(ctx: OrchestrationContext, size: int) -> int:
    """Double one number after the other."""
    total = 0
    for number in range(size):
        total += await ctx.call_activity(double, number)
        await ctx.create_timer(0.3)
    return total


class Smoke(Workload):
    """Chains are started, and must end with the right sum."""

    name: ClassVar[str] = "smoke"
    registry: ClassVar[Registry] = registry

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.started: dict[str, int] = {}

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw when to start how many."""
        return [
            Action(
                round(chance.uniform(0, 10), 3),
                chance.randint(1, 3),
                cls.name,
                "start",
                {"id": f"smoke-{number}", "size": chance.randint(1, 6)},
            )
            for number in range(chance.randint(3, 8))
        ]

    async def act(self, action: Action, client: Client) -> None:
        """Start a chain."""
        name, size = action.args["id"], action.args["size"]
        await self.stage.persist(
            lambda: client.start(chain, size, instance_id=name, request_id=f"{name} start")
        )
        self.started[name] = size

    async def check(self, hub: TaskHub) -> None:
        """Each that was acknowledged has ended."""
        for name, size in self.started.items():
            state = await hub.client.get(name)
            if state is None or state.status is not Status.COMPLETED:
                raise Violation("I14", "a chain has not ended", where=name, state=state)
            if state.output() != size * (size - 1):
                raise Violation("I1", "a chain ended with a wrong sum", where=name, state=state)
