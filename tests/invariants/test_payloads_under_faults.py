"""Workers and clients with all payloads elsewhere, in a store that fails too: nothing may end otherwise for that."""

from __future__ import annotations

import logging
import random
from typing import Any

import anyio
import pytest

from durable_async import TaskHub
from durable_async.backends.memory.store import MemoryStore
from durable_async.backends.offload import MemoryPayloads, OffloadingBackend
from durable_async.testing import VirtualEnvironment, run_virtual

from . import stories
from .faults import Faults, FaultyBackend, Fleet, rows_of

SEEDS = 40


class FaultyPayloads(MemoryPayloads):
    """Takes its time, and fails as often as the hub's store."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(threshold_bytes=0)
        self.faults = faults
        self.failed = 0

    async def upload(self, data: bytes) -> str:
        await self._fail()
        token = await super().upload(data)
        await self._fail()
        return token

    async def download(self, token: str) -> bytes:
        await self._fail()
        return await super().download(token)

    async def _fail(self) -> None:
        await self.faults.pause()
        luck = self.faults.chance.random() / 3
        if luck < self.faults.rate:
            self.failed += 1
            raise ConnectionError("the payload store fails")


class Elsewhere(OffloadingBackend):
    """A faulty way to both stores."""

    @property
    def is_dead(self) -> bool:
        return self.way.is_dead

    @is_dead.setter
    def is_dead(self, is_dead: bool) -> None:
        self.way.is_dead = is_dead

    def __init__(self, way: FaultyBackend, payloads: FaultyPayloads, env: Any) -> None:
        super().__init__(way, payloads, environment=env, cache_bytes=0)
        self.way = way


class FleetElsewhere(Fleet):
    payloads: FaultyPayloads

    def _backend(self) -> Any:
        return Elsewhere(super()._backend(), self.payloads, self._env)


async def play(env: VirtualEnvironment, seed: int) -> None:
    chance = random.Random(seed)
    store = MemoryStore(env)
    stories.world[:] = [store, chance]
    faults = Faults(chance)
    payloads = FaultyPayloads(faults)
    fleet = FleetElsewhere(store, env, stories.registry, faults)
    fleet.payloads = payloads
    backend = Elsewhere(FaultyBackend(store, env, faults), payloads, env)
    await backend.open()
    hub = TaskHub(backend, registry=stories.registry, environment=env)
    told = [stories.Story(hub, chance, number) for number in range(stories.STORIES)]
    async with anyio.create_task_group() as group:
        group.start_soon(fleet.run, chance.randint(1, 3))
        async with anyio.create_task_group() as clients:
            for story in told:
                clients.start_soon(story.run)
        fleet.is_over = True
        faults.rate = 0.0
    async with hub.worker():
        for story in told:
            await story.check()
        await stories.settle(hub, store)
    assert all(row.output is None or b"offloaded" in row.output for row in rows_of(store))
    hub.client.close()
    await backend.close()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_fails_everything_ends_as_it_should(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="durable_async"):
        run_virtual(
            lambda env: play(env, seed),
            seed=seed,
            timeout_virtual_seconds=3_600,
            steps_max=3_000_000,
        )
    said = [record.getMessage() for record in caplog.records if "Error" in record.getMessage()]
    assert not [text for text in said if "Determinism" in text or "Corrupt" in text]
