"""A worker that has enough to do leaves the rest to others."""

from __future__ import annotations

from typing import Any

import pytest

from durable_async import OrchestrationContext, Registry, TaskHub
from durable_async.model.records import Fence, Work
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.worker._slots import Slots

from .hubs import UnreliableBackend

registry = Registry()


@registry.orchestrator
async def nothing(ctx: OrchestrationContext, number: int) -> int:
    return number


class Watched(UnreliableBackend):
    """Notes how many instances fetches ask for, and how many they get."""

    fetches: list[tuple[int, int]]

    async def fetch(self, fence: Fence, **quotas: Any) -> Work:
        work = await super().fetch(fence, **quotas)
        self.fetches.append((quotas["instances"], len(work.claimed)))
        return work


async def hub_on(env: VirtualEnvironment) -> tuple[TaskHub, Watched]:
    backend = Watched(environment=env)
    backend.fetches = []
    await backend.open()
    return TaskHub(backend, registry=registry, environment=env), backend


@virtual_time
async def test_while_turns_wait_nothing_more_is_claimed(env: VirtualEnvironment) -> None:
    hub, backend = await hub_on(env)
    handles = await hub.client.start_many(nothing, range(9))
    async with hub.worker(claim_batch=3, turns_ahead=2):
        assert [await handle.wait(timeout=60) for handle in handles] == list(range(9))
    after_claims = [
        asked
        for (_, claimed), (asked, _) in zip(backend.fetches, backend.fetches[1:], strict=False)
        if claimed
    ]
    assert after_claims == [0, 0, 0]
    hub.client.close()
    await backend.close()


@virtual_time
async def test_a_worker_that_never_catches_up_does_not_starve_what_is_new(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Slots, "waiting", property(lambda slots: 1_000))
    hub, backend = await hub_on(env)
    async with hub.worker(poll_seconds=1.0):
        handle = await hub.client.start(nothing, 1)
        assert await handle.wait(timeout=5) == 1
    hub.client.close()
    await backend.close()
