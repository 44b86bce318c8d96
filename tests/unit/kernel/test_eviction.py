"""Eviction: nothing of an instance is left to the garbage collector, whatever its code does about being cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest

from durable_async._kernel.loop import UNWIND_ROUNDS
from durable_async._kernel.orchestration import Orchestration
from durable_async.errors import DeterminismError
from durable_async.model.history import ExecutionStarted

from .driver import START_US, Driver, commands, program

PARKED = 10_000
BYTES_PER_INSTANCE = 6 * 1024


@pytest.fixture(autouse=True)
def no_noise(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is logged, and nothing is pending or never retrieved when the garbage is collected."""
    with caplog.at_level(logging.WARNING):
        yield
        gc.collect()
    assert caplog.records == []


def parked(function: Callable[..., Any]) -> Driver:
    driver = Driver(function, activities={"a": lambda x: x})
    driver.run()
    assert driver.live.outcome is None
    return driver


def evicted(driver: Driver) -> None:
    """Evict it, and look that nothing was recorded and nothing is left."""
    before = list(driver.history)
    assert driver.live.evict()
    assert driver.live._journal.loop.unfinished() == []
    assert driver.live._journal.loop.generators() == []
    assert driver.live._journal.recorded == []
    assert driver.history == before
    assert driver.live.evict()


async def test_a_group_with_clean_up_that_awaits() -> None:
    ended: list[str] = []

    async def child(ctx: Any) -> None:
        try:
            await ctx.wait_for_external_event("never")
        finally:
            await ctx.call_activity("a", "clean")
            ended.append("never")

    async def orchestrator(ctx: Any) -> None:
        try:
            async with asyncio.timeout(None), asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(child(ctx))
        finally:
            ended.append("root")

    evicted(parked(orchestrator))
    assert ended == ["root"]


@pytest.mark.parametrize("times", [1, UNWIND_ROUNDS - 2])
def test_code_that_swallows_cancellation_for_a_while(times: int) -> None:
    async def orchestrator(ctx: Any) -> None:
        for _ in range(times):
            with contextlib.suppress(BaseException):
                await ctx.wait_for_external_event("never")
        await ctx.wait_for_external_event("never")

    evicted(parked(orchestrator))


CALLS: dict[str, Callable[[Any], Any]] = {
    "activity": lambda ctx: ctx.call_activity("a", 1),
    "timer": lambda ctx: ctx.create_timer(5),
    "sleep": lambda ctx: asyncio.sleep(5),
    "event": lambda ctx: ctx.wait_for_external_event("never"),
    "child": lambda ctx: ctx.call_sub_orchestrator("child"),
    "gather": lambda ctx: asyncio.gather(ctx.call_activity("a", 1), ctx.create_timer(1)),
    "shield": lambda ctx: asyncio.shield(ctx.call_activity("a", 1)),
    "nothing": lambda ctx: asyncio.sleep(0),
    "refused": lambda ctx: asyncio.to_thread(print),
}


@pytest.mark.parametrize("name", CALLS)
def test_code_that_never_ends_is_given_up_in_bounded_rounds(name: str) -> None:
    rounds = 0

    async def stubborn(ctx: Any) -> None:
        nonlocal rounds
        call: Callable[[Any], Any] = lambda ctx: ctx.wait_for_external_event("never")  # noqa: E731
        while rounds < 200_000:
            rounds += 1
            try:
                await call(ctx)
            except BaseException:  # noqa: BLE001 - as users do
                call = CALLS[name]

    driver = parked(stubborn)
    if name == "refused":  # raises at once, so the loop below it ends by itself
        rounds = 199_990
        evicted(driver)
        return
    assert not driver.live.evict()
    assert 10 <= rounds <= 110_000
    corpse = driver.live._journal.loop
    assert len(corpse.unfinished()) == 1
    rounds = 1_000_000
    assert driver.live.evict()  # its owner may try again


def test_an_async_generator_whose_finally_awaits() -> None:
    seen: list[Any] = []

    async def numbers(ctx: Any) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            seen.append("closing")
            try:
                await ctx.call_activity("a", "close")
            except BaseException as error:
                seen.append(type(error).__name__)
                raise

    async def orchestrator(ctx: Any) -> None:
        async for _ in numbers(ctx):
            break
        async for _ in numbers(ctx):
            await ctx.wait_for_external_event("never")

    evicted(parked(orchestrator))
    assert sorted(seen) == ["CancelledError"] * 2 + ["closing"] * 2


def test_a_generator_of_another_loop_is_not_touched() -> None:
    async def main() -> None:
        async def numbers() -> AsyncIterator[int]:
            yield 1
            yield 2

        outer = numbers()
        await anext(outer)
        evicted(parked(lambda ctx: ctx.wait_for_external_event("never")))
        assert await anext(outer) == 2
        await outer.aclose()

    asyncio.run(main())


def test_anyio_scopes() -> None:
    async def orchestrator(ctx: Any) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 50)
            with anyio.CancelScope(shield=True), anyio.move_on_after(90):
                await ctx.wait_for_external_event("never")

    driver = Driver(orchestrator)
    driver.turn()
    evicted(driver)


def test_a_generator_orchestrator_runs_its_finally() -> None:
    seen: list[str] = []

    def orchestrator(ctx: Any) -> Any:
        try:
            yield ctx.wait_for_external_event("never")
        finally:
            seen.append("finally")

    evicted(parked(orchestrator))
    assert seen == ["finally"]


def test_failures_that_nobody_has_seen_are_not_reported() -> None:
    async def orchestrator(ctx: Any) -> None:
        async def broken() -> None:
            raise ValueError

        tasks = [asyncio.create_task(broken()) for _ in range(3)]
        await ctx.wait_for_external_event("never")
        await asyncio.gather(*tasks)

    evicted(parked(orchestrator))


def test_an_instance_that_never_began_or_has_ended() -> None:
    async def orchestrator(ctx: Any) -> None:
        asyncio.get_running_loop().create_task(background(ctx))

    async def background(ctx: Any) -> None:
        await ctx.call_activity("a", 1)

    driver = Driver(orchestrator)
    assert Driver(orchestrator).live.evict()
    driver.turn()
    assert driver.live.outcome is not None
    evicted(driver)


def test_an_instance_that_went_astray() -> None:
    async def orchestrator(ctx: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.call_activity("a", 1))
            group.create_task(asyncio.to_thread(print))

    driver = Driver(orchestrator)
    with pytest.raises(DeterminismError):
        driver.turn()
    assert driver.live.evict()


def test_what_runs_while_it_is_unwound_records_nothing() -> None:
    async def orchestrator(ctx: Any) -> None:
        try:
            await ctx.wait_for_external_event("never")
        finally:
            ctx.send_event("other", "gone")
            ctx.set_custom_status("gone")
            ctx.call_sub_orchestrator("child")
            ctx.create_timer(1)
            ctx.call_activity("a", 1)
            asyncio.get_running_loop().call_later(5, print, "never")

    driver = parked(orchestrator)
    evicted(driver)
    assert commands(driver.history) == []


def test_ten_thousand_parked_instances_are_small() -> None:
    async def orchestrator(ctx: Any) -> None:
        await ctx.call_activity("a", 1)
        await ctx.wait_for_external_event("approved")

    code = program(orchestrator)
    started = ExecutionStarted("orchestrator", None, None)

    def park(number: int) -> Orchestration:
        instance = Orchestration(f"instance-{number}", 1, started, code)
        instance.replay([started])
        instance.turn(START_US)
        return instance

    park(-1).evict()
    gc.collect()
    tracemalloc.start()
    try:
        instances = [park(number) for number in range(PARKED)]
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    for instance in instances:
        assert instance.evict()
    assert used / PARKED < BYTES_PER_INSTANCE
    print(f"{used / PARKED:.0f} bytes an instance")
