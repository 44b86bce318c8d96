"""Processes that die without a word, freeze, and stall."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

import anyio

from durable_async.testing import VirtualEnvironment
from durable_async.testing.loop import NODE
from durable_async.testing.simulation.loop import SimulationLoop

Story = Callable[[SimulationLoop, list[str]], Awaitable[None]]


def play(story: Story) -> list[str]:
    loop = SimulationLoop(seed=1, steps_max=10_000)
    said: list[str] = []
    try:
        loop.run_until_complete(story(loop, said))
        loop.resurrect()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        return said
    finally:
        loop.close()


def begin(loop: SimulationLoop, node: str, said: list[str]) -> asyncio.Task[None]:
    async def live() -> None:
        try:
            for number in range(3):
                said.append(f"{node} {number} at {loop.time():g}")
                await anyio.sleep(1)
        finally:
            said.append(f"{node} ends at {loop.time():g}")

    context = contextvars.Context()
    context.run(NODE.set, node)
    return loop.create_task(live(), context=context)


def test_the_dead_say_nothing_more() -> None:
    async def story(loop: SimulationLoop, said: list[str]) -> None:
        task = begin(loop, "a", said)
        await anyio.sleep(1.5)
        loop.kill("a")
        await anyio.sleep(10)
        assert said == ["a 0 at 0", "a 1 at 1"]
        assert not task.done()

    assert play(story)[-1] == "a ends at 11.5"  # once nothing counts any more


def test_the_frozen_go_on_later_and_do_not_know() -> None:
    async def story(loop: SimulationLoop, said: list[str]) -> None:
        begin(loop, "a", said)
        begin(loop, "b", said)
        await anyio.sleep(0.5)
        loop.freeze("a")
        await anyio.sleep(5)
        loop.thaw("a")
        await anyio.sleep(5)

    said = play(story)
    assert [one for one in said if one[0] == "a"] == [
        "a 0 at 0",
        "a 1 at 5.5",
        "a 2 at 6.5",
        "a ends at 7.5",
    ]
    assert [one for one in said if one[0] == "b"][-1] == "b ends at 3"


def test_the_threads_of_the_stalled_go_on() -> None:
    async def story(loop: SimulationLoop, said: list[str]) -> None:
        env = VirtualEnvironment(loop)
        context = contextvars.Context()
        context.run(NODE.set, "a")
        context.run(env.every, 1.0, lambda: said.append(f"thread at {loop.time():g}"), "thread")
        begin(loop, "a", said)
        await anyio.sleep(0.5)
        loop.stall("a")
        await anyio.sleep(2)
        loop.kill("a")
        await anyio.sleep(2)

    assert play(story)[:3] == ["a 0 at 0", "thread at 1", "thread at 2"]
