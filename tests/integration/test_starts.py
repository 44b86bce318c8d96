"""Starting: ids, reuse policies, request ids, batches, and what refuses to start."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from durable_async import (
    InstanceExistsError,
    OrchestrationContext,
    Registry,
    ReusePolicy,
    Status,
    ValidationError,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import HOUR, MINUTE, World, ran, until

registry = Registry()


@registry.activity
async def note(what: str) -> None:
    ran.append(what)


@registry.orchestrator
async def noting(ctx: OrchestrationContext, what: str = "by default") -> str:
    await ctx.call_activity(note, what)
    return what


@registry.orchestrator
async def lasting(ctx: OrchestrationContext, what: str) -> str:
    await ctx.call_activity(note, what)
    return what + await ctx.wait_for_external_event("end", str)


@virtual_time
async def test_ids(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        one = await hub.client.start(noting, "a")
        two = await hub.client.start(noting, "b")
        assert len(one.instance_id) == 32
        assert int(one.instance_id, 16) != int(two.instance_id, 16)
        named = await hub.client.start(noting, "c", instance_id="Grüße/7: 日本")
        assert named.instance_id == "Grüße/7: 日本"
        assert await hub.client.wait("Grüße/7: 日本") == "c"


@virtual_time
async def test_no_input_takes_the_default(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        assert await (await hub.client.start("noting")).wait() == "by default"


@virtual_time
async def test_by_function_and_by_name(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        assert await (await hub.client.start(noting, "one")).wait() == "one"
        assert await (await hub.client.start("noting", "two")).wait() == "two"


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("policy", list(ReusePolicy))
@virtual_time
async def test_a_taken_id(
    env: VirtualEnvironment, world: World, policy: ReusePolicy, ended: bool
) -> None:
    async with world.running(env, registry) as hub:

        async def again() -> Any:
            return await hub.client.start(lasting, "second", instance_id="X", reuse=policy)

        first = await hub.client.start(lasting, "first", instance_id="X")
        assert first.created
        await until(lambda: ran)
        if ended:
            await first.raise_event("end", "!")
            await first.wait()
        refuses = policy is ReusePolicy.REJECT or (
            policy is ReusePolicy.REPLACE_TERMINAL and not ended
        )
        if refuses:
            with pytest.raises(InstanceExistsError, match="'X' exists with status") as caught:
                await again()
            assert caught.value.status == ("completed" if ended else "running")
            return
        second = await again()
        if policy is ReusePolicy.RETURN_EXISTING:
            assert not second.created
            await second.raise_event("end", "!")
            assert await second.wait(timeout=MINUTE) == "first!"
            assert ran == ["first"]
            return
        assert second.created
        await second.raise_event("end", "?")
        assert await second.wait(timeout=MINUTE) == "second?"
        state = await second.get()
        assert state is not None
        assert state.execution == 2
        assert state.input(str) == "second"
        assert ran == ["first", "second"]


@virtual_time
async def test_events_for_the_old_do_not_reach_the_new(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.hub(env, registry) as hub:
        first = await hub.client.start(lasting, "first", instance_id="X")
        await first.raise_event("end", "meant for the first")
        second = await hub.client.start(
            lasting, "second", instance_id="X", reuse=ReusePolicy.REPLACE
        )
        async with hub.worker():
            await anyio.sleep(HOUR)
            await second.raise_event("end", "!")
            assert await second.wait(timeout=MINUTE) == "second!"
    assert ran == ["second"]


@virtual_time
async def test_a_request_id_makes_a_repetition_harmless(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:

        async def start() -> Any:
            return await hub.client.start(noting, "once", instance_id="X", request_id="R")

        first = await start()
        assert await first.wait() == "once"
        second = await start()
        assert (first.created, second.created) == (True, True)  # the same answer
        assert await second.wait() == "once"
        with pytest.raises(InstanceExistsError):
            await hub.client.start(noting, "once", instance_id="X", request_id="another")
    assert ran == ["once"]


@virtual_time
async def test_many_at_once(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handles = await hub.client.start_many(noting, [f"n{number}" for number in range(300)])
        assert [await handle.wait() for handle in handles] == [f"n{n}" for n in range(300)]
        named = await hub.client.start_many(
            "noting", ["a", "b"], instance_ids=["A", "B"], version="2", tags={"lot": "1"}
        )
        assert [handle.instance_id for handle in named] == ["A", "B"]
        state = await hub.client.get("B")
        assert state is not None
        assert (state.version, state.tags) == ("2", {"lot": "1"})
        assert await hub.client.start_many(noting, []) == []


@virtual_time
async def test_of_many_a_taken_id_is_told_and_the_others_start(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        await hub.client.start(noting, "old", instance_id="B")
        with pytest.raises(InstanceExistsError, match="'B'"):
            await hub.client.start_many(noting, ["a", "b", "c"], instance_ids=["A", "B", "C"])
        for instance_id in ("A", "C"):
            await hub.client.wait(instance_id, timeout=MINUTE)
    assert sorted(ran) == ["a", "c", "old"]


@virtual_time
async def test_an_unknown_name_waits_for_a_worker_that_knows_it(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start("not_yet", "x")
        await anyio.sleep(HOUR)
        state = await handle.get()
        assert state is not None
        assert state.status is Status.PENDING
        later = Registry()
        later.add_activity(note)
        later.orchestrator(name="not_yet")(noting.function)
        async with hub.worker(later):
            assert await handle.wait(timeout=MINUTE) == "x"


BAD_IDS = ["", "@entity", "a\0b", "a\nb", "\ud800", "x" * 257, "é" * 257, 7, b"bytes"]


@pytest.mark.parametrize("instance_id", BAD_IDS, ids=repr)
@virtual_time
async def test_bad_ids_are_refused_before_anything_is_written(
    env: VirtualEnvironment, world: World, instance_id: Any
) -> None:
    async with world.hub(env, registry) as hub:
        with pytest.raises(ValidationError, match=r"^instance_id: "):
            await hub.client.start(noting, "x", instance_id=instance_id)
        for call in (hub.client.get, hub.client.terminate, hub.client.purge, hub.client.wait):
            with pytest.raises(ValidationError, match=r"^instance_id: "):
                await call(instance_id)
        assert not any((await hub.statistics()).by_status.values())


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"version": "1\0"}, "version"),
        ({"tags": {"": "x"}}, "tags"),
        ({"tags": {"k": "a\0"}}, "tags"),
        ({"tags": {"k": 7}}, "tags"),
        ({"tags": {str(n): "x" for n in range(33)}}, "tags"),
        ({"tags": {"k": "x" * 257}}, "tags"),
        ({"start_at": -1.0}, "start_at"),
        ({"start_at": float("nan")}, "start_at"),
        ({"start_at": float("inf")}, "start_at"),
        ({"request_id": ""}, "request_id"),
        ({"request_id": "a\0"}, "request_id"),
        ({"request_id": "\ud800"}, "request_id"),
        ({"request_id": "x" * 10_000}, "request_id"),
    ],
    ids=repr,
)
@virtual_time
async def test_bad_arguments_are_refused_before_anything_is_written(
    env: VirtualEnvironment, world: World, arguments: dict[str, Any], field: str
) -> None:
    async with world.hub(env, registry) as hub:
        with pytest.raises(ValidationError, match=f"^{field}"):
            await hub.client.start(noting, "x", **arguments)
        assert not any((await hub.statistics()).by_status.values())


@pytest.mark.parametrize("name", ["", "a\0", "x" * 201, "\udfff"])
@virtual_time
async def test_bad_names_are_refused(env: VirtualEnvironment, world: World, name: str) -> None:
    async with world.hub(env, registry) as hub:
        with pytest.raises(ValidationError, match=r"^orchestrator"):
            await hub.client.start(name, "x")


@virtual_time
async def test_what_is_no_orchestrator_is_refused(env: VirtualEnvironment, world: World) -> None:
    async with world.hub(env, registry) as hub:
        anything: Any = noting.function
        for thing in (anything, note, print, None, 7):
            with pytest.raises(ValidationError, match="@orchestrator"):
                await hub.client.start(thing, "x")
        assert not any((await hub.statistics()).by_status.values())


@virtual_time
async def test_of_many_one_that_is_bad_starts_none(env: VirtualEnvironment, world: World) -> None:
    async with world.hub(env, registry) as hub:
        inputs: list[Any] = ["a", object(), "c"]
        with pytest.raises(TypeError, match="noting"):
            await hub.client.start_many(noting, inputs)
        with pytest.raises(ValidationError, match="2 ids for 3 inputs"):
            await hub.client.start_many(noting, ["a", "b", "c"], instance_ids=["A", "B"])
        assert not any((await hub.statistics()).by_status.values())
