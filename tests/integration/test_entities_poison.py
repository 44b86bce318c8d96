"""Operations that kill their worker: they are taken out of line, and nothing else is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from durable_async import (
    Entity,
    EntityId,
    EntityOperationFailedError,
    OrchestrationContext,
    TaskHub,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import DAY, Styles, World, doomed, ran

pytestmark = pytest.mark.pattern("poisoned operations")

styles = Styles()

ATTEMPTS = 5
lethal: dict[str, bool] = {}
kill: list[Callable[[], None]] = []
"""What kills the process that runs at the moment; nothing after that."""


@pytest.fixture(autouse=True)
def everything_is_harmless() -> None:
    lethal.clear()


def taste(text: str) -> bool:
    """Note that an operation began, and die of it if it is lethal; returns whether that happened."""
    if kill:  # a process that died in this moment runs on to its next step, and does no more
        ran.append(text)
        if lethal.get(text):
            kill.pop()()
    return not kill


class _Deadly(Entity[list[str]]):
    def initial_state(self) -> list[str]:
        return []

    def note(self, text: str) -> list[str]:
        self.state.append(text)
        return self.state


@styles.entity
class Blocking(_Deadly):
    def swallow(self, text: str) -> list[str]:
        taste(text)
        return self.note(text)


@styles.entity
class Waiting(_Deadly):
    async def swallow(self, text: str) -> list[str]:
        if taste(text):
            await anyio.sleep(DAY)
        return self.note(text)


@styles.in_async("asks")
async def asks(ctx: OrchestrationContext, given: list[str]) -> str:
    kind, text = given
    try:
        answer = await ctx.call_entity(EntityId(kind, "a"), "swallow", text)
    except EntityOperationFailedError as error:
        return error.failure.error_type.rpartition(".")[2]
    return str(answer)


@styles.in_generator("asks")
def asks_in_steps(ctx: OrchestrationContext, given: list[str]) -> Generator[Any, Any, str]:
    kind, text = given
    try:
        answer = yield ctx.call_entity(EntityId(kind, "a"), "swallow", text)
    except EntityOperationFailedError as error:
        return error.failure.error_type.rpartition(".")[2]
    return str(answer)


@pytest.fixture(params=["blocking", "waiting"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def mortal_workers(hub: TaskHub) -> AsyncIterator[None]:
    """Run worker processes one after the other: whenever one dies the next begins."""

    async def live() -> None:
        while True:
            async with doomed(hub) as die:
                kill[:] = [die]
                await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(live)
        yield
        group.cancel_scope.cancel()


@virtual_time
async def test_only_the_operation_that_kills_is_parked(
    env: VirtualEnvironment, world: World, style: str, kind: str
) -> None:
    entity, lethal["poison"] = EntityId(kind, "a"), True
    async with world.hub(env, styles[style]) as hub:
        await hub.client.signal_entity(entity, "note", "before")
        await hub.client.signal_entity(entity, "swallow", "poison")
        await hub.client.signal_entity(entity, "note", "after")
        await hub.client.signal_entity(EntityId(kind, "neighbour"), "swallow", "harmless")
        async with mortal_workers(hub):
            answer = await hub.client.call_entity(entity, "note", "last", timeout=DAY)
            assert answer == ["before", "after", "last"]
            # Attempts are counted anew when what stands before it comes through by itself.
            assert ATTEMPTS <= ran.count("poison") < 2 * ATTEMPTS
            found = await hub.client.get_entity(entity)
            assert found is not None
            (parked,) = found.parked_operations
            assert parked.operation == "swallow"
            assert "never came through" in parked.reason
            neighbour = await hub.client.call_entity(EntityId(kind, "neighbour"), "note", "x")
            assert neighbour == ["harmless", "x"]
            statistics = await hub.statistics()
            assert (statistics.parked, statistics.letters) == (0, 0)


@virtual_time
async def test_whoever_called_it_is_told_and_it_can_be_tried_again(
    env: VirtualEnvironment, world: World, style: str, kind: str
) -> None:
    entity, lethal["poison"] = EntityId(kind, "a"), True
    async with world.hub(env, styles[style]) as hub, mortal_workers(hub):
        handle = await hub.client.start("asks", [kind, "poison"])
        assert await handle.wait(timeout=DAY) == "PoisonedOperationError"
        lethal["poison of a client"] = True
        with pytest.raises(EntityOperationFailedError, match="it is parked") as caught:
            await hub.client.call_entity(entity, "swallow", "poison of a client", timeout=DAY)
        assert caught.value.failure.error_type.endswith("PoisonedOperationError")
        lethal.clear()
        await hub.client.retry_parked_operations(entity)
        answer = await hub.client.call_entity(entity, "note", "last")
        assert answer == ["poison", "poison of a client", "last"]
        found = await hub.client.get_entity(entity)
        assert found is not None
        assert found.parked_operations == ()


@virtual_time
async def test_one_poison_after_the_other(
    env: VirtualEnvironment, world: World, style: str, kind: str
) -> None:
    entity = EntityId(kind, "a")
    poisons = [f"poison {number}" for number in range(4)]
    lethal.update(dict.fromkeys(poisons, True))
    async with world.hub(env, styles[style]) as hub:
        for poison in poisons:
            await hub.client.signal_entity(entity, "swallow", poison)
        async with mortal_workers(hub):
            assert await hub.client.call_entity(entity, "note", "last", timeout=DAY) == ["last"]
            assert [ran.count(poison) for poison in poisons] == [ATTEMPTS] * len(poisons)
            found = await hub.client.get_entity(entity)
            assert found is not None
            assert len(found.parked_operations) == len(poisons)


@virtual_time
async def test_what_is_tried_again_and_kills_again_is_parked_again(
    env: VirtualEnvironment, world: World, style: str, kind: str
) -> None:
    entity, lethal["poison"] = EntityId(kind, "a"), True
    async with world.hub(env, styles[style]) as hub, mortal_workers(hub):
        await hub.client.signal_entity(entity, "swallow", "poison")
        await hub.client.call_entity(entity, "note", "first", timeout=DAY)
        await hub.client.retry_parked_operations(entity)
        answer = await hub.client.call_entity(entity, "note", "second", timeout=DAY)
        assert answer == ["first", "second"]
        assert ran.count("poison") == 2 * ATTEMPTS + 1
        found = await hub.client.get_entity(entity)
        assert found is not None
        assert len(found.parked_operations) == 1


@virtual_time
async def test_an_entity_that_keeps_as_many_as_it_may_is_parked_itself_and_loses_nothing(
    env: VirtualEnvironment,
    world: World,
    style: str,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("durable_async._kernel.entities.instance.PARKED_MAX", 1)
    entity = EntityId(kind, "a")
    poisons = ["poison 0", "poison 1"]
    lethal.update(dict.fromkeys(poisons, True))
    async with world.hub(env, styles[style]) as hub, mortal_workers(hub):
        for poison in poisons:
            await hub.client.signal_entity(entity, "swallow", poison)
        await hub.client.signal_entity(entity, "note", "after")
        await anyio.sleep(DAY)
        found = await hub.client.get_entity(entity)
        assert found is not None
        assert "retry or delete it" in (found.parked or "")
        lethal.clear()
        await hub.client.retry_parked_operations(entity)
        await hub.client.unpark(entity)
        assert await hub.client.call_entity(entity, "note", "last", timeout=DAY) == [
            "poison 1",
            "after",
            "poison 0",
            "last",
        ]
