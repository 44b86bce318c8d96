"""A parent ends its own children, and nobody who merely has the id that a child was to have."""

from __future__ import annotations

import anyio
import pytest

from durable_async import OrchestrationContext, Registry, Status
from durable_async.testing import VirtualEnvironment, run_virtual

from .hubs import opened

registry = Registry()


@registry.orchestrator
async def innocent(ctx: OrchestrationContext) -> str:
    return await ctx.wait_for_external_event("go", str)


@registry.orchestrator
async def gives_up(ctx: OrchestrationContext) -> str:
    call = ctx.call_sub_orchestrator(innocent, instance_id="innocent")
    call.cancel()
    return "gave up"


@registry.orchestrator
async def is_ended(ctx: OrchestrationContext) -> None:
    """The order to end comes with the event, before the refusal of its child."""
    await ctx.wait_for_external_event("begin")
    await ctx.call_sub_orchestrator(innocent, instance_id="innocent")


@pytest.mark.parametrize("way", ["cancelled", "terminated"])
def test_a_stranger_under_the_childs_id_is_left_alone(way: str) -> None:
    async def main(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as (hub, _), hub.worker():
            stranger = await hub.client.start(innocent, instance_id="innocent")
            await hub.client.wait_for_start(stranger, timeout=60)
            if way == "cancelled":
                assert await (await hub.client.start(gives_up)).wait(timeout=60) == "gave up"
            else:
                parent = await hub.client.start(is_ended)
                await anyio.sleep(1)
                async with anyio.create_task_group() as group:
                    group.start_soon(hub.client.raise_event, parent, "begin")
                    group.start_soon(hub.client.terminate, parent)
                await hub.client.wait_for_end(parent, timeout=60)
            await anyio.sleep(60)
            await stranger.raise_event("go", "unharmed")
            state = await hub.client.wait_for_end(stranger, timeout=60)
            assert (state.status, state.output()) == (Status.COMPLETED, "unharmed")

    run_virtual(main)
