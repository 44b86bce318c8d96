"""Conversations: what is said within a worker is never faster than what is said between workers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from durable_async import (
    Entity,
    EntityId,
    EntityOperationFailedError,
    OrchestrationContext,
    Registry,
    TaskHub,
)
from durable_async.backends.memory.store import MemoryStore
from durable_async.model.records import CommitItem, CommitResult, Fence
from durable_async.testing import VirtualEnvironment, run_virtual

from .hubs import UnreliableBackend, opened

BOTH = (EntityId("x", "1"), EntityId("y", "1"))


class Idle(Entity[int]):
    """Has no operations: it is only locked."""


class AnotherIdle(Entity[int]):
    """The same."""


async def lock_both(ctx: OrchestrationContext) -> str:
    async with ctx.lock_entities(BOTH):
        return ctx.name


async def keep_y(ctx: OrchestrationContext) -> None:
    async with ctx.lock_entities(BOTH[1:]):
        await ctx.wait_for_external_event("go")


def registry_of(*names: str) -> Registry:
    """Return the code that a worker knows, and so what it may own."""
    code = {"x": Idle, "y": AnotherIdle}
    registry = Registry()
    for name in names:
        if name in code:
            registry.entity(name=name)(type(code[name].__name__, (code[name],), {}))
        elif name == "keep_y":
            registry.orchestrator(keep_y)
        else:
            registry.orchestrator(name=name)(lock_both)
    return registry


def slow_down(backend: UnreliableBackend, seconds: float) -> None:
    """Let each commit take effect a while after it was sent."""
    commit = backend.commit

    async def slow(fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        await anyio.sleep(seconds)
        return await commit(fence, items)

    backend.commit = slow  # type: ignore[method-assign]


async def with_two_workers(
    env: VirtualEnvironment,
    one: tuple[str, ...],
    other: tuple[str, ...],
    delays: tuple[float, float],
    story: Callable[[TaskHub], Awaitable[None]],
) -> None:
    """Tell a story to a worker that knows some of the code, and one that knows the rest; the entities are warm."""
    store = MemoryStore(env)
    hubs: list[TaskHub] = []
    async with AsyncExitStack() as stack:
        for names, delay in zip((one, other), delays, strict=True):
            hub, backend = await stack.enter_async_context(opened(env, registry_of(*names), store))
            slow_down(backend, delay)
            await stack.enter_async_context(hub.worker())
            hubs.append(hub)
        client = hubs[0].client
        await client.wait(await client.start("first"), timeout=60)
        await story(hubs[0])


async def begin_both(hub: TaskHub) -> list[str]:
    """Start both at once."""
    return [(await hub.client.start(name)).instance_id for name in ("first", "second")]


async def see_them_end(hub: TaskHub, instances: list[str]) -> None:
    results = [await hub.client.wait(one, timeout=60) for one in instances]
    assert results == ["first", "second"]


@pytest.mark.parametrize("delays", [(0.05, 0.05), (0.05, 0.1), (0.1, 0.05)])
def test_two_workers_that_lock_each_others_entities_at_once_do_not_wait_for_each_other(
    delays: tuple[float, float],
) -> None:
    """Each could have the one entity that it owns in a conversation, and would then wait for the other."""

    async def story(hub: TaskHub) -> None:
        await see_them_end(hub, await begin_both(hub))

    async def main(env: VirtualEnvironment) -> None:
        await with_two_workers(env, ("x", "first"), ("y", "second"), delays, story)

    run_virtual(main, seed=1)


@pytest.mark.parametrize("delays", [(0.05, 0.05), (0.05, 0.1), (0.1, 0.05)])
def test_a_set_that_is_not_all_free_is_asked_for_through_the_store(
    delays: tuple[float, float],
) -> None:
    """Whoever has the free one of it at once, and is late in the line for the other, would wait for ever."""

    async def story(hub: TaskHub) -> None:
        keeper = await hub.client.start("keep_y")
        await anyio.sleep(5)
        instances = await begin_both(hub)
        await anyio.sleep(5)
        await hub.client.raise_event(keeper, "go")
        await see_them_end(hub, instances)

    async def main(env: VirtualEnvironment) -> None:
        await with_two_workers(env, ("x", "y", "first"), ("second", "keep_y"), delays, story)

    run_virtual(main, seed=1)


async def wait_in_line(ctx: OrchestrationContext) -> str:
    async with ctx.lock_entities(BOTH):
        try:
            return await ctx.call_entity(BOTH[0], "get", result_type=str)
        except EntityOperationFailedError as error:
            return error.failure.error_type


async def another_way(ctx: OrchestrationContext) -> str:
    await ctx.wait_for_external_event("go")
    return "another"


def test_who_is_parked_while_it_waits_in_line_and_put_back_does_not_wait_for_ever() -> None:
    """Others go on without it, so it has lost its place; that it learns from its first call."""

    def registered(waits: Callable[[OrchestrationContext], Coroutine[Any, Any, str]]) -> Registry:
        registry = registry_of("x", "y", "keep_y")
        registry.orchestrator(name="waits")(waits)
        return registry

    async def main(env: VirtualEnvironment) -> None:
        store = MemoryStore(env)
        async with opened(env, registered(wait_in_line), store) as (hub, _), hub.worker():
            keeper = await hub.client.start("keep_y")
            await anyio.sleep(5)
            waiting = await hub.client.start("waits")
            await anyio.sleep(5)
        async with opened(env, registered(another_way), store) as (hub, _), hub.worker():
            await hub.client.raise_event(waiting.instance_id, "wake up")
            await anyio.sleep(60)
            state = await hub.client.get(waiting.instance_id)
            assert state is not None
            assert state.parked is not None
        async with opened(env, registered(wait_in_line), store) as (hub, _), hub.worker():
            await hub.client.unpark(waiting.instance_id)
            await hub.client.raise_event(keeper.instance_id, "go")
            result = await hub.client.wait(waiting.instance_id, timeout=60)
            assert result.endswith("EntityLockLostError")

    run_virtual(main, seed=1)
