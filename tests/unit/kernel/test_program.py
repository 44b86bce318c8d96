"""Programs: coroutines, generators and plain functions are begun alike."""

from __future__ import annotations

import asyncio
from typing import Any

from durable_async._kernel.futures import when_all, when_any
from durable_async.errors import ActivityFailedError
from durable_async.model.history import ExecutionCompleted, ExecutionFailed
from durable_async.model.identity import EntityId

from .driver import Driver, commands

ACTIVITIES: dict[str, Any] = {"a": lambda x: x, "broken": lambda x: 1 / 0}


def run(function: Any) -> Any:
    driver = Driver(function, activities=ACTIVITIES)
    outcome = driver.run()
    assert driver.replayed().outcome == outcome or isinstance(outcome, ExecutionFailed)
    return outcome


async def as_a_coroutine(ctx: Any) -> Any:
    try:
        await ctx.call_activity("broken", 1)
    except ActivityFailedError:
        await ctx.create_timer(5)
    return await ctx.call_activity("a", 2)


def as_a_generator(ctx: Any) -> Any:
    try:
        yield ctx.call_activity("broken", 1)
    except ActivityFailedError:
        yield ctx.create_timer(5)
    return (yield ctx.call_activity("a", 2))


def in_parts(ctx: Any) -> Any:
    def part() -> Any:
        try:
            yield ctx.call_activity("broken", 1)
        except ActivityFailedError:
            yield ctx.create_timer(5)

    yield from part()
    return (yield ctx.call_activity("a", 2))


def test_both_styles_have_the_same_history() -> None:
    histories = []
    for function in (as_a_coroutine, as_a_generator, in_parts):
        assert run(function) == ExecutionCompleted(b"2")
        driver = Driver(function, activities=ACTIVITIES)
        driver.run()
        histories.append(commands(driver.history))
    assert histories[0] == histories[1] == histories[2]


def test_a_history_of_one_style_replays_in_the_other() -> None:
    driver = Driver(as_a_generator, activities=ACTIVITIES)
    driver.run()
    other = Driver(as_a_coroutine).fresh()
    other.replay(driver.history)
    assert other.outcome == driver.live.outcome


def test_a_plain_function_may_return_at_once_or_hand_an_awaitable_on() -> None:
    assert run(lambda ctx: 7) == ExecutionCompleted(b"7")
    assert run(lambda ctx: ctx.call_activity("a", 7)) == ExecutionCompleted(b"7")


def test_a_generator_waits_for_all_and_any() -> None:
    def orchestrator(ctx: Any) -> Any:
        calls = [ctx.call_activity("a", n) for n in range(3)]
        everything = yield when_all(calls)
        event, timer = ctx.wait_for_external_event("never"), ctx.create_timer(5)
        winner = yield when_any([event, timer])
        event.cancel()
        return [everything, winner is timer]

    assert run(orchestrator) == ExecutionCompleted(b"[[0,1,2],true]")


def test_a_generator_may_yield_coroutines_and_tasks() -> None:
    def orchestrator(ctx: Any) -> Any:
        async def part() -> Any:
            return await ctx.call_activity("a", 1)

        return [(yield part()), (yield asyncio.ensure_future(part())), (yield asyncio.sleep(3, 9))]

    assert run(orchestrator) == ExecutionCompleted(b"[1,1,9]")


def test_what_cannot_be_awaited_is_thrown_back_with_advice() -> None:
    def orchestrator(ctx: Any) -> Any:
        try:
            yield [1, 2]
        except RuntimeError as error:
            return str(error)

    outcome = run(orchestrator)
    assert b"yielded [1, 2]" in outcome.result
    assert b"when_all" in outcome.result


def test_a_signal_is_not_yielded_and_the_error_says_so() -> None:
    def orchestrator(ctx: Any) -> Any:
        yield ctx.signal_entity(EntityId("counter", "a"), "add", 1)

    outcome = run(orchestrator)
    assert isinstance(outcome, ExecutionFailed)
    assert "ctx.signal_entity, is called without yield" in outcome.failure.message


def test_an_input_that_cannot_be_read_fails_the_orchestration() -> None:
    async def orchestrator(ctx: Any, value: Any) -> Any:
        return value["missing"]

    outcome = run(orchestrator)
    assert isinstance(outcome, ExecutionFailed)
    assert "test_program.py" in outcome.failure.stack_trace
