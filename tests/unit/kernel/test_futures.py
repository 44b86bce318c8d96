"""Durable futures: what asyncio takes them for, and `when_all` and `when_any`."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from durable_async._kernel.futures import DurableFuture, when_all, when_any
from durable_async.errors import ActivityFailedError, OutsideOrchestrationError, ValidationError
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    ExecutionCompleted,
)

from .driver import Driver
from .test_orchestration import failed


def finish(function: Any, *letters: Any) -> Any:
    driver = Driver(function)
    driver.turn()
    for letter in letters:
        driver.answer(letter)
        driver.turn()
    driver.replayed()
    return driver.live.outcome


def test_it_is_a_future_and_no_coroutine() -> None:
    async def orchestrator(ctx: Any) -> Any:
        call = ctx.call_activity("a", 1)
        assert isinstance(call, DurableFuture)
        return [asyncio.isfuture(call), asyncio.iscoroutine(call), inspect.isawaitable(call)]

    assert finish(orchestrator) == ExecutionCompleted(b"[true,false,true]")


def test_sets_of_futures_iterate_alike_in_every_run() -> None:
    async def orchestrator(ctx: Any) -> Any:
        calls = [ctx.call_activity("a", n) for n in range(50)]
        return [calls.index(call) for call in set(calls)]

    one, two = finish(orchestrator), finish(orchestrator)
    assert one == two


def test_when_all_lets_the_others_finish_and_raises_the_first_failure() -> None:
    async def orchestrator(ctx: Any) -> Any:
        calls = [ctx.call_activity("a", n) for n in range(3)]
        try:
            return await when_all(calls)
        except ActivityFailedError as error:
            return [error.failure.message, [call.done() for call in calls]]

    driver = Driver(orchestrator)
    driver.turn()
    driver.answer(ActivityFailed(2, 1, failed("first")))
    driver.turn()
    assert driver.live.outcome is None
    driver.answer(ActivityFailed(1, 1, failed("second")))
    driver.answer(ActivityCompleted(3, b"3"))
    driver.turn()
    assert driver.live.outcome == ExecutionCompleted(b'["first",[true,true,true]]')


def test_when_all_keeps_the_order_takes_doubles_and_nothing() -> None:
    async def orchestrator(ctx: Any) -> Any:
        one, two = ctx.call_activity("a", 1), ctx.call_activity("a", 2)
        return [await when_all([]), await when_all([two, one, two])]

    letters = ActivityCompleted(1, b"1"), ActivityCompleted(2, b"2")
    assert finish(orchestrator, *letters) == ExecutionCompleted(b"[[],[2,1,2]]")


def test_when_all_of_something_cancelled_is_cancelled() -> None:
    async def orchestrator(ctx: Any) -> Any:
        one, two = ctx.call_activity("a", 1), ctx.create_timer(5)
        two.cancel()
        try:
            await when_all([one, two])
        except asyncio.CancelledError:
            return "cancelled"

    assert finish(orchestrator, ActivityCompleted(1, b"1")) == ExecutionCompleted(b'"cancelled"')


def test_when_any_gives_the_future_itself_and_a_failure_does_not_raise() -> None:
    async def orchestrator(ctx: Any) -> Any:
        calls = [ctx.call_activity("a", n) for n in range(3)]
        first = await when_any(calls)
        second = await when_any([call for call in calls if call is not first])
        return [calls.index(first), str(first.exception())[-3:], calls.index(second)]

    letters = ActivityFailed(2, 1, failed("bad")), ActivityCompleted(3, b"3")
    assert finish(orchestrator, *letters) == ExecutionCompleted(b'[1,"bad",2]')


def test_when_any_of_what_is_done_already_gives_the_first_listed() -> None:
    async def orchestrator(ctx: Any) -> Any:
        timers = [ctx.create_timer(0) for _ in range(3)]
        return timers.index(await when_any(list(reversed(timers))))

    assert finish(orchestrator) == ExecutionCompleted(b"2")


def test_when_any_needs_something_to_wait_for() -> None:
    with pytest.raises(ValidationError, match="nothing to wait for"):
        when_any([])


async def test_they_are_for_orchestrators() -> None:
    with pytest.raises(OutsideOrchestrationError, match="when_all"):
        when_all([])
    with pytest.raises(OutsideOrchestrationError, match="when_any"):
        when_any([asyncio.get_running_loop().create_future()])


def test_cancelling_resolves_at_once() -> None:
    async def orchestrator(ctx: Any) -> Any:
        call = ctx.call_activity("a", 1)
        waiter = asyncio.ensure_future(asyncio.wait([call]))
        await asyncio.sleep(0)
        call.cancel("enough")
        done, _ = await waiter
        try:
            await call
        except asyncio.CancelledError as error:
            return [len(done), str(error)]

    assert finish(orchestrator) == ExecutionCompleted(b'[1,"enough"]')
