"""Waiters look again after a share of the time that they have waited, and are woken by hints before."""

from __future__ import annotations

import anyio
import pytest

from durable_async import OrchestrationContext, Registry, TaskHub, WaitTimeoutError
from durable_async.backends.memory import MemoryBackend
from durable_async.testing import VirtualEnvironment, virtual_time

registry = Registry()


@registry.orchestrator
async def waits(ctx: OrchestrationContext) -> str:
    return await ctx.wait_for_external_event("go", str)


class Deaf(MemoryBackend):
    """Gives no hints, and counts how often it is read."""

    reads = 0

    def listen(self, on_work, on_changed, on_progress=None):  # type: ignore[no-untyped-def]
        return super().listen(on_work, lambda changed: None)

    async def read(self, instance_ids, *, payloads):  # type: ignore[no-untyped-def]
        self.reads += 1
        return await super().read(instance_ids, payloads=payloads)


@virtual_time
async def test_a_day_of_waiting_is_not_a_load(env: VirtualEnvironment) -> None:
    backend = Deaf(environment=env)
    await backend.open()
    hub = TaskHub(backend, registry=registry, environment=env)
    handle = await hub.client.start(waits)
    with pytest.raises(WaitTimeoutError):
        await handle.wait(timeout=10.0)
    assert backend.reads < 40
    with pytest.raises(WaitTimeoutError):
        await handle.wait(timeout=86_400.0)
    assert backend.reads < 5_000
    hub.client.close()
    await backend.close()


@pytest.mark.parametrize("waited", [0.5, 4.0, 60.0, 3_600.0])
@virtual_time
async def test_without_hints_it_is_a_third_late_at_most(
    env: VirtualEnvironment, waited: float
) -> None:
    backend = Deaf(environment=env)
    await backend.open()
    hub = TaskHub(backend, registry=registry, environment=env)
    handle = await hub.client.start(waits)
    async with hub.worker(), anyio.create_task_group() as group:

        async def end() -> None:
            await anyio.sleep(waited)
            await handle.raise_event("go", "gone")

        group.start_soon(end)
        assert await hub.client.wait(handle.instance_id) == "gone"  # nobody brings it
        assert waited <= env.monotonic() <= waited + min(waited / 3, 38) + 0.2
    hub.client.close()
    await backend.close()


@virtual_time
async def test_who_gives_up_is_told_what_he_waited_for(env: VirtualEnvironment) -> None:
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub:
        started = await hub.client.start(waits, instance_id="a")  # and no worker
        found = hub.client.handle("a")
        for handle, what in (
            (started, "'a', of which nothing was heard; is a worker running"),
            (found, "'a', and it is pending; is a worker running that registers 'waits'"),
        ):
            with (
                anyio.move_on_after(5),
                pytest.raises(anyio.get_cancelled_exc_class()) as cancelled,
            ):
                await handle.wait()
            assert what in cancelled.value.__notes__[0]
