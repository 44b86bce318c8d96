"""How a worker hosts operations of entities that take longer than a turn."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from durable_async import (
    Entity,
    EntityContext,
    EntityId,
    EntityOperationFailedError,
    OrchestrationContext,
    Registry,
    TaskHub,
)
from durable_async.registry.entities import EntityDefinition, EntityMethod
from durable_async.serialization.signatures import Signature
from durable_async.testing import VirtualEnvironment, virtual_time

from .hubs import opened

registry = Registry()


@registry.entity
class Sleeper(Entity[list[float]]):
    def initial_state(self) -> list[float]:
        return []

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self.state.append(seconds)


@registry.entity
class Careless(Entity[int]):
    def initial_state(self) -> int:
        return 0

    async def cancel_itself(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anyio.sleep(1)

    async def hello(self) -> str:
        return "hello"

    async def call_itself(self) -> str:
        return await hubs[0].client.call_entity(Careless.entity_id("a"), Careless.hello)

    def trip(self) -> None:
        raise LookupError("a stone")


hubs: list[TaskHub] = []


@registry.orchestrator
async def calls_a_stranger(ctx: OrchestrationContext) -> None:
    ctx.signal_entity(EntityId("nobody", "a"), "hello")
    ctx.signal_entity(EntityId("nobody", "b"), "hello")


@virtual_time
async def test_an_operation_that_would_wait_for_itself_is_refused(env: VirtualEnvironment) -> None:
    async with opened(env, registry) as (hub, _), hub.worker():
        hubs[:] = [hub]
        with pytest.raises(EntityOperationFailedError, match="wait for itself"):
            await hub.client.call_entity(Careless.entity_id("a"), Careless.call_itself)


@virtual_time
async def test_that_nobody_here_registers_an_entity_is_said_once(
    env: VirtualEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(env, registry) as (hub, _), hub.worker():
        for _number in range(2):
            await (await hub.client.start(calls_a_stranger)).wait()
    said = [record.getMessage() for record in caplog.records if "nobody" in record.getMessage()]
    assert len(said) == 1
    assert "not registered here" in said[0]


@virtual_time
async def test_an_operation_that_cancels_its_own_task_fails_and_the_next_one_does_not(
    env: VirtualEnvironment,
) -> None:
    async with opened(env, registry) as (hub, _), hub.worker():
        careless = Careless.entity_id("a")
        with pytest.raises(EntityOperationFailedError, match="CancelledError"):
            await hub.client.call_entity(careless, Careless.cancel_itself)
        assert await hub.client.call_entity(careless, Careless.hello) == "hello"


@virtual_time
async def test_the_failure_of_a_signal_is_logged_with_its_stack_for_nobody_else_hears_of_it(
    env: VirtualEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(env, registry) as (hub, _), hub.worker():
        careless = Careless.entity_id("a")
        with pytest.raises(EntityOperationFailedError, match="a stone"):
            await hub.client.call_entity(careless, Careless.trip)
        assert caplog.messages == [], "who calls is told"
        for operation in ("trip", "cancel_itself", "jump"):
            await hub.client.signal_entity(careless, operation)
        assert await hub.client.call_entity(careless, Careless.hello) == "hello"
    tripped, cancelled, unknown = caplog.messages
    assert "'trip' on entity @careless@a failed: LookupError: a stone" in tripped
    assert "in trip\n" in tripped, "where it happened"
    assert "CancelledError" in cancelled
    assert "no operation 'jump'" in unknown


@virtual_time
async def test_a_worker_that_stops_hands_back_what_it_does_not_begin(
    env: VirtualEnvironment,
) -> None:
    async with opened(env, registry) as (hub, _):
        sleeper = Sleeper.entity_id("a")
        async with hub.worker(shutdown_seconds=5):
            for seconds in (1, 2):
                await hub.client.signal_entity(sleeper, Sleeper.sleep, seconds)
            await anyio.sleep(0.5)
        assert env.monotonic() < 1.1, "it waited for the operation that was under way, not longer"
        state = await hub.client.get_entity(sleeper, Sleeper)
        assert state is not None
        assert state.state == [1]
        assert state.owner is None
        async with hub.worker():
            await anyio.sleep(2.1)
            state = await hub.client.get_entity(sleeper, Sleeper)
            assert state is not None
            assert state.state == [1, 2]


@virtual_time
async def test_signals_in_quick_succession_are_taken_several_at_a_time(
    env: VirtualEnvironment,
) -> None:
    async with opened(env, registry) as (hub, _), hub.worker() as worker:
        careless = Careless.entity_id("a")
        assert await hub.client.call_entity(careless, Careless.hello) == "hello"
        assert worker._session is not None
        fetches = worker._session._tools.fetches
        before = fetches.begun
        for _number in range(40):
            await hub.client.signal_entity(careless, Careless.hello)
            await anyio.sleep(0.001)
        assert 40 / 8 < fetches.begun - before < 40 / 2
        await anyio.sleep(1)
        state = await hub.client.get_entity(careless)
        assert state is not None
        assert state.backlog == 0, "and all are taken"


class Aloof(EntityDefinition):
    """Tells in each operation whether a loop runs where it does."""

    def __init__(self, name: str, *, in_thread: bool) -> None:
        super().__init__(self._tell, name, Any)
        signature = Signature.of(self._tell, skip_first=True)
        self._method = EntityMethod(
            name, self._tell, signature, name, is_lenient=True, in_thread=in_thread
        )

    def find(self, operation: str) -> EntityMethod:
        return self._method

    def _tell(self, context: EntityContext) -> bool:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return False
        return True


@pytest.mark.parametrize("in_thread", [True, False])
@virtual_time
async def test_an_operation_may_insist_on_a_thread(
    env: VirtualEnvironment, in_thread: bool
) -> None:
    insisting = Registry()
    insisting.add_entity(Aloof("aloof", in_thread=in_thread))
    async with opened(env, insisting) as (hub, _), hub.worker():
        told = [await hub.client.call_entity(EntityId("aloof", "a"), "tell") for _ in range(9)]
    assert not told[0]
    assert told[-1] is not in_thread
