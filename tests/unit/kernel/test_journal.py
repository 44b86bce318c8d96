"""The journal: what a mismatch looks like, and what is accepted as the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from durable_async.errors import DeterminismError, NonDeterminismError
from durable_async.model.history import (
    ActivityCancelRequested,
    ActivityScheduled,
    TimerCancelled,
    TimerCreated,
)

from .driver import START_US, Driver, commands


def replay(recorded: Driver, function: Callable[..., Any]) -> None:
    """Replay a history with other code."""
    instance = Driver(function).fresh()
    try:
        instance.replay(recorded.history)
    finally:
        assert instance.evict()


def recorded(function: Callable[..., Any]) -> Driver:
    driver = Driver(function, activities={"a": lambda x: x, "b": lambda x: x})
    driver.run()
    driver.live.evict()
    return driver


async def original(ctx: Any) -> None:
    await ctx.call_activity("a", {"card": 7})
    await ctx.call_activity("b", 2)


async def other_input(ctx: Any) -> None:
    await ctx.call_activity("a", {"card": 8})


async def other_name(ctx: Any) -> None:
    await ctx.call_activity("a", {"card": 7})
    await ctx.call_activity("c", 2)


async def one_more(ctx: Any) -> None:
    await ctx.call_activity("a", {"card": 7})
    await asyncio.gather(ctx.call_activity("b", 2), ctx.call_activity("extra", 3))


async def one_less(ctx: Any) -> None:
    await ctx.call_activity("a", {"card": 7})
    await ctx.wait_for_external_event("go")


async def ended_early(ctx: Any) -> None:
    await ctx.call_activity("a", {"card": 7})


async def failed(ctx: Any) -> None:
    await original(ctx)
    raise ValueError


@pytest.mark.parametrize(
    ("function", "history", "code", "line"),
    [
        (
            other_input,
            "ActivityScheduled(seq=1, name='a', input={\"card\":7})",
            "ActivityScheduled(seq=1, name='a', input={\"card\":8})",
            1,
        ),
        (
            other_name,
            "ActivityScheduled(seq=2, name='b', input=2)",
            "ActivityScheduled(seq=2, name='c', input=2)",
            2,
        ),
        (one_more, "nothing more", "ActivityScheduled(seq=3, name='extra', input=3)", 2),
        (one_less, "ActivityScheduled(seq=2, name='b', input=2)", "nothing more", 2),
    ],
)
def test_both_sides_and_the_line_are_shown(
    function: Callable[..., Any], history: str, code: str, line: int
) -> None:
    with pytest.raises(NonDeterminismError) as caught:
        replay(recorded(original), function)
    text = str(caught.value)
    assert f"history: {history}\n" in text
    assert f"code:    {code}\n" in text
    assert f"{__file__}:{function.__code__.co_firstlineno + line}" in text
    assert "recorded by Python 3." in text


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (ended_early, ("history: ActivityScheduled(seq=2", "code:    nothing more")),
        (failed, ("history: ExecutionCompleted", "code:    ExecutionFailed")),
    ],
)
def test_another_ending_is_noticed(function: Callable[..., Any], words: tuple[str, ...]) -> None:
    with pytest.raises(NonDeterminismError) as caught:
        replay(recorded(original), function)
    assert all(word in str(caught.value) for word in words)


def test_an_ending_that_history_does_not_have_is_noticed() -> None:
    driver = Driver(original, activities={"a": lambda x: x})
    driver.turn()
    driver.turn()
    driver.history = driver.history[:-1]  # as if the code had waited for something unrecorded

    async def ends(ctx: Any) -> None:
        await ctx.call_activity("a", {"card": 7})

    with pytest.raises(NonDeterminismError, match="code:    ExecutionCompleted"):
        replay(driver, ends)
    driver.live.evict()


def test_a_mismatch_that_the_code_swallows_still_abandons_the_turn() -> None:
    async def swallowing(ctx: Any) -> None:
        try:
            await ctx.call_activity("changed", 1)
        except BaseException:  # noqa: BLE001 - as users do
            await ctx.call_activity("a", {"card": 7})

    with pytest.raises(NonDeterminismError, match="changed"):
        replay(recorded(original), swallowing)


def test_a_mismatch_inside_a_cancelled_group_is_found() -> None:
    def program(cleanup: str) -> Callable[..., Any]:
        async def child(ctx: Any) -> None:
            try:
                await ctx.wait_for_external_event("never")
            finally:
                await ctx.call_activity(cleanup, 1)

        async def orchestrator(ctx: Any) -> None:
            try:
                async with asyncio.timeout(1), asyncio.TaskGroup() as group:
                    group.create_task(child(ctx))
                    group.create_task(child(ctx))
            except* DeterminismError:
                pass
            except* TimeoutError:
                pass

        return orchestrator

    with pytest.raises(NonDeterminismError, match="name='b'"):
        replay(recorded(program("a")), program("b"))


# -- what counts as the same


def test_another_order_within_a_window_is_accepted_and_results_meet_their_calls() -> None:
    async def forwards(ctx: Any) -> Any:
        calls = {n: ctx.call_activity("a", n) for n in (1, 2, 3)}
        return [await call for call in calls.values()]

    async def backwards(ctx: Any) -> Any:
        calls = {n: ctx.call_activity("a", n) for n in (3, 2, 1)}
        return [await calls[n] for n in (1, 2, 3)]

    replay(recorded(forwards), backwards)


def test_another_order_across_windows_is_not() -> None:
    async def forwards(ctx: Any) -> None:
        await ctx.call_activity("a", 1)
        await ctx.call_activity("b", 1)

    async def backwards(ctx: Any) -> None:
        await ctx.call_activity("b", 1)
        await ctx.call_activity("a", 1)

    with pytest.raises(NonDeterminismError):
        replay(recorded(forwards), backwards)


def test_a_late_command_gets_a_number_above_all_that_were_recorded() -> None:
    async def orchestrator(ctx: Any, n: int) -> None:
        await asyncio.gather(*(ctx.call_activity("a", m) for m in range(n)))
        await ctx.call_activity("last", 1)

    driver = Driver(orchestrator, 5, activities={"a": lambda x: x})
    driver.turn()
    driver.live.evict()
    mailed, driver.live = driver.live.mailbox, driver.replayed()
    driver.live.mailbox = mailed
    driver.turn()
    assert commands(driver.history)[-1] == ActivityScheduled(6, "last", b"1")
    driver.live.evict()


def test_timers_for_the_same_moment_may_trade_numbers() -> None:
    def program(order: Callable[[list[Any]], Any]) -> Callable[..., Any]:
        async def orchestrator(ctx: Any) -> Any:
            timers = {n: asyncio.ensure_future(asyncio.sleep(5, n)) for n in order([1, 2, 3])}
            await asyncio.sleep(0)
            explicit = {n: ctx.create_timer(9) for n in timers}
            await ctx.call_activity("a", 1)
            timers[2].cancel()
            explicit[3].cancel()
            await asyncio.sleep(0)
            await ctx.call_activity("b", 1)
            return await timers[1], await timers[3], await explicit[1], await explicit[2]

        return orchestrator

    replay(recorded(program(list)), program(lambda numbers: [2, 3, 1]))


def test_timers_for_other_moments_may_not() -> None:
    def program(cancelled: int) -> Callable[..., Any]:
        async def orchestrator(ctx: Any) -> None:
            timers = [ctx.create_timer(5), ctx.create_timer(6)]
            timers[cancelled].cancel()
            await ctx.call_activity("a", 1)

        return orchestrator

    with pytest.raises(NonDeterminismError) as caught:
        replay(recorded(program(0)), program(1))
    assert "history: TimerCancelled(seq=1)\n  code:    TimerCancelled(seq=2)" in str(caught.value)


def test_a_cancelled_call_leaves_its_request() -> None:
    async def orchestrator(ctx: Any) -> None:
        call, timer, event = (
            ctx.call_activity("slow", 1),
            ctx.create_timer(5),
            ctx.wait_for_external_event("go"),
        )
        for future in (call, timer, event):
            assert future.cancel()
            assert not future.cancel()
        await ctx.call_activity("a", 1)

    driver = recorded(orchestrator)
    assert [c for c in commands(driver.history) if "a" not in str(getattr(c, "name", ""))][1:] == [
        TimerCreated(2, START_US + 5_000_000),
        ActivityCancelRequested(1),
        TimerCancelled(2),
    ]
    replay(driver, orchestrator)


def test_a_large_fan_out_replays_in_linear_time() -> None:
    """Count looks instead of seconds: each event is looked at a few times, however many there are."""
    looks = 0

    class Counting(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            nonlocal looks
            looks += 1 if isinstance(index, int) else len(range(*index.indices(len(self))))
            return super().__getitem__(index)

    async def orchestrator(ctx: Any) -> None:
        await asyncio.gather(*(ctx.call_activity("a", n) for n in range(2_000)))

    driver = recorded(orchestrator)
    instance = driver.fresh()
    instance.replay(Counting(driver.history))
    assert instance.outcome == driver.live.outcome
    assert looks <= 6 * len(driver.history)
    instance.evict()
