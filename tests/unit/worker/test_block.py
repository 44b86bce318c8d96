"""The block of a worker: whatever ends it, and however often, nothing of it is left behind."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from durable_async import ConfigurationError, OrchestrationContext, Registry, TaskHub
from durable_async.backends.memory import MemoryBackend
from durable_async.testing import VirtualEnvironment, virtual_time

registry = Registry()


@registry.activity
async def lasting() -> None:
    await asyncio.sleep(3_600)


@registry.orchestrator
async def patient(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(lasting)


@pytest.mark.parametrize("seconds", [0, 1, 10])
@virtual_time
async def test_who_is_cancelled_once_more_while_it_drains_leaves_it_whole(
    env: VirtualEnvironment, seconds: int
) -> None:
    """As by a limit of time, and then by who ends the program: no shield holds what asyncio cancels."""

    async def work() -> None:
        with anyio.CancelScope():
            async with TaskHub.open("memory://", registry=registry, environment=env) as hub:
                async with hub.worker(shutdown_seconds=5):
                    await hub.client.start(patient)
                    await anyio.sleep_forever()

    tasks = asyncio.all_tasks()
    working = asyncio.ensure_future(work())
    await anyio.sleep(10)
    working.cancel()
    await anyio.sleep(seconds)
    working.cancel()
    await asyncio.wait([working])
    assert working.cancelled()
    assert asyncio.all_tasks() == tasks


async def test_what_keeps_it_from_beginning_is_raised_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: object) -> None:
        raise ConfigurationError("not here")

    monkeypatch.setattr(MemoryBackend, "register_worker", refuse)
    async with TaskHub.open("memory://", registry=registry) as hub:
        with pytest.raises(ConfigurationError, match="not here"):
            async with hub.worker():
                pass
