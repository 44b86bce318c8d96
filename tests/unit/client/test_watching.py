"""Who watches an orchestration sees the present state, each that follows, and the end as the last."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from durable_async import (
    InstanceNotFoundError,
    OrchestrationContext,
    Registry,
    Status,
    TaskHub,
    ValidationError,
)
from durable_async.testing import VirtualEnvironment, virtual_time

registry = Registry()


@registry.orchestrator
async def steps(ctx: OrchestrationContext) -> None:
    while True:
        ctx.set_custom_status(await ctx.wait_for_external_event("step", int))


@virtual_time
async def test_each_state_is_seen_and_the_end_is_the_last(env: VirtualEnvironment) -> None:
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub, hub.worker():
        handle = await hub.client.start(steps)
        await hub.client.wait_for_start(handle)
        seen: list[tuple[Status, Any]] = []

        async def look() -> None:
            with hub.client.watch(handle) as watch:
                seen.extend([(state.status, state.custom_status()) async for state in watch])

        async with anyio.create_task_group() as group:
            group.start_soon(look)
            await anyio.sleep(1)
            for step in (1, 2):
                await handle.raise_event("step", step)
                await anyio.sleep(1)
            await handle.suspend()
            await anyio.sleep(1)
            await handle.terminate()
        assert seen == [
            (Status.RUNNING, None),
            (Status.RUNNING, 1),
            (Status.RUNNING, 2),
            (Status.SUSPENDED, 2),
            (Status.TERMINATED, 2),
        ]
        assert hub.client._instances._by_key == {}


@virtual_time
async def test_what_happens_while_nobody_looks_is_seen_later(env: VirtualEnvironment) -> None:
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub, hub.worker():
        handle = await hub.client.start(steps)
        await hub.client.wait_for_start(handle)
        with hub.client.watch(handle) as watch:
            assert await watch.next() is not None
            assert await watch.next(timeout=3) is None
            await handle.raise_event("step", 1)
            await handle.raise_event("step", 2)
            await anyio.sleep(5)
            began = env.monotonic()
            state = await watch.next()
            assert state is not None
            assert state.custom_status() == 2
            assert env.monotonic() == began


@virtual_time
async def test_news_that_came_as_the_time_was_over_are_not_lost(env: VirtualEnvironment) -> None:
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub, hub.worker():
        handle = await hub.client.start(steps)
        await hub.client.wait_for_start(handle)
        store: Any = hub.backend
        original = store.read

        async def slow(ids: Any, *, payloads: bool) -> Any:
            await anyio.sleep(0.2)
            return await original(ids, payloads=payloads)

        with hub.client.watch(handle) as watch:
            assert await watch.next() is not None
            store.read = slow
            await handle.raise_event("step", 1)
            async with anyio.create_task_group() as group:
                group.start_soon(hub.client.get, handle)
                await anyio.sleep(0.05)  # so that it has to wait for the answer to somebody else
                assert await watch.next(timeout=0.1) is None
            began = env.monotonic()
            assert await watch.next(timeout=10) is not None
            assert env.monotonic() - began < 0.3, "it waited to be looked for"


@virtual_time
async def test_what_is_not_there_cannot_be_watched(env: VirtualEnvironment) -> None:
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub:
        with hub.client.watch("nobody") as watch, pytest.raises(InstanceNotFoundError):
            await watch.next(timeout=5)
        with pytest.raises(ValidationError), hub.client.watch("@counter@a"):
            pass
