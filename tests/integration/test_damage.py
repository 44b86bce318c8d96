"""One damaged row is one instance's trouble: it is parked, or its reader is told, and nobody else notices anything."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from durable_async import (
    CorruptHistoryError,
    DecodeError,
    Entity,
    OrchestrationContext,
    OrchestrationFailedError,
    Registry,
    TaskHub,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .damage import damage
from .worlds import HOUR, MEMORY, MINUTE, World, until_recorded

registry = Registry()
elsewhere = Registry()


@registry.orchestrator
async def counts(ctx: OrchestrationContext, events: int) -> int:
    ctx.set_custom_status({"events": events})
    total = 0
    for _ in range(events):
        total += await ctx.wait_for_external_event("add", int)
    if total < 0:
        raise ArithmeticError("below nothing")
    return total


@registry.orchestrator
async def asks(ctx: OrchestrationContext, word: str) -> str:
    return str(await ctx.call_activity("shout", word))


@elsewhere.activity
async def shout(word: str) -> str:
    return word.upper()


@registry.entity
class Tally(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def add(self, amount: int) -> int:
        self.state += amount
        return self.state


async def until_parked(hub: TaskHub, instance_id: str) -> str:
    """Let time pass until an orchestration is parked; return why."""
    with anyio.fail_after(HOUR):
        while True:
            state = await hub.client.get(instance_id)
            assert state is not None
            if state.parked is not None:
                return state.parked
            await anyio.sleep(0.5)


@pytest.mark.parametrize("what", ["history", "first row", "first row of another", "letter"])
@virtual_time
async def test_an_orchestration_is_parked_alone(
    env: VirtualEnvironment, world: World, what: str
) -> None:
    async with world.hub(env, registry) as hub:
        async with hub.worker():
            for instance_id in ("bad", "good"):
                await hub.client.start(counts, 2, instance_id=instance_id)
                await hub.client.raise_event(instance_id, "add", 1)
                await until_recorded(hub, instance_id, "EventRaised")
        for instance_id in ("bad", "good"):
            await hub.client.raise_event(instance_id, "add", 2)
    damage(world, what, "bad")
    async with world.running(env, registry) as hub:
        assert await hub.client.wait("good", timeout=MINUTE) == 3
        reason = await until_parked(hub, "bad")
        assert reason.startswith("CorruptHistoryError: the history of instance 'bad' cannot be")
        if what in ("history", "first row"):
            with pytest.raises(CorruptHistoryError) as caught:
                await hub.client.history("bad")
            assert caught.value.instance_id == "bad"
        states = {one.instance_id: one.parked async for one in hub.client.query()}
        assert (states["good"], states["bad"]) == (None, reason)
        assert (await hub.statistics()).parked == 1
        await hub.client.terminate("bad")  # and nothing is in the way of its end
        assert (await hub.client.wait_for_end("bad", timeout=MINUTE)).status.value == "terminated"


@pytest.mark.parametrize("what", ["state", "letter"])
@virtual_time
async def test_an_entity_is_parked_alone(env: VirtualEnvironment, world: World, what: str) -> None:
    bad, good = Tally.entity_id("bad"), Tally.entity_id("good")
    async with world.hub(env, registry) as hub:
        async with hub.worker():
            for entity in (bad, good):
                assert await hub.client.call_entity(entity, Tally.add, 1) == 1
        for entity in (bad, good):
            await hub.client.signal_entity(entity, Tally.add, 2)
    damage(world, what, str(bad))
    async with world.running(env, registry) as hub:
        with anyio.fail_after(HOUR):
            while (await parked_reason(hub, bad)) is None:
                await anyio.sleep(0.5)
        assert "cannot be read" in str(await parked_reason(hub, bad))
        assert await hub.client.call_entity(good, Tally.add, 3) == 6
        if what == "state":
            damaged = await hub.client.get_entity(bad)
            assert damaged is not None
            with pytest.raises(CorruptHistoryError, match="its snapshot"):
                _ = damaged.state
        assert (await hub.statistics()).parked == 1


async def parked_reason(hub: TaskHub, entity: Any) -> str | None:
    state = await hub.client.get_entity(entity)
    assert state is not None
    return state.parked


@virtual_time
async def test_a_queued_activity_fails_alone(env: VirtualEnvironment, world: World) -> None:
    async with world.hub(env, registry) as hub:
        async with hub.worker(unregistered_grace_seconds=HOUR):
            for instance_id in ("bad", "good"):
                await hub.client.start(asks, "hey", instance_id=instance_id)
                await until_recorded(hub, instance_id, "ActivityScheduled")
            await anyio.sleep(1)
    damage(world, "options", "bad")
    async with world.hub(env, registry) as hub, hub.worker(), hub.worker(elsewhere):
        with pytest.raises(
            OrchestrationFailedError, match=r"cannot be read: the options of a queued activity"
        ):
            await hub.client.wait("bad", timeout=MINUTE)
        again = await hub.client.start(asks, "again")
        assert await again.wait(timeout=MINUTE) == "AGAIN"
        assert await hub.client.wait("good", timeout=MINUTE) == "HEY"


@virtual_time
async def test_a_reader_is_told_and_a_list_goes_on(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        for instance_id, amount in (("sum", 1), ("status", 2), ("broken", -1), ("good", 3)):
            await hub.client.start(counts, 1, instance_id=instance_id)
            await hub.client.raise_event(instance_id, "add", amount)
            await hub.client.wait_for_end(instance_id, timeout=MINUTE)
    damage(world, "output", "sum")
    damage(world, "custom status", "status")
    if world.kind != MEMORY:  # which keeps failures as they are
        damage(world, "failure", "broken")
    async with world.hub(env, registry) as hub:
        with pytest.raises(DecodeError, match="result"):
            await hub.client.wait("sum", int)
        state = await hub.client.get("status")
        assert state is not None
        with pytest.raises(DecodeError, match="custom status"):
            state.custom_status()
        assert await hub.client.wait("status", int) == 2
        with pytest.raises(OrchestrationFailedError) as caught:
            await hub.client.wait("broken")
        kind = caught.value.failure.error_type
        assert kind.endswith("ArithmeticError" if world.kind == MEMORY else "CorruptHistoryError")
        assert len([one async for one in hub.client.query(payloads=True)]) == 4
        assert await hub.client.wait("good", int) == 3


@virtual_time
async def test_a_status_that_is_none_is_set_right_by_the_next_turn(
    env: VirtualEnvironment, world: World
) -> None:
    """And stops no worker that claims the instance."""
    async with world.running(env, registry) as hub:
        for instance_id in ("bad", "good"):
            await hub.client.start(counts, 2, instance_id=instance_id)
            await hub.client.raise_event(instance_id, "add", 1)
            await until_recorded(hub, instance_id, "EventRaised")
    if world.kind != MEMORY:
        damage(world, "status", "bad")
    async with world.running(env, registry) as hub:
        assert sum((await hub.statistics()).by_status.values()) == 2
        for instance_id in ("good", "bad"):
            await hub.client.raise_event(instance_id, "add", 2)
            assert await hub.client.wait(instance_id, timeout=MINUTE) == 3
