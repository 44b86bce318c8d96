"""An input goes by position or by name, wherever something is started."""

from __future__ import annotations

from typing import Any

from durable_async import OrchestrationContext, Registry, TaskHub
from durable_async.testing import VirtualEnvironment, virtual_time

registry = Registry()


@registry.orchestrator
async def double(ctx: OrchestrationContext, number: int) -> int:
    return number * 2


@virtual_time
async def test_an_input_has_a_name(env: VirtualEnvironment) -> None:
    by_name: Any = "double"
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub, hub.worker():
        for orchestrator in (double, by_name):
            assert await (await hub.client.start(orchestrator, 3)).wait() == 6
            assert await (await hub.client.start(orchestrator, input=3)).wait() == 6
        await hub.schedules.create("s", double, input=4, every=3600)
        assert await (await hub.schedules.trigger("s")).wait() == 8
