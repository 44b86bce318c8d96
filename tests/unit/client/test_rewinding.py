"""A rewind whose answer is lost is asked for again, and says what came of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from durable_async import OrchestrationContext, OrchestrationFailedError, Registry, TaskHub
from durable_async.backends.memory import MemoryBackend
from durable_async.errors import BackendUnavailableError, InvalidTransitionError
from durable_async.model.records import Rewrite
from durable_async.testing import VirtualEnvironment, virtual_time


class Store(MemoryBackend):
    """Loses the answer to the first rewrite, before or after it is carried out."""

    is_late = False
    attempts = 0

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> bool:
        self.attempts += 1
        if self.attempts > 1:
            return await super().rewrite(rewrites)
        if not self.is_late:
            await super().rewrite(rewrites)
        raise BackendUnavailableError("no answer")


async def world(store: Store, env: VirtualEnvironment) -> tuple[TaskHub, list[int]]:
    await store.open()
    registry = Registry()
    runs: list[int] = []

    @registry.activity
    async def work() -> int:
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("not yet")
        return len(runs)

    @registry.orchestrator
    async def job(ctx: OrchestrationContext) -> int:
        return await ctx.call_activity(work)

    return TaskHub(store, registry=registry, environment=env), runs


@pytest.mark.parametrize("is_late", [False, True])
@virtual_time
async def test_it_is_done_once_and_says_so(env: VirtualEnvironment, is_late: bool) -> None:
    store = Store(environment=env)
    store.is_late = is_late
    hub, runs = await world(store, env)
    async with hub.worker():
        handle = await hub.client.start("job", instance_id="i")
        with pytest.raises(OrchestrationFailedError):
            await handle.wait()
        await hub.client.rewind("i")
        assert store.attempts == 2
        assert await hub.client.wait("i") == 2
        assert len(runs) == 2


@virtual_time
async def test_what_another_client_did_is_not_ones_own(env: VirtualEnvironment) -> None:
    store = Store(environment=env)
    hub, _ = await world(store, env)
    async with hub.worker():
        handle = await hub.client.start("job", instance_id="i")
        with pytest.raises(OrchestrationFailedError):
            await handle.wait()

        async def overtaken(rewrites: Sequence[Rewrite]) -> bool:
            del store.rewrite  # type: ignore[attr-defined]
            store.attempts = 1
            await hub.client.rewind("i")
            return False

        store.rewrite = overtaken  # type: ignore[method-assign]
        with pytest.raises(InvalidTransitionError, match="changing"):
            await hub.client.rewind("i")
