"""Who waits for his own start is brought its end by a worker of his process, and reads nothing; it is what he would have read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from hypothesis import given, strategies as st

from durable_async import (
    OrchestrationContext,
    OrchestrationFailedError,
    Registry,
    ReusePolicy,
    TaskHub,
    WaitTimeoutError,
)
from durable_async._engine.ends import End, Ends
from durable_async.backend import Hearing
from durable_async.backends.memory import MemoryBackend, MemoryStore
from durable_async.client import Client
from durable_async.model.records import InstanceRecord
from durable_async.serialization import JsonConverter
from durable_async.testing import VirtualEnvironment, run_virtual, virtual_time

registry = Registry()

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@registry.orchestrator
async def returns(ctx: OrchestrationContext, value: Any) -> Any:
    await ctx.create_timer(0.05)
    return value


@registry.orchestrator
async def fails(ctx: OrchestrationContext) -> None:
    raise ValueError("no")


@registry.orchestrator
async def counts(ctx: OrchestrationContext, left: int) -> str:
    await ctx.create_timer(0.05)
    if left:
        ctx.continue_as_new(left - 1)
    return "counted"


class Store(MemoryBackend):
    """Counts how many instances it is asked for; may say that it tells nobody anything."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.reads = 0
        self.is_deaf = False

    @property
    def hearing(self) -> Hearing:
        return Hearing.NEVER if self.is_deaf else super().hearing

    async def read(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> list[InstanceRecord | None]:
        self.reads += len(instance_ids)
        return await super().read(instance_ids, payloads=payloads)


class World:
    """Two processes on one store: one with a worker, and one without."""

    def __init__(self, here: TaskHub, store: Store, far: TaskHub, far_store: Store) -> None:
        self.client, self.store = here.client, store
        self.far, self.far_store = far.client, far_store


@asynccontextmanager
async def opened(env: VirtualEnvironment) -> AsyncGenerator[World]:
    common = MemoryStore(env)
    store, far_store = Store(common, environment=env), Store(common, environment=env)
    async with (
        TaskHub.open(store, registry=registry, environment=env) as here,
        TaskHub.open(far_store, registry=registry, environment=env) as far,
        here.worker(),
    ):
        yield World(here, store, far, far_store)


@given(VALUES)
def test_what_is_brought_is_what_would_be_read(value: Any) -> None:
    async def both(env: VirtualEnvironment) -> None:
        async with opened(env) as world:
            handle = await world.client.start(returns, value)
            brought = await handle.wait()
            assert world.store.reads == 0
            state = await world.client.wait_for_end(handle.instance_id)
            assert brought == state.output() == value

    run_virtual(both)


@virtual_time
async def test_from_elsewhere_the_end_is_read_once(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        handle = await world.far.start(returns, "done")
        assert await handle.wait() == "done"
        assert world.far_store.reads == 1


@virtual_time
async def test_a_beginning_is_told_to_who_waits_for_it(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        handle = await world.far.start(returns, "done")
        began = env.monotonic()
        await world.far.wait_for_start(handle)
        assert env.monotonic() < began + 0.25
        assert world.far_store.reads == 1
        assert await handle.wait() == "done"
        assert world.far_store.reads == 2


@virtual_time
async def test_an_end_is_brought_after_further_executions(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        handle = await world.client.start(counts, 3)
        assert await handle.wait() == "counted"
        assert world.store.reads == 0


@virtual_time
async def test_a_failure_is_read_in_full(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        handle = await world.client.start(fails)
        with pytest.raises(OrchestrationFailedError, match="no"):
            await handle.wait()


@virtual_time
async def test_who_comes_late_reads(env: VirtualEnvironment) -> None:
    """What ended before the wait began may be another's by now: replaced, purged, restarted."""
    async with opened(env) as world:
        handle = await world.client.start(returns, "first", instance_id="a")
        await anyio.sleep(5)
        again = await world.client.start(
            returns, "second", instance_id="a", reuse=ReusePolicy.REPLACE_TERMINAL
        )
        assert await handle.wait() == "second"
        assert await again.wait() == "second"


@virtual_time
async def test_the_end_of_an_earlier_life_is_not_taken_for_this_one(
    env: VirtualEnvironment,
) -> None:
    backend = MemoryBackend(environment=env)
    await backend.open()
    ends = Ends()
    client = Client(backend, env, JsonConverter(), ends)
    await client.start("any", instance_id="a")
    handle = await client.start("any", instance_id="a", reuse=ReusePolicy.REPLACE)
    results: list[Any] = []
    async with anyio.create_task_group() as group:

        async def wait() -> None:
            results.append(await handle.wait())

        group.start_soon(wait)
        await anyio.sleep(1)
        for execution in (1, 2):
            ends.tell(End("a", execution, "any", b"%d" % execution))
    assert results == [2]
    assert not ends.is_awaited("a")
    client.close()
    await backend.close()


@virtual_time
async def test_what_may_have_been_asked_before_is_looked_up(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        await (await world.far.start(returns, 1, instance_id="a", request_id="r")).wait()
        again = await world.client.start(returns, 1, instance_id="a", request_id="r")
        began = env.monotonic()
        assert await again.wait() == 1
        assert env.monotonic() < began + 0.1


@virtual_time
async def test_where_nothing_is_told_it_is_looked_up(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        world.far_store.is_deaf = True
        handle = await world.far.start(returns, 1)
        await anyio.sleep(5)
        began = env.monotonic()
        assert await handle.wait() == 1
        assert env.monotonic() < began + 0.1


@virtual_time
async def test_a_wait_in_vain_looks_once_at_last(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        handle = await world.far.start(returns, 1, start_at=60)
        with pytest.raises(WaitTimeoutError, match="started with start_at"):
            await handle.wait(timeout=0.01)
        assert world.far_store.reads == 1
