"""Looking at entities, deleting them, clearing up after them; and code that blocks, in real time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import pytest

from durable_async import Entity, OrchestrationContext, Registry, TaskHub
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.testing.clock import EPOCH_US

from .worlds import HOUR, World

pytestmark = pytest.mark.pattern("entity upkeep")

registry = Registry()
gate = threading.Event()
entered = threading.Event()
spun: list[str] = []
free: list[bool] = []


@registry.entity
class Counter(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def add(self, amount: int) -> int:
        self.state += amount
        return self.state

    def get(self) -> int:
        return self.state


@registry.entity
class Gate(Entity[list[str]]):
    def initial_state(self) -> list[str]:
        return []

    def enter(self, name: str) -> list[str]:
        self.state.append(name)
        return self.state

    def block(self, name: str) -> list[str]:
        entered.set()
        assert gate.wait(30)
        return self.enter(name)

    def spin(self, name: str) -> list[str]:
        """Be quick until it is to be slow. It is interrupted anywhere, so it must not take the lock of an event."""
        if name == "slow":
            spun.append(name)
            while not free:
                pass
        return self.enter(name)


@registry.orchestrator
async def keeps(ctx: OrchestrationContext, keys: list[str]) -> None:
    async with ctx.lock_entities([Counter.entity_id(key) for key in keys]):
        await ctx.wait_for_external_event("go")


async def keys(hub: TaskHub, **conditions: Any) -> list[str]:
    return [one.entity_id.key async for one in hub.client.query_entities(**conditions)]


@virtual_time
async def test_entities_are_found_by_name_key_time_and_state(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        for number in range(7):
            await hub.client.call_entity(Counter.entity_id(f"shop-{number}"), Counter.add, number)
        await anyio.sleep(HOUR)
        await hub.client.call_entity(Counter.entity_id("shop-0"), Counter.add, 1)
        await hub.client.call_entity(Counter.entity_id("other"), "delete")
        await hub.client.call_entity(Gate.entity_id("shop-0"), Gate.enter, "x")
        shops = [f"shop-{number}" for number in range(7)]
        assert await keys(hub, name=Counter) == ["other", *shops]
        assert await keys(hub, name="COUNTER", key_prefix="shop-", page_size=2) == shops
        assert await keys(hub, key_prefix="shop-", name=Gate) == ["shop-0"]
        found = [one.state async for one in hub.client.query_entities(Counter, name=Counter)]
        assert found == [None, 1, 1, 2, 3, 4, 5, 6]
        states, page = await hub.client.query_entities_page(Counter, name=Counter, limit=5)
        assert len(states) == 5
        states, page = await hub.client.query_entities_page(
            Counter, name=Counter, limit=5, page=page
        )
        assert [one.state for one in states] == [4, 5, 6]
        assert page is None
        first = states[0]
        assert (first.updated_at - first.created_at) < timedelta(minutes=1)
        assert (first.created_at.timestamp() - EPOCH_US / 1e6) == pytest.approx(0, abs=60)


@virtual_time
async def test_an_entity_is_deleted_forgotten_and_begun_anew(
    env: VirtualEnvironment, world: World
) -> None:
    counter = Counter.entity_id("a")
    async with world.running(env, registry) as hub:
        for _ in range(3):
            for number in range(1, 4):
                assert await hub.client.call_entity(counter, Counter.add, 5) == 5 * number
            await hub.client.delete_entity(counter)
            assert await hub.client.call_entity(counter, Counter.get) == 0, "it has no state"
            found = await hub.client.get_entity(counter)
            assert found is not None
            assert not found.has_state
            assert (await hub.client.clean_entities()).discarded == 1
            assert await hub.client.get_entity(counter) is None
            assert (await hub.statistics()).entities == 0


@virtual_time
async def test_only_what_holds_nothing_is_forgotten(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        await hub.client.call_entity(Counter.entity_id("has a state"), Counter.add, 1)
        await hub.client.signal_entity_at(HOUR, Counter.entity_id("is told"), Counter.add, 1)
        keeper = await hub.client.start(keeps, ["is locked"])
        await hub.client.call_entity(Counter.entity_id("is empty"), "delete")
        await anyio.sleep(1)
        left = await hub.client.clean_entities(discard=False)
        assert (left.discarded, left.orphaned_locks) == (0, ())
        assert await keys(hub) == ["has a state", "is empty", "is locked", "is told"]
        cleaned = await hub.client.clean_entities(release=False)
        assert (cleaned.discarded, cleaned.orphaned_locks) == (1, ())
        assert await keys(hub) == ["has a state", "is locked", "is told"]
        await hub.client.raise_event(keeper, "go")
        await keeper.wait()
        await anyio.sleep(HOUR)
        cleaned = await hub.client.clean_entities()
        assert (cleaned.discarded, cleaned.orphaned_locks) == (1, ())
        assert await keys(hub) == ["has a state", "is told"]
        found = await hub.client.get_entity(Counter.entity_id("is told"), Counter)
        assert found is not None
        assert found.state == 1


@virtual_time
async def test_what_was_sent_before_any_worker_came_is_carried_out(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.hub(env, registry) as hub:
        for number in range(20):
            await hub.client.signal_entity(Counter.entity_id(str(number % 4)), Counter.add, 1)
        assert (await hub.statistics()).letters == 20
        async with hub.worker():
            for number in range(4):
                counter = Counter.entity_id(str(number))
                assert await hub.client.call_entity(counter, Counter.add, 0) == 5


# -- in real time


async def _call(hub: TaskHub, key: str, operation: str, name: str) -> list[str]:
    return await hub.client.call_entity(Gate.entity_id(key), operation, name, result_type=list[str])


async def _until(condition: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    while not condition():
        await asyncio.sleep(0.001)


@pytest.fixture
def closed_gate() -> Any:
    for flag in (gate, entered):
        flag.clear()
    for seen in (spun, free):
        seen.clear()
    yield
    gate.set()
    free.append(True)


@pytest.mark.usefixtures("closed_gate")
def test_an_operation_that_blocks_its_thread_keeps_only_its_own_entity(world: World) -> None:
    async def story() -> None:
        async with world.real_hub(registry) as hub, hub.worker(), asyncio.timeout(60):
            slow = asyncio.create_task(_call(hub, "a", "block", "slow"))
            await _until(entered.is_set)
            behind = asyncio.create_task(_call(hub, "a", "enter", "behind"))
            for key in ("b", "c"):
                assert await _call(hub, key, "enter", key) == [key]
            assert not behind.done()
            gate.set()
            assert await slow == ["slow"]
            assert await behind == ["slow", "behind"]

    asyncio.run(story())


@pytest.mark.usefixtures("closed_gate")
def test_an_operation_that_was_quick_and_is_not_any_more_is_moved_out_of_the_way(
    world: World,
) -> None:
    async def story() -> None:
        async with (
            world.real_hub(registry) as hub,
            hub.worker(turn_seconds_max=0.2),
            asyncio.timeout(60),
        ):
            for _ in range(5):
                await _call(hub, "a", "spin", "quick")
            slow = asyncio.create_task(_call(hub, "a", "spin", "slow"))
            assert await _call(hub, "b", "enter", "other") == ["other"]
            await _until(lambda: len(spun) == 2)  # interrupted, and begun again in a thread
            assert await _call(hub, "b", "spin", "another") == ["other", "another"]
            free.append(True)
            assert await slow == [*["quick"] * 5, "slow"]
            assert (await hub.statistics()).parked == 0

    asyncio.run(story())
