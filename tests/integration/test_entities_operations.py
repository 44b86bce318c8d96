"""What operations may do, and what becomes of those that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import anyio
import pytest

from durable_async import (
    Entity,
    EntityContext,
    EntityId,
    EntityOperationFailedError,
    EntityStateAbsentError,
    OrchestrationContext,
    OverloadedError,
    TaskHub,
    ValidationError,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import ASYNC, DAY, HOUR, MINUTE, Styles, World, elapsed

pytestmark = pytest.mark.pattern("entity operations")

styles = Styles()

HOSTILE = [
    "a key with spaces",
    "@",
    "@other@key",
    "' or 1=1; drop table instances; --",
    "100%_\\",
    "😀 ünïcödé \u202e",
    "k" * 240,
    "é" * 230,
]


@styles.entity
class Box(Entity[Any]):
    """Holds anything."""

    def get(self) -> Any:
        return self.get_state()

    def get_or(self, default: str) -> Any:
        return self.get_state(default=default)

    def set(self, value: Any) -> None:
        self.set_state(value)

    def set_nothing(self) -> None:
        self.set_state(None)

    def look(self) -> Any:
        return self.state

    def change_a_copy(self) -> Any:
        copy = self.get_state()
        copy.append("changed")
        return self.get_state()


@styles.entity
class Notebook(Entity[list[str]]):
    """Remembers what it was told, sends on, fails."""

    def initial_state(self) -> list[str]:
        return []

    def note(self, text: str) -> int:
        self.state.append(text)
        return len(self.state)

    def read(self) -> list[str]:
        return self.state

    def forward(self, text: str, keys: list[str], delay: float = 0) -> None:
        self.state.append(f"sent {text}")
        for key in keys:
            if delay:
                self.context.signal_entity_at(delay, Notebook.entity_id(key), Notebook.note, text)
            else:
                self.context.signal_entity(Notebook.entity_id(key), Notebook.note, text)

    def count_down(self, number: int) -> None:
        self.state.append(str(number))
        if number:
            self.context.signal_entity(self.context.entity_id, "count_down", number - 1)

    def tick(self, times: int) -> None:
        self.state.append(self.context.now().isoformat())
        if times > 1:
            self.context.signal_entity_at(
                timedelta(hours=1), self.context.entity_id, Notebook.tick, times - 1
            )

    def start(self, instance_id: str, text: str) -> str:
        self.state.append(f"started {text}")
        return self.context.start_orchestration("told", text, instance_id=instance_id)

    def fail(self, instance_id: str) -> None:
        self.state.append("must not be seen")
        self.forward("must not be sent", ["other"])
        self.start(instance_id, "must not begin")
        raise KeyError("fail")

    async def fail_later(self, instance_id: str) -> None:
        await asyncio.sleep(0.1)
        self.fail(instance_id)

    async def rest(self, seconds: float) -> str:
        await anyio.sleep(seconds)
        return self.context.entity_id.key

    def who(self) -> Any:
        return [str(self.context.entity_id), self.context.operation, self.context.caller]

    def unfit(self) -> Any:
        return object()


@styles.entity
class Typed(Entity[int]):
    """Finds in its state what another release left there."""

    def get(self) -> int:
        return self.state

    def reset(self) -> None:
        self.state = 0


@styles.entity
def strict(ctx: EntityContext, input: int) -> int:
    return input + ctx.get_state(int, 0)


@styles.in_async("told")
async def told(ctx: OrchestrationContext, text: str) -> str:
    if text == "waits":
        await ctx.wait_for_external_event("go on")
    return text


@styles.in_generator("told")
def told_in_steps(ctx: OrchestrationContext, text: str) -> Generator[Any, Any, str]:
    if text == "waits":
        yield ctx.wait_for_external_event("go on")
    return text


@styles.in_async("delays")
async def delays(ctx: OrchestrationContext, key: str) -> list[str]:
    entity = Notebook.entity_id(key)
    ctx.signal_entity_at(HOUR, entity, Notebook.note, "after an hour")
    ctx.signal_entity(entity, "note", "after a day", at=timedelta(days=1))
    ctx.signal_entity(entity, "note", "at once", at=ctx.now() - timedelta(days=1))
    return await ctx.call_entity(entity, Notebook.read)


@styles.in_generator("delays")
def delays_in_steps(ctx: OrchestrationContext, key: str) -> Generator[Any, Any, list[str]]:
    entity = Notebook.entity_id(key)
    ctx.signal_entity_at(HOUR, entity, Notebook.note, "after an hour")
    ctx.signal_entity(entity, "note", "after a day", at=timedelta(days=1))
    ctx.signal_entity(entity, "note", "at once", at=ctx.now() - timedelta(days=1))
    return (yield ctx.call_entity(entity, Notebook.read))


@styles.in_async("asks_who")
async def asks_who(ctx: OrchestrationContext, key: str) -> Any:
    return await ctx.call_entity(Notebook.entity_id(key), Notebook.who)


@styles.in_generator("asks_who")
def asks_who_in_steps(ctx: OrchestrationContext, key: str) -> Generator[Any, Any, Any]:
    return (yield ctx.call_entity(Notebook.entity_id(key), Notebook.who))


async def notes(hub: TaskHub, key: str) -> list[str]:
    return await hub.client.call_entity(Notebook.entity_id(key), Notebook.read)


def kind_of(error: pytest.ExceptionInfo[EntityOperationFailedError]) -> str:
    return error.value.failure.error_type.rpartition(".")[2]


# -- state


@pytest.mark.parametrize("state", [0, "", False, [], {}, 0.0])
@virtual_time
async def test_falsy_states_are_states(env: VirtualEnvironment, world: World, state: Any) -> None:
    box = Box.entity_id("a")
    async with world.running(env, styles[ASYNC]) as hub:
        assert await hub.client.call_entity(box, Box.get_or, "none") == "none"
        await hub.client.call_entity(box, Box.set, state)
    async with world.running(env, styles[ASYNC]) as hub:
        assert await hub.client.call_entity(box, Box.get_or, "none") == state
        found = await hub.client.get_entity(box)
        assert found is not None
        assert (found.has_state, found.state) == (True, state)


@virtual_time
async def test_none_is_no_state(env: VirtualEnvironment, world: World) -> None:
    box = Box.entity_id("a")
    async with world.running(env, styles[ASYNC]) as hub:
        await hub.client.call_entity(box, Box.set, 1)
        await hub.client.call_entity(box, Box.set_nothing)
        assert await hub.client.call_entity(box, Box.get_or, "none") == "none"
        with pytest.raises(EntityOperationFailedError) as caught:
            await hub.client.call_entity(box, Box.look)
        assert kind_of(caught) == EntityStateAbsentError.__name__
        cleaned = await hub.client.clean_entities()
        assert cleaned.discarded == 1


@virtual_time
async def test_a_state_that_is_read_is_a_copy(env: VirtualEnvironment, world: World) -> None:
    box = Box.entity_id("a")
    async with world.running(env, styles[ASYNC]) as hub:
        await hub.client.call_entity(box, Box.set, ["as it was"])
        assert await hub.client.call_entity(box, Box.change_a_copy) == ["as it was"]
        assert await hub.client.call_entity(box, Box.get) == ["as it was"]


# -- failures


@pytest.mark.parametrize("operation", ["fail", "fail_later"])
@virtual_time
async def test_a_failed_operation_did_nothing_and_the_others_did(
    env: VirtualEnvironment, world: World, operation: str
) -> None:
    entity = Notebook.entity_id("a")
    async with world.hub(env, styles[ASYNC]) as hub:
        for text in ("before", "also before"):
            await hub.client.signal_entity(entity, Notebook.note, text)
        await hub.client.signal_entity(entity, operation, "child")
        await hub.client.signal_entity(entity, Notebook.forward, "after", ["other"])
        async with hub.worker():  # all of them are in one turn, and one commit
            assert await notes(hub, "a") == ["before", "also before", "sent after"]
            with pytest.raises(EntityOperationFailedError, match="KeyError") as caught:
                await hub.client.call_entity(entity, operation, "child")
            assert caught.value.operation == operation
            assert await notes(hub, "other") == ["after"]
            assert await hub.client.get("child") is None


@virtual_time
async def test_an_operation_that_there_is_not(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, styles[ASYNC]) as hub:
        for operation in ("nonsense", "_private", "initial_state", "state", "Note"):
            with pytest.raises(EntityOperationFailedError, match="note") as caught:
                await hub.client.call_entity(Notebook.entity_id("a"), operation)
            assert kind_of(caught) == "UnknownOperationError"
            await hub.client.signal_entity(Notebook.entity_id("a"), operation)
        assert await notes(hub, "a") == []


@virtual_time
async def test_input_and_result_that_do_not_fit(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, styles[ASYNC]) as hub:
        for entity, operation, given, kind in [
            (Notebook.entity_id("a"), "note", {"not": "a text"}, "DecodeError"),
            (Notebook.entity_id("a"), "note", None, "DecodeError"),
            (Notebook.entity_id("a"), "who", 1, "TypeError"),
            (Notebook.entity_id("a"), "unfit", None, "EncodeError"),
            (strict.entity_id("a"), "any", "text", "DecodeError"),
        ]:
            with pytest.raises(EntityOperationFailedError) as caught:
                await hub.client.call_entity(entity, operation, given)
            assert kind_of(caught) == kind
        await hub.client.signal_entity(Notebook.entity_id("a"), "note", 7)
        assert await notes(hub, "a") == []


@virtual_time
async def test_a_state_that_does_not_fit_is_kept_until_somebody_mends_it(
    env: VirtualEnvironment, world: World
) -> None:
    old, now = Styles(), Typed.entity_id("a")

    @old.entity(name="typed")
    class OldTyped(Entity[str]):
        def set(self, value: str) -> None:
            self.state = value

    async with world.running(env, old[ASYNC]) as hub:
        await hub.client.call_entity(now, OldTyped.set, "twelve")
    async with world.running(env, styles[ASYNC]) as hub:
        with pytest.raises(EntityOperationFailedError) as caught:
            await hub.client.call_entity(now, Typed.get)
        assert kind_of(caught) == "DecodeError"
        found = await hub.client.get_entity(now, str)
        assert found is not None
        assert found.state == "twelve"
        await hub.client.call_entity(now, Typed.reset)
        assert await hub.client.call_entity(now, Typed.get) == 0


# -- ids and bounds


@pytest.mark.parametrize("key", HOSTILE)
@virtual_time
async def test_any_key_is_a_key(
    env: VirtualEnvironment, world: World, style: str, key: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        entity = Notebook.entity_id(key)
        await hub.client.signal_entity(entity, Notebook.note, key)
        assert await notes(hub, key) == [key]
        handle = await hub.client.start("asks_who", key)
        assert await handle.wait() == [f"@notebook@{key}", "who", handle.instance_id]
        found = [
            one.entity_id async for one in hub.client.query_entities(key_prefix=key, name=Notebook)
        ]
        assert found == [entity]


@pytest.mark.parametrize(
    ("name", "key"),
    [("", "k"), ("n", ""), ("a@b", "k"), ("n" * 300, "k"), ("n", "k" * 300), ("n", "\0")],
)
def test_what_is_no_id_is_refused(name: str, key: str) -> None:
    with pytest.raises(ValidationError):
        EntityId(name, key)


@virtual_time
async def test_a_full_mailbox_refuses_and_loses_nothing(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    world.letters_max = 5
    entity = Notebook.entity_id("a")
    async with world.hub(env, styles[style]) as hub:
        for number in range(5):
            await hub.client.signal_entity(entity, Notebook.note, str(number))
        with pytest.raises(OverloadedError):
            await hub.client.signal_entity(entity, Notebook.note, "too many")
        with pytest.raises(OverloadedError):
            await hub.client.call_entity(entity, Notebook.note, "too many")
        handle = await hub.client.start("asks_who", "a")  # an orchestration is not turned away
        async with hub.worker():
            await handle.wait()
            assert await notes(hub, "a") == ["0", "1", "2", "3", "4"]


# -- time


@virtual_time
async def test_delayed_signals_of_an_orchestration(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("delays", "a")
        assert await handle.wait() == ["at once"]
        await anyio.sleep(HOUR - MINUTE)
        assert await notes(hub, "a") == ["at once"]
        await anyio.sleep(2 * MINUTE)
        assert await notes(hub, "a") == ["at once", "after an hour"]
    await anyio.sleep(DAY)
    async with world.running(env, styles[style]) as hub:  # it became due when nobody was there
        assert await notes(hub, "a") == ["at once", "after an hour", "after a day"]


@virtual_time
async def test_delayed_signals_of_a_client_and_of_entities(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, styles[ASYNC]) as hub:
        entity = Notebook.entity_id("a")
        await hub.client.signal_entity_at(DAY, entity, Notebook.note, "last")
        await hub.client.signal_entity_at(HOUR, entity, Notebook.forward, "on", ["b"], HOUR)
        await anyio.sleep(2 * HOUR - MINUTE)
        assert await notes(hub, "b") == []
        await anyio.sleep(2 * MINUTE)
        assert await notes(hub, "b") == ["on"]
        await anyio.sleep(DAY)
        assert await notes(hub, "a") == ["sent on", "last"]


@virtual_time
async def test_an_entity_that_wakes_itself(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, styles[ASYNC]) as hub:
        await hub.client.signal_entity(Notebook.entity_id("a"), Notebook.tick, 3)
        await anyio.sleep(5 * HOUR)
        hours = [text[11:16] for text in await notes(hub, "a")]
        assert hours == ["00:00", "01:00", "02:00"]


# -- to others


@virtual_time
async def test_entities_signal_entities_and_themselves(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, styles[ASYNC]) as hub:
        await hub.client.call_entity(
            Notebook.entity_id("a"), Notebook.forward, "text", ["b", "a", "c"]
        )
        assert await notes(hub, "a") == ["sent text", "text"]
        assert await notes(hub, "b") == await notes(hub, "c") == ["text"]
        await hub.client.signal_entity(Notebook.entity_id("d"), Notebook.count_down, 300)
        with anyio.fail_after(MINUTE):
            while len(seen := await notes(hub, "d")) < 301:
                await anyio.sleep(0.1)
        assert seen == [str(number) for number in range(300, -1, -1)]


@virtual_time
async def test_entities_start_orchestrations(env: VirtualEnvironment, world: World) -> None:
    entity = Notebook.entity_id("a")
    async with world.running(env, styles[ASYNC]) as hub:
        assert await hub.client.call_entity(entity, Notebook.start, "child", "waits") == "child"
        await hub.client.call_entity(entity, Notebook.start, "child", "not while it runs")
        await hub.client.raise_event("child", "go on")
        assert (await hub.client.wait_for_end("child")).output() == "waits"
        await hub.client.call_entity(entity, Notebook.start, "child", "again")
        assert (await hub.client.wait_for_end("child")).output() == "again"
        assert await notes(hub, "a") == [
            "started waits",
            "started not while it runs",
            "started again",
        ]


# -- those that take long


@virtual_time
async def test_an_operation_that_takes_long_keeps_only_its_own_entity(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        for key in ("a", "b"):
            await hub.client.signal_entity(Notebook.entity_id(key), Notebook.rest, DAY)
        await hub.client.signal_entity(Notebook.entity_id("a"), Notebook.note, "waits")
        begun = elapsed(env)
        for number in range(10):
            await hub.client.call_entity(Notebook.entity_id(f"other {number}"), Notebook.note, "x")
        handle = await hub.client.start("delays", "c")
        assert await handle.wait() == ["at once"]
        assert elapsed(env) - begun < 1
        found = await hub.client.get_entity(Notebook.entity_id("a"), Notebook)
        assert found is not None
        assert (found.state, found.backlog) == (None, 2)
        assert await notes(hub, "a") == ["waits"]
        assert elapsed(env) == pytest.approx(DAY, abs=2)


@virtual_time
async def test_long_operations_wait_for_room_in_order(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, styles[ASYNC], operations_max=2) as hub:
        done: list[str] = []

        async def rest(key: str) -> None:
            done.append(await hub.client.call_entity(Notebook.entity_id(key), Notebook.rest, HOUR))

        async with anyio.create_task_group() as group:
            for key in "abcdef":
                group.start_soon(rest, key)
                await anyio.sleep(1)
        assert done == list("abcdef")
        assert elapsed(env) == pytest.approx(3 * HOUR, abs=10)
