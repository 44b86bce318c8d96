"""Workers of different releases side by side: each takes the versions that it says it takes, and leaves the others alone."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from durable_async import (
    FailureDetails,
    OrchestrationContext,
    OrchestrationTerminatedError,
    Orchestrator,
    Registry,
    Status,
    TaskHub,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import MINUTE, World, doomed, elapsed


def release(*versions: str | None, note: list[str] | None = None) -> Registry:
    """Return what a release runs that takes some versions; what it was asked about goes into ``note``."""
    label = str(versions[0])

    def accepts(name: str, version: str | None) -> bool:
        if note is not None:
            note.append(f"{name} {version}")
        return version in versions

    registry = Registry(accepts=accepts)

    @registry.orchestrator
    async def hello(ctx: OrchestrationContext, go: str | None = None) -> list[str | None]:
        if go is not None:
            await ctx.wait_for_external_event(go)
        return [label, ctx.version]

    @registry.orchestrator
    async def parent(ctx: OrchestrationContext) -> list[list[str | None]]:
        one = await ctx.call_sub_orchestrator(hello, version="1")
        two = await ctx.call_sub_orchestrator(hello, version="2")
        return [[label], one, two]

    @registry.orchestrator
    async def eternal(ctx: OrchestrationContext, labels: list[str]) -> list[str]:
        labels = [*labels, label]
        if len(labels) == 4:
            return labels
        await ctx.wait_for_external_event("on")
        ctx.continue_as_new(labels, version="2" if len(labels) == 2 else "1")

    return registry


async def running(hub: TaskHub, *instance_ids: str) -> list[str | None]:
    """Return the owners of instances."""
    records = await hub.backend.read(instance_ids, payloads=False)
    return [record and record.owner for record in records]


@virtual_time
async def test_each_version_goes_to_the_worker_that_takes_it(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, release("1", None)) as hub, hub.worker(release("2")):
        begun = elapsed(env)
        handles = {
            version: [await hub.client.start("hello", version=version) for _ in range(60)]
            for version in ("2", "1", None)
        }
        results = {
            version: [await handle.wait() for handle in started]
            for version, started in handles.items()
        }
        assert results == {
            "1": [["1", "1"]] * 60,
            "2": [["2", "2"]] * 60,
            None: [["1", None]] * 60,
        }
        assert elapsed(env) - begun < 1, "nobody waited for a look round"


@virtual_time
async def test_what_nobody_takes_waits_without_anybody_looking_at_it_again(
    env: VirtualEnvironment, world: World
) -> None:
    asked: list[str] = []
    async with world.running(env, release("1", note=asked)) as hub:
        for number in range(3):
            await hub.client.start("hello", version="2", instance_id=f"i{number}")
        others = [await hub.client.start("hello", version="1") for _ in range(3)]
        assert [await other.wait() for other in others] == [["1", "1"]] * 3
        await anyio.sleep(100 * MINUTE)
        assert asked.count("hello 2") <= 3
        assert await running(hub, "i0", "i1", "i2") == [None] * 3
        async with hub.worker(release("2")):
            begun = elapsed(env)
            assert await hub.client.wait("i1") == ["2", "2"]
            assert elapsed(env) - begun < 1
        state = await hub.client.get("i0")
        assert state is not None
        assert state.status is Status.COMPLETED


@virtual_time
async def test_children_go_to_the_worker_that_takes_their_version(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, release("1")) as hub, hub.worker(release("2")):
        begun = elapsed(env)
        handle = await hub.client.start("parent", version="2")
        assert await handle.wait() == [["2"], ["1", "1"], ["2", "2"]]
        assert elapsed(env) - begun < 1


@virtual_time
async def test_one_that_continues_as_another_version_moves_to_another_worker(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, release("1")) as hub, hub.worker(release("2")):
        begun = elapsed(env)
        handle = await hub.client.start("eternal", [], version="1", instance_id="e")
        for _ in range(3):
            await handle.raise_event("on")
        assert await handle.wait() == ["1", "1", "2", "1"]
        assert elapsed(env) - begun < 1


@virtual_time
async def test_any_worker_terminates_what_it_does_not_take(
    env: VirtualEnvironment, world: World
) -> None:
    """Also one that was begun by a release that is gone."""
    async with world.hub(env, release("2")) as hub:
        await hub.client.start("hello", "go", version="2", instance_id="begun")
        async with doomed(hub):
            await anyio.sleep(MINUTE)
    async with world.running(env, release("1")) as hub:
        await hub.client.start("hello", version="2", instance_id="new")
        await anyio.sleep(60 * MINUTE)
        for instance_id in ("begun", "new"):
            await hub.client.terminate(instance_id, "old")
            with pytest.raises(OrchestrationTerminatedError):
                await hub.client.wait(instance_id)


@virtual_time
async def test_handing_back_takes_no_attempt_from_others(
    env: VirtualEnvironment, world: World
) -> None:
    """However many workers come and go that do not take it."""
    async with world.hub(env, release("1")) as hub:
        await hub.client.start("hello", version="2", instance_id="i")
        for _ in range(8):
            async with hub.worker():
                await anyio.sleep(MINUTE)
        [record] = await hub.backend.read(["i"], payloads=False)
        assert record is not None
        assert record.parked is None
    async with world.running(env, release("2")) as hub:
        assert await hub.client.wait("i") == ["2", "2"]


@virtual_time
async def test_events_to_what_others_take_wait_for_them(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, release("1")) as hub:
        handle = await hub.client.start("hello", "go", version="2")
        await anyio.sleep(MINUTE)
        await handle.raise_event("go")
        await anyio.sleep(MINUTE)
        async with hub.worker(release("2")):
            assert await handle.wait() == ["2", "2"]


@virtual_time
async def test_an_error_in_the_answer_stands_for_no(
    env: VirtualEnvironment, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def unsure(name: str, version: str | None) -> bool:
        raise ValueError(f"what is {version}?")

    caplog.set_level(logging.ERROR)
    async with world.running(env, Registry(accepts=unsure)) as hub:
        unsure_too = Registry(accepts=unsure)
        unsure_too.add_orchestrator(_hello_of(release("1")))
        async with hub.worker(unsure_too):
            await hub.client.start("hello", version="1", instance_id="i")
            await anyio.sleep(MINUTE)
        assert "'hello' of version '1'" in caplog.text
        assert "what is 1?" in caplog.text
        async with hub.worker(release("1")):
            assert await hub.client.wait("i") == ["1", "1"]


def _hello_of(registry: Registry) -> Orchestrator[Any, Any]:
    found = registry.find_orchestrator("hello")
    assert found is not None
    return found


def strict(version: str) -> Registry:
    """Return what a release runs that lets every other version fail."""

    def accepts(name: str, other: str | None) -> bool | FailureDetails:
        return other == version or FailureDetails("Mismatch", f"{other} is not {version}")

    registry = Registry(accepts=accepts)

    @registry.orchestrator
    async def hello(ctx: OrchestrationContext, go: str | None = None) -> str:
        if go is not None:
            await ctx.wait_for_external_event(go)
        return version

    @registry.orchestrator
    async def renews(ctx: OrchestrationContext) -> None:
        ctx.continue_as_new(version="3")

    @registry.orchestrator
    async def parent(ctx: OrchestrationContext) -> None:
        await ctx.call_sub_orchestrator(hello, version="3")

    return registry


@virtual_time
async def test_a_version_may_fail_instead_of_waiting_for_others(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, strict("1")) as hub:
        await hub.client.start("hello", instance_id="same", version="1")
        await hub.client.start("hello", instance_id="other", version="2")
        await hub.client.start("hello", instance_id="none")
        await hub.client.start("renews", instance_id="renewed", version="1")
        await hub.client.start("parent", instance_id="child", version="1")
        states = {
            name: await hub.client.wait_for_end(name, timeout=MINUTE)
            for name in ("same", "other", "none", "renewed", "child")
        }
        told = [type(event).__name__ for event in await hub.client.history("other")]
    failures = {name: state.failure and state.failure.root for name, state in states.items()}
    assert failures == {
        "same": None,
        "other": FailureDetails("Mismatch", "2 is not 1"),
        "none": FailureDetails("Mismatch", "None is not 1"),
        "renewed": FailureDetails("Mismatch", "3 is not 1"),
        "child": FailureDetails("Mismatch", "3 is not 1"),
    }
    assert told == ["ExecutionStarted", "ExecutionFailed"]


@virtual_time
async def test_what_is_in_flight_fails_when_its_version_does(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, strict("1")) as hub:
        await hub.client.start("hello", "go", instance_id="waits", version="1")
        await hub.client.wait_for_start("waits", timeout=MINUTE)
    async with world.running(env, strict("2")) as hub:
        await hub.client.raise_event("waits", "go")
        state = await hub.client.wait_for_end("waits", timeout=MINUTE)
        assert state.failure == FailureDetails("Mismatch", "1 is not 2")
    async with world.running(env, strict("1")) as hub:
        await hub.client.rewind("waits")
        await hub.client.raise_event("waits", "go")
        assert await hub.client.wait("waits", timeout=MINUTE) == "1"
