"""What code sends in the turn in which its execution ends is sent, whichever way it ends, also after it gave something up."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest

from durable_async import Entity, OrchestrationContext, OrchestrationFailedError, Status
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import ASYNC, HOUR, Styles, World

styles = Styles()


@styles.entity
class Log(Entity[list[str]]):
    def initial_state(self) -> list[str]:
        return []

    def note(self, text: str) -> None:
        self.state.append(text)


LOG = Log.entity_id("all")


@styles.activity
async def rest() -> None:
    await asyncio.sleep(HOUR)


def speak(ctx: OrchestrationContext, when: str) -> None:
    ctx.signal_entity(LOG, Log.note, f"signal {when}")
    ctx.send_event("listener", "said", f"event {when}")
    ctx.call_sub_orchestrator("heard", f"child {when}", instance_id=f"child-{when}")
    ctx.call_entity(LOG, Log.note, f"call {when}")


def end(ctx: OrchestrationContext, how: str) -> str:
    if how == "anew":
        ctx.continue_as_new("return")
    if how == "raise":
        raise ValueError("the end")
    return "done"


@styles.in_async("speaker")
async def speaker(ctx: OrchestrationContext, how: str) -> str:
    if ctx.execution > 1:
        return "done anew"
    speak(ctx, "first")
    resting = ctx.call_activity(rest)
    resting.cancel()
    speak(ctx, "after")
    try:
        return end(ctx, how)
    finally:
        speak(ctx, "last")


@styles.in_generator("speaker")
def speaker_generator(ctx: OrchestrationContext, how: str) -> Generator[Any, Any, str]:
    if ctx.execution > 1:
        return "done anew"
    yield ctx.create_timer(1)
    speak(ctx, "first")
    resting = ctx.call_activity(rest)
    resting.cancel()
    speak(ctx, "after")
    try:
        return end(ctx, how)
    finally:
        speak(ctx, "last")


@styles.in_async("cancelled")
async def cancelled(ctx: OrchestrationContext) -> str:
    async def work() -> None:
        try:
            await ctx.call_activity(rest)
        finally:
            speak(ctx, "first")

    task = asyncio.ensure_future(work())
    await ctx.create_timer(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    speak(ctx, "after")
    try:
        return "done"
    finally:
        speak(ctx, "last")


@styles.both
async def heard(ctx: OrchestrationContext, text: str) -> None:
    ctx.signal_entity(LOG, Log.note, text)


@styles.both
async def listener(ctx: OrchestrationContext) -> None:
    while True:
        text = await ctx.wait_for_external_event("said", str)
        ctx.signal_entity(LOG, Log.note, text)


WORDS = sorted(
    f"{kind} {when}"
    for kind in ("signal", "event", "child", "call")
    for when in ("first", "after", "last")
)


async def all_words(hub: Any) -> None:
    heard_of: list[str] = []

    async def look() -> None:
        state = await hub.client.get_entity(LOG, list[str])
        heard_of[:] = state.state if state is not None else []

    while sorted(heard_of) != WORDS:
        await asyncio.sleep(0.1)
        await look()
        assert len(heard_of) <= len(WORDS)


@pytest.mark.parametrize("how", ["return", "raise", "anew"])
@virtual_time
async def test_what_was_said_before_the_end_is_heard(
    env: VirtualEnvironment, world: World, style: str, how: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        await hub.client.start("listener", instance_id="listener")
        handle = await hub.client.start("speaker", how)
        if how == "raise":
            with pytest.raises(OrchestrationFailedError, match="the end"):
                await handle.wait()
        else:
            assert await handle.wait() == ("done anew" if how == "anew" else "done")
        async with asyncio.timeout(HOUR):
            await all_words(hub)


@virtual_time
async def test_what_was_said_on_the_way_out_of_a_cancelled_task_is_heard(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, styles[ASYNC]) as hub:
        await hub.client.start("listener", instance_id="listener")
        handle = await hub.client.start("cancelled")
        assert await handle.wait() == "done"
        async with asyncio.timeout(HOUR):
            await all_words(hub)
        assert (await hub.client.wait_for_end(handle)).status is Status.COMPLETED
