"""Code that a replay cannot repeat: found, named, parked, and never in anybody's way."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import random
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Generator
from typing import Any

import anyio
import pytest

from durable_async import (
    DeterminismError,
    DurableFuture,
    ForbiddenOperationError,
    OrchestrationContext,
    OutsideOrchestrationError,
    Registry,
    TaskHub,
    activity,
    unsafe_nondeterminism,
    when_all,
    when_any,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import HOUR, MINUTE, World, ran, until_recorded

registry = Registry()
SEES_CALLS = sys.version_info >= (3, 12)
"""Whether Python tells of single calls; before, only what touches the system is noticed while it runs."""

stuck_until = threading.Event()


@registry.activity
async def note(what: str) -> str:
    ran.append(what)
    return what


@registry.orchestrator
async def good(ctx: OrchestrationContext, text: str) -> str:
    return await ctx.call_activity(note, text)


# Through helpers, which nobody can see at registration.
def asks_the_clock() -> object:
    return time.time()


def asks_for_today() -> object:
    return dt.datetime.now()


def draws() -> object:
    return random.random()


def makes_an_id() -> object:
    return uuid.uuid4()


def sleeps() -> object:
    return time.sleep(0)


def opens_a_socket() -> object:
    return socket.create_connection(("127.0.0.1", 9))


def starts_a_thread() -> object:
    return threading.Thread(target=ran.append, args=("thread",)).start()


def opens_a_file() -> object:
    with tempfile.TemporaryFile() as file:
        return file.write(b"x")


FORBIDDEN: dict[str, tuple[Callable[[], object], str, str]] = {
    "clock": (asks_the_clock, "time.time", "ctx.now()"),
    "today": (asks_for_today, "datetime.now", "ctx.now()"),
    "chance": (draws, "random", "ctx.random("),
    "id": (makes_an_id, "uuid", "ctx.uuid4("),
    "sleep": (sleeps, "time.sleep", "asyncio.sleep"),
    "socket": (opens_a_socket, "socket", "activity"),
    "thread": (starts_a_thread, "hread", "activity"),
}
NOTICED = [name for name in FORBIDDEN if SEES_CALLS or name in ("socket", "thread")]


@registry.orchestrator
async def forbidden(ctx: OrchestrationContext, name: str) -> str:
    await ctx.call_activity(note, "before")
    FORBIDDEN[name][0]()
    await ctx.call_activity(note, "after")
    return "done"


@registry.orchestrator
async def swallowing(ctx: OrchestrationContext, name: str) -> str:
    with contextlib.suppress(Exception):
        FORBIDDEN[name][0]()
    return await ctx.call_activity(note, "after")


@registry.orchestrator
async def tolerated(ctx: OrchestrationContext) -> str:
    with unsafe_nondeterminism():
        FORBIDDEN["clock"][0]()
        FORBIDDEN["chance"][0]()
    return await ctx.call_activity(note, "after")


@registry.orchestrator
async def calls_directly(ctx: OrchestrationContext) -> str:
    return await note("direct")


@registry.orchestrator
async def awaits_nothing_durable(ctx: OrchestrationContext) -> None:
    await asyncio.get_running_loop().create_future()


@registry.orchestrator
async def awaits_an_event_of_its_own(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(note, "before")
    await asyncio.Event().wait()


foreign: list[asyncio.Future[None]] = []


@registry.orchestrator
async def awaits_a_foreign_future(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(note, "before")
    await foreign[0]


@registry.orchestrator
async def never_rests(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(note, "before")
    while True:
        await asyncio.sleep(0)


@registry.orchestrator
async def blocks(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(note, "before")
    while not stuck_until.is_set():
        pass


@registry.orchestrator
def yields_rubbish(ctx: OrchestrationContext) -> Generator[Any, Any, str]:
    try:
        yield 7
    except OutsideOrchestrationError as error:
        return f"refused: {error}"
    return "accepted"


async def parked(hub: TaskHub, handle: Any, seconds: float = HOUR) -> str:
    """Wait until it is parked; return why. Others go on meanwhile, and nothing hangs."""
    with anyio.fail_after(seconds):
        while True:
            state = await hub.client.get(handle)
            assert state is not None
            if state.parked is not None:
                break
            assert not state.is_ended, state.failure
            await anyio.sleep(0.05)
    other = await hub.client.start(good, "goes on")
    assert await other.wait(timeout=seconds) == "goes on"
    return state.parked


@pytest.mark.parametrize("name", NOTICED)
@virtual_time
async def test_what_is_forbidden_is_refused_while_it_runs(
    env: VirtualEnvironment, world: World, name: str
) -> None:
    _, operation, instead = FORBIDDEN[name]
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(forbidden, name)
        reason = await parked(hub, handle)
    assert reason.startswith("ForbiddenOperationError: ")
    assert operation in reason
    assert instead in reason
    assert "test_determinism.py:" in reason
    assert "after" not in ran
    assert "thread" not in ran


@pytest.mark.parametrize("name", NOTICED)
@virtual_time
async def test_swallowing_the_error_does_not_help(
    env: VirtualEnvironment, world: World, name: str
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(swallowing, name)
        assert FORBIDDEN[name][1] in await parked(hub, handle)
    assert "after" not in ran


def test_what_is_plain_to_see_is_refused_at_registration() -> None:
    async def looks_at_the_clock(ctx: OrchestrationContext) -> float:
        return time.time()

    async def draws_itself(ctx: OrchestrationContext) -> float:
        return random.random()

    async def makes_ids(ctx: OrchestrationContext) -> str:
        return str(uuid.uuid4())

    for function in (looks_at_the_clock, draws_itself, makes_ids):
        with pytest.raises(ForbiddenOperationError, match=r"test_determinism\.py:"):
            Registry().orchestrator(function)


@virtual_time
async def test_what_is_forbidden_may_be_done_on_purpose(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(tolerated)
        assert await handle.wait(timeout=MINUTE) == "after"


@virtual_time
async def test_the_forbidden_is_free_in_activities(env: VirtualEnvironment, world: World) -> None:
    free = Registry()

    @free.activity
    async def anything() -> str:
        for call in (asks_the_clock, asks_for_today, draws, makes_an_id, sleeps, opens_a_file):
            call()
        return os.environ.get("HOME", "") and "free"

    @free.orchestrator
    async def asks(ctx: OrchestrationContext) -> str:
        return await ctx.call_activity(anything)

    async with world.running(env, free) as hub:
        assert await (await hub.client.start(asks)).wait(timeout=MINUTE) == "free"


@virtual_time
async def test_an_activity_that_is_called_directly(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(calls_directly)
        reason = await parked(hub, handle)
    assert "calling activity note() directly" in reason
    assert "await ctx.call_activity(note, ...)" in reason
    assert "direct" not in ran


@pytest.mark.parametrize("orchestrator", [awaits_nothing_durable, awaits_an_event_of_its_own])
@virtual_time
async def test_waiting_for_what_nothing_durable_will_complete(
    env: VirtualEnvironment, world: World, orchestrator: Any
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(orchestrator)
        reason = await parked(hub, handle)
    assert reason.startswith("StalledOrchestrationError: ")
    assert "test_determinism.py" in reason
    assert orchestrator.name in reason


@virtual_time
async def test_awaiting_a_future_of_another_loop(env: VirtualEnvironment, world: World) -> None:
    foreign[:] = [asyncio.get_running_loop().create_future()]
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(awaits_a_foreign_future)
        reason = await parked(hub, handle)
        foreign.clear()
    assert "ForbiddenOperationError" in reason
    assert "not durable" in reason


@virtual_time
async def test_a_turn_that_never_rests(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(never_rests)
        reason = await parked(hub, handle)
    assert reason.startswith("TurnBudgetError: ")
    assert "does not come to rest" in reason
    assert "never_rests" in reason


async def test_a_turn_that_blocks_the_event_loop_is_interrupted(world: World) -> None:
    async with world.real_hub(registry) as hub, hub.worker(turn_seconds_max=0.1):
        handle = await hub.client.start(blocks)
        reason = await parked(hub, handle, seconds=60)
    assert "TurnBudgetError" in reason
    assert "it ran for more than 0.1 s" in reason
    assert "in blocks" in reason


@virtual_time
async def test_a_generator_that_yields_rubbish(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(yields_rubbish)
        text = await handle.wait(timeout=MINUTE)
    assert "the orchestrator yielded 7" in text


@virtual_time
async def test_the_worker_says_it_in_the_log(
    env: VirtualEnvironment, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(awaits_nothing_durable, instance_id="stuck-one")
        await parked(hub, handle)
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "orchestration stuck-one is parked" in errors[0]


@virtual_time
async def test_corrected_code_goes_on_after_unpark(env: VirtualEnvironment, world: World) -> None:
    def deployment(body: Callable[[OrchestrationContext], Any]) -> Registry:
        made = Registry()
        made.add_activity(note)
        made.add_orchestrator(good)

        @made.orchestrator(name="deployed")
        async def deployed(ctx: OrchestrationContext) -> str:
            await ctx.call_activity(note, "first")
            await body(ctx)
            return await ctx.call_activity(note, "last")

        return made

    async def wrong(ctx: OrchestrationContext) -> None:
        await asyncio.Event().wait()

    async def right(ctx: OrchestrationContext) -> None:
        await ctx.create_timer(1)

    async with world.hub(env, registry) as hub:
        async with hub.worker(deployment(wrong)):
            handle = await hub.client.start("deployed")
            await parked(hub, handle)
        async with hub.worker(deployment(right)):
            assert await hub.client.unpark(handle) is True
            assert await handle.wait(timeout=HOUR) == "last"
    assert ran.count("first") == ran.count("last") == 1


@virtual_time
async def test_calls_through_a_context_that_is_over(env: VirtualEnvironment, world: World) -> None:
    kept: list[OrchestrationContext] = []
    leaky = Registry()

    @leaky.orchestrator
    async def leaks(ctx: OrchestrationContext) -> None:
        with unsafe_nondeterminism():
            kept.append(ctx)
        await ctx.wait_for_external_event("go")

    async with world.running(env, leaky) as hub:
        handle = await hub.client.start(leaks)
        await until_recorded(hub, handle, "TurnStarted")
        (ctx,) = kept
        for call in (
            lambda: ctx.call_activity("note", "x"),
            lambda: ctx.create_timer(1),
            lambda: ctx.call_sub_orchestrator("good", "x"),
            lambda: ctx.send_event("other", "x"),
            lambda: ctx.wait_for_external_event("x"),
            lambda: ctx.set_custom_status("x"),
        ):
            with pytest.raises((OutsideOrchestrationError, DeterminismError)):
                call()
        await handle.raise_event("go")
        await handle.wait(timeout=MINUTE)


async def test_combinators_outside_an_orchestrator() -> None:
    futures: list[DurableFuture[Any]] = []
    for combine in (when_all, when_any):
        with pytest.raises(ValueError if combine is when_any else OutsideOrchestrationError):
            combine(futures)


@activity
async def bare() -> str:
    return "bare"


async def test_an_activity_outside_an_orchestrator_is_a_plain_function() -> None:
    assert await bare() == "bare"
