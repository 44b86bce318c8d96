"""Signals that come one after the other are taken several at a time; those that come now and then wait for nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from durable_async import Entity, OrchestrationContext, Registry, TaskHub
from durable_async.model.records import Fence, Work
from durable_async.testing import VirtualEnvironment, virtual_time

from .hubs import UnreliableBackend

registry = Registry()
MILLISECOND = 0.001


@registry.entity
class Counter(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def add(self, number: int) -> None:
        self.state += number


@registry.orchestrator
async def nothing(ctx: OrchestrationContext) -> None:
    pass


class Watched(UnreliableBackend):
    """Notes how many letters each fetch brought that brought any."""

    letters: list[int]

    async def fetch(self, fence: Fence, **quotas: Any) -> Work:
        work = await super().fetch(fence, **quotas)
        if work.mail:
            self.letters.append(len(work.mail))
        return work


@asynccontextmanager
async def at_home(env: VirtualEnvironment) -> AsyncIterator[tuple[TaskHub, Watched]]:
    """Yield a hub whose worker has the counter, warm, and has heard nothing for a while."""
    backend = Watched(environment=env)
    await backend.open()
    hub = TaskHub(backend, registry=registry, environment=env)
    async with hub.worker():
        await hub.client.signal_entity(Counter.entity_id("c"), Counter.add, 1)
        await anyio.sleep(1)
        backend.letters = []
        yield hub, backend
    hub.client.close()
    await backend.close()


@virtual_time
async def test_a_stream_is_taken_several_at_a_time(env: VirtualEnvironment) -> None:
    async with at_home(env) as (hub, backend):
        for _ in range(10):
            await hub.client.signal_entity(Counter.entity_id("c"), Counter.add, 1)
            await anyio.sleep(MILLISECOND)
        await anyio.sleep(1)
        assert backend.letters[:2] == [1, 1]
        assert sum(backend.letters) == 10
        assert len(backend.letters) <= 5


@virtual_time
async def test_what_comes_between_looks_for_other_things_waits_for_no_stream(
    env: VirtualEnvironment,
) -> None:
    """As between two who signal each other: each also looks after its own commit."""
    async with at_home(env) as (hub, backend):
        for number in range(10):
            await hub.client.signal_entity(Counter.entity_id("c"), Counter.add, 1)
            await anyio.sleep(MILLISECOND)
            assert sum(backend.letters) == number + 1
            await hub.client.start(nothing)
            await anyio.sleep(MILLISECOND)
        assert backend.letters == [1] * 10
