"""Starts are refused while too many are pending, and let in again; the store is not counted all the time."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from durable_async import HubStatistics, OrchestrationContext, OverloadedError, Registry, TaskHub
from durable_async.backends.memory import MemoryBackend
from durable_async.client._intake import Intake
from durable_async.errors import ConfigurationError
from durable_async.testing import VirtualEnvironment, virtual_time

registry = Registry()


@registry.orchestrator
async def quick(ctx: OrchestrationContext) -> str:
    return "done"


@virtual_time
async def test_a_backlog_is_no_longer_than_it_may_be(env: VirtualEnvironment) -> None:
    async with TaskHub.open("memory://", registry=registry, environment=env, pending_max=10) as hub:
        await hub.client.start_many(quick, [None] * 9)
        last = await hub.client.start(quick)
        with pytest.raises(OverloadedError, match=r"pending is at its limit of 10: slow") as caught:
            await hub.client.start(quick)
        assert caught.value.retryable
        with pytest.raises(OverloadedError):
            await hub.client.start_many(quick, [None])
        assert sum((await hub.statistics()).by_status.values()) == 10
        async with hub.worker():
            assert await last.wait(timeout=10) == "done"
            await anyio.sleep(1)
            assert await (await hub.client.start(quick)).wait(timeout=10) == "done"
            assert await (await hub.client.restart(last)).wait(timeout=10) == "done"


class Uncounted(MemoryBackend):
    async def statistics(self) -> HubStatistics:
        raise AssertionError("it was counted")


@virtual_time
async def test_without_a_bound_nothing_is_counted(env: VirtualEnvironment) -> None:
    async with TaskHub.open(Uncounted(environment=env), registry=registry, environment=env) as hub:
        await hub.client.start_many(quick, [None] * 1_000)
        await hub.client.start(quick)


@virtual_time
async def test_a_count_is_good_for_a_while(env: VirtualEnvironment) -> None:
    """Longer where it takes long; whoever comes meanwhile waits for the one that is under way."""
    counts: list[float] = []

    async def count() -> int:
        counts.append(env.monotonic())
        await anyio.sleep(0.2 if len(counts) > 1 else 0.0)
        return 0

    intake = Intake(count, env, 1_000)
    for _ in range(20):
        await asyncio.gather(*(intake.admit(1) for _ in range(5)))
        await anyio.sleep(0.4)
    first, second, *others = counts
    assert first == 0
    assert 1.0 <= second <= 1.5
    assert [round(later - earlier) for earlier, later in zip([second], others, strict=False)] == [4]


@pytest.mark.parametrize("bound", [0, -1, 1.5, True, "10"])
def test_a_bound_that_is_none_is_refused_before_a_store_is_open(bound: Any) -> None:
    with pytest.raises(ConfigurationError, match="pending_max"):
        TaskHub.at("memory://", pending_max=bound)
