"""Rounds of retention: when, how much at a time, by how many workers, and what it may cost."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest

from durable_async import ConfigurationError, OrchestrationContext, Registry, Retention, TaskHub
from durable_async.backends.memory import MemoryBackend, MemoryStore
from durable_async.errors import BackendUnavailableError
from durable_async.model.upkeep import Expired, Expiry
from durable_async.testing import CALM, VirtualEnvironment, virtual_time
from durable_async.worker._retention import FEW, SHARE, STATEMENT_SECONDS
from durable_async.worker._rhythm import UPKEEP_SECONDS

DAY = 86_400.0
HOUR = 3_600.0

LOOKING = dataclasses.replace(CALM, sweep_seconds=600.0, poll_seconds=600.0)

registry = Registry()


@registry.orchestrator(name="nothing")
async def nothing(ctx: OrchestrationContext, fails: bool) -> None:
    if fails:
        raise ValueError("as it was told")


class Slow(MemoryBackend):
    """A store that takes its time to delete, and tells of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked: list[tuple[float, int]] = []
        self.found = 0
        self.seconds = 0.0
        self.seconds_each = 0.0
        self.is_away = False
        self._env = kwargs["environment"]

    async def expire(self, expiry: Expiry, *, limit: int, **options: Any) -> Expired:
        if self.is_away:
            raise BackendUnavailableError("away")
        self.asked.append((self._env.monotonic(), limit))
        found = await super().expire(expiry, limit=limit, **options)
        self.found += len(found.names)
        seconds = len(found.names) * self.seconds_each
        self.seconds += seconds
        await anyio.sleep(seconds)
        return found


@asynccontextmanager
async def opened(
    env: VirtualEnvironment, retention: Retention | None, ended: int
) -> AsyncIterator[tuple[TaskHub, Slow]]:
    """Open a hub with so many that have ended, and a worker."""
    backend = Slow(environment=env)
    async with TaskHub.open(
        backend, registry=registry, environment=env, retention=retention
    ) as hub:
        async with hub.worker(settings=CALM):
            handles = await hub.client.start_many("nothing", [False] * ended)
            for handle in handles:
                await handle.wait()
        yield hub, backend


@virtual_time
async def test_by_default_what_has_ended_is_kept_for_a_month_and_failures_for_three(
    env: VirtualEnvironment,
) -> None:
    left: dict[int, list[str]] = {}
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub:
        async with hub.worker(settings=CALM):
            for fails in (False, True):
                handle = await hub.client.start("nothing", fails, instance_id=f"fails-{fails}")
                await hub.client.wait_for_end(handle)
        began_at = env.monotonic()
        for day in (29, 31, 89, 91):
            await anyio.sleep(began_at + day * DAY - env.monotonic())
            async with hub.worker(settings=CALM):
                await anyio.sleep(2 * UPKEEP_SECONDS)
            page, _ = await hub.client.query_page()
            left[day] = sorted(state.instance_id for state in page)
    both = ["fails-False", "fails-True"]
    assert left == {29: both, 31: ["fails-True"], 89: ["fails-True"], 91: []}


@virtual_time
async def test_it_can_be_switched_off(env: VirtualEnvironment) -> None:
    for retention in (None, Retention.OFF):
        async with opened(env, retention, 3) as (hub, backend):
            async with hub.worker(settings=CALM):
                await anyio.sleep(10 * DAY)
            assert backend.asked == []


@virtual_time
async def test_a_quiet_hub_is_asked_a_few_times_an_hour(env: VirtualEnvironment) -> None:
    async with opened(env, Retention(), 0) as (hub, backend):
        async with hub.worker(settings=CALM):
            await anyio.sleep(10 * HOUR)
    assert 0 < len(backend.asked) <= 10 * 4 * 2 + 4


@virtual_time
async def test_much_is_deleted_in_small_portions_with_pauses(env: VirtualEnvironment) -> None:
    async with opened(env, Retention(age=60, failed=60), 1_000) as (hub, backend):
        backend.seconds_each = 0.01
        await anyio.sleep(UPKEEP_SECONDS)
        began_at = env.monotonic()
        async with hub.worker(settings=CALM):
            while backend.found < 1_000:
                await anyio.sleep(1)
    lasted = env.monotonic() - began_at - UPKEEP_SECONDS
    assert backend.seconds <= lasted * SHARE * 1.1
    limits = [limit for _, limit in backend.asked]
    assert max(limits[1:]) * backend.seconds_each <= 4 * STATEMENT_SECONDS
    assert len(limits) > 50


@virtual_time
async def test_few_of_many_workers_have_a_round(env: VirtualEnvironment) -> None:
    store = MemoryStore(env)
    backends = [Slow(store, environment=env) for _ in range(10)]
    async with AsyncExitStack() as stack:
        for backend in backends:
            hub = await stack.enter_async_context(
                TaskHub.open(backend, registry=registry, environment=env)
            )
            await stack.enter_async_context(hub.worker(settings=LOOKING))
        await anyio.sleep(10 * HOUR)
    rounds = sum(len(backend.asked) for backend in backends) / 2
    assert rounds < 10 * 4 * FEW * 2


@virtual_time
async def test_a_store_that_is_away_is_asked_again_later(
    env: VirtualEnvironment,
) -> None:
    async with opened(env, Retention(age=60), 5) as (hub, backend):
        backend.is_away = True
        async with hub.worker(settings=CALM):
            await anyio.sleep(HOUR)
            backend.is_away = False
            await anyio.sleep(HOUR)
        assert backend.found == 5


@virtual_time
async def test_what_would_go_is_counted_by_name(env: VirtualEnvironment) -> None:
    async with opened(env, Retention(age=timedelta(days=2)), 3) as (hub, _):
        assert await hub.count_expired() == {}
        await anyio.sleep(2 * DAY)
        assert await hub.count_expired() == {"nothing": 3}
        assert await hub.count_expired(Retention(by_name={"nothing": None})) == {}
        assert await hub.count_expired(Retention.OFF) == {}
        assert len((await hub.client.query_page())[0]) == 3


def test_a_hub_takes_a_retention_and_nothing_else() -> None:
    unfit: Any = 30
    with pytest.raises(ConfigurationError, match="must be a Retention"):
        TaskHub.at("memory://", retention=unfit)
