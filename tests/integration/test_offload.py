"""Large payloads elsewhere: code and clients see them whole, the hub's store never, and a payload store that is away costs time only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from durable_async import (
    Entity,
    FailureDetails,
    OrchestrationContext,
    Registry,
    Status,
    TaskHub,
)
from durable_async.backends.offload import MemoryPayloads, OffloadingBackend
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import ASYNC, MINUTE, PatientHub, Styles, World, elapsed, ran, until

styles = Styles()


class Payloads(MemoryPayloads):
    """One that can be away, or lose everything."""

    def __init__(self) -> None:
        super().__init__(threshold_bytes=200)
        self.away_until = 0.0
        self.refused = 0

    def answer(self) -> None:
        if anyio.current_time() < self.away_until:
            self.refused += 1
            raise ConnectionError("away")

    async def upload(self, data: bytes) -> str:
        self.answer()
        return await super().upload(data)

    async def download(self, token: str) -> bytes:
        self.answer()
        return await super().download(token)


def text(letter: str) -> str:
    return letter * 1_000


@styles.activity
async def double(data: str) -> str:
    ran.append(f"double {data[0]}")
    await anyio.sleep(1)
    return data + data


@styles.entity
class Heap(Entity[str]):
    def initial_state(self) -> str:
        return ""

    def add(self, data: str) -> int:
        self.state += data
        return len(self.state)

    def look(self) -> str:
        return self.state


HEAP = Heap.entity_id("all")


@styles.in_async("child")
async def child(ctx: OrchestrationContext, data: str) -> str:
    return await ctx.call_activity(double, data)


@styles.in_generator("child")
def child_generator(ctx: OrchestrationContext, data: str) -> Generator[Any, Any, str]:
    return (yield ctx.call_activity(double, data))


@styles.in_async("whole")
async def whole(ctx: OrchestrationContext, data: str) -> list[Any]:
    if ctx.execution == 1:
        ctx.continue_as_new(data + "2")
    ctx.set_custom_status(data)
    event = await ctx.wait_for_external_event("more", str)
    result = await ctx.call_sub_orchestrator("child", event)
    size = await ctx.call_entity(HEAP, Heap.add, result)
    heap = await ctx.call_entity(HEAP, Heap.look)
    return [data, event, result, size, heap]


@styles.in_generator("whole")
def whole_generator(ctx: OrchestrationContext, data: str) -> Generator[Any, Any, list[Any]]:
    if ctx.execution == 1:
        ctx.continue_as_new(data + "2")
    ctx.set_custom_status(data)
    event = yield ctx.wait_for_external_event("more", str)
    result = yield ctx.call_sub_orchestrator("child", event)
    size = yield ctx.call_entity(HEAP, Heap.add, result)
    heap = yield ctx.call_entity(HEAP, Heap.look)
    return [data, event, result, size, heap]


OUTCOME = [text("a") + "2", text("b"), text("b") * 2, 2_000, text("b") * 2]


@asynccontextmanager
async def opened(
    env: VirtualEnvironment, world: World, registry: Registry, payloads: Payloads
) -> AsyncIterator[TaskHub]:
    """Open the world's hub with its large payloads elsewhere, none of them kept in memory."""
    async with world.hub(env, registry) as plain:
        backend = OffloadingBackend(
            plain.backend, payloads, environment=env, transfer_seconds_max=10, cache_bytes=0
        )
        hub = PatientHub(backend, registry=registry, environment=env)
        try:
            yield hub
        finally:
            hub.client.close()


@virtual_time
async def test_payloads_are_whole_for_everybody_and_elsewhere_in_the_store(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    payloads = Payloads()
    async with opened(env, world, styles[style], payloads) as hub:
        handle = await hub.client.start("whole", text("a"), instance_id="w")
        async with hub.worker():
            await hub.client.wait_for_start(handle)
            await hub.client.raise_event(handle, "more", text("b"))
            assert await handle.wait() == OUTCOME
            state = await hub.client.get(handle)
            assert state is not None
            assert state.custom_status() == text("a") + "2"
            assert state.input() == text("a") + "2"
            assert await hub.client.call_entity(HEAP, Heap.look) == OUTCOME[-1]
        async with hub.worker():
            assert await hub.client.call_entity(HEAP, Heap.add, text("c")) == 3_000
        history = await hub.client.history(handle)
        assert any(getattr(event, "payload", b"") == f'"{text("b")}"'.encode() for event in history)
    async with world.hub(env, styles[style]) as hub:
        plain = await hub.client.history("w")
        sizes = [
            len(value)
            for event in plain
            for value in (getattr(event, name) for name in event.__struct_fields__)
            if isinstance(value, bytes)
        ]
        assert max(sizes) <= 200


@virtual_time
async def test_a_payload_store_that_is_away_costs_time_only(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    payloads = Payloads()
    async with opened(env, world, styles[style], payloads) as hub:
        handle = await hub.client.start("whole", text("a"))
        await hub.client.raise_event(handle, "more", text("b"))
        payloads.away_until = anyio.current_time() + 10 * MINUTE
        async with hub.worker():
            await anyio.sleep(5 * MINUTE)
            small = await hub.client.start("child", "x")
            assert await small.wait() == "xx"
            assert elapsed(env) < 6 * MINUTE
            await until(lambda: anyio.current_time() > payloads.away_until)
            payloads.away_until = anyio.current_time() + 1.5
            assert await handle.wait() == OUTCOME
    assert payloads.refused > 3
    assert ran.count("double b") == 1


@virtual_time
async def test_an_instance_whose_payload_is_lost_is_parked_and_goes_on_when_it_is_found(
    env: VirtualEnvironment, world: World
) -> None:
    payloads = Payloads()
    async with opened(env, world, styles[ASYNC], payloads) as hub:
        handle = await hub.client.start("child", text("a"))
        kept, payloads.kept = payloads.kept, {}
        async with hub.worker():
            await anyio.sleep(10 * MINUTE)
            state = await hub.client.get(handle, payloads=False)
            assert state is not None
            assert "payload store does not return" in (state.parked or "")
            payloads.kept = kept
            await hub.client.unpark(handle)
            assert await handle.wait() == text("a") * 2


@virtual_time
async def test_an_activity_of_another_worker_whose_input_is_lost_fails(
    env: VirtualEnvironment, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    payloads = Payloads()
    orchestrators = Registry()
    orchestrators.add_orchestrator(child)
    activities = Registry()
    activities.add_activity(double)
    async with opened(env, world, orchestrators, payloads) as hub, hub.worker():
        handle = await hub.client.start("child", text("a"))
        await anyio.sleep(1)
        payloads.kept.clear()
        async with hub.worker(activities):
            await anyio.sleep(MINUTE)
        state = await hub.client.get(handle, payloads=False)
        assert state is not None
        assert state.status is Status.FAILED
        assert state.failure is not None
        assert "'double' input" in state.failure.message
    assert "the input of activity 'double'" in caplog.text
    assert ran == []


@virtual_time
async def test_what_its_version_ends_ends_also_if_its_payloads_are_away_for_now(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    payloads = Payloads()
    refused = FailureDetails("Refused", "not here")
    async with opened(env, world, styles[style], payloads) as hub:
        await hub.client.start("whole", text("a"), instance_id="whole")
        async with hub.worker():
            await anyio.sleep(MINUTE)
            assert len(await hub.client.history("whole")) == 2
    refusing = Registry(accepts=lambda name, version: refused)
    refusing.add_orchestrator(styles[style].find_orchestrator("whole"))
    async with opened(env, world, refusing, payloads) as hub:
        await hub.client.raise_event("whole", "more", "b")
        payloads.away_until = anyio.current_time() + MINUTE
        async with hub.worker():
            await anyio.sleep(10 * MINUTE)
            state = await hub.client.get("whole", payloads=False)
    assert state is not None
    assert state.failure == refused
