"""What the clients' tests run: orchestrators of durable_async's own, whose payloads are texts."""

from __future__ import annotations

import json
from typing import Any

from durable_async import EntityContext, EntityId, OrchestrationContext, Registry

registry = Registry()
broken: set[str] = set()
"""Names of activities that fail."""


@registry.activity
async def step(name: str) -> str:
    if name in broken:
        raise ValueError(f"{name} is broken")
    return json.dumps(f"{json.loads(name)} done" if name.startswith('"') else name)


@registry.orchestrator
async def echo(ctx: OrchestrationContext, text: str | None) -> str | None:
    return text


@registry.orchestrator
async def versioned(ctx: OrchestrationContext, text: str | None) -> str:
    return json.dumps(ctx.version)


@registry.orchestrator
async def waiting(ctx: OrchestrationContext, text: str | None) -> Any:
    ctx.set_custom_status(json.dumps("waiting"))
    return await ctx.wait_for_external_event("go")


@registry.orchestrator
async def failing(ctx: OrchestrationContext, text: str | None) -> None:
    ctx.set_custom_status(json.dumps("doomed"))
    raise LookupError("lost")


@registry.orchestrator
async def stepping(ctx: OrchestrationContext, text: str) -> Any:
    return await ctx.call_activity("step", text)


@registry.orchestrator
async def parent(ctx: OrchestrationContext, text: str) -> Any:
    return await ctx.call_sub_orchestrator(text, text, instance_id=f"{ctx.instance_id}-child")


@registry.orchestrator
async def twice(ctx: OrchestrationContext, text: str | None) -> str | None:
    if text == "1":
        ctx.continue_as_new("2")
    return text


@registry.entity(name="counter")
def counter(ctx: EntityContext, text: str | None) -> None:
    if ctx.operation == "clear":
        ctx.delete_state()
        return
    total = int(ctx.get_state(str, "0"))
    ctx.set_state(str(total + int(text or "1")))


@registry.orchestrator
async def holding(ctx: OrchestrationContext, text: str | None) -> None:
    async with ctx.lock_entities([EntityId("counter", "held")]):
        ctx.set_custom_status(json.dumps("holding"))
        await ctx.wait_for_external_event("go")
