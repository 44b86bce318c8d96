"""The deterministic loop: what it refuses, how it comes to rest, and how it steps aside for the outer loop."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from durable_async._kernel.loop import CALLBACKS_PER_DRAIN_MAX, NEVER_SECONDS
from durable_async.errors import (
    ForbiddenOperationError,
    StalledOrchestrationError,
    TurnBudgetError,
)
from durable_async.model.history import (
    ActivityScheduled,
    ExecutionCompleted,
    ExecutionFailed,
    TimerCreated,
)

from .driver import START_US, Driver, commands


@pytest.fixture(params=["no loop", "task", "callback"])
def outer(request: pytest.FixtureRequest) -> Callable[[Callable[[], Any]], Any]:
    """Run some code without a loop, in a task, or in a callback of a running loop."""

    def run(work: Callable[[], Any]) -> Any:
        async def main() -> Any:
            if request.param == "task":
                return work()
            done = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(lambda: done.set_result(work()))
            return await done

        return work() if request.param == "no loop" else asyncio.run(main())

    return run


# -- what is refused

REFUSED: dict[str, Callable[[Any], Any]] = {
    "run_in_executor": lambda ctx: asyncio.to_thread(print),
    "create_connection": lambda ctx: asyncio.open_connection("localhost", 1),
    "create_server": lambda ctx: asyncio.start_server(print, "localhost", 1),
    "subprocess_exec": lambda ctx: asyncio.create_subprocess_exec("true"),
    "subprocess_shell": lambda ctx: asyncio.create_subprocess_shell("true"),
    "getaddrinfo": lambda ctx: asyncio.get_running_loop().getaddrinfo("localhost", 1),
    "add_reader": lambda ctx: asyncio.get_running_loop().add_reader(0, print),
    "add_signal_handler": lambda ctx: asyncio.get_running_loop().add_signal_handler(2, print),
    "sock_recv": lambda ctx: asyncio.get_running_loop().sock_recv(None, 1),
    "call_soon_threadsafe": lambda ctx: asyncio.get_running_loop().call_soon_threadsafe(print),
    "stop": lambda ctx: asyncio.get_running_loop().stop(),
    "close": lambda ctx: asyncio.get_running_loop().close(),
    "set_task_factory": lambda ctx: asyncio.get_running_loop().set_task_factory(None),
    "run_until_complete": lambda ctx: asyncio.get_running_loop().run_until_complete(None),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("swallowed", [False, True], ids=["raised", "swallowed"])
def test_what_reaches_outside_is_refused_by_name(name: str, swallowed: bool) -> None:
    async def orchestrator(ctx: Any) -> Any:
        try:
            await REFUSED[name](ctx)
        except BaseException:
            if not swallowed:
                raise
        return await ctx.call_activity("a", 1)

    driver = Driver(orchestrator)
    with pytest.raises(ForbiddenOperationError, match=f"^{name} is not possible") as caught:
        driver.turn()
    assert caught.value.operation == name
    assert caught.value.instead
    assert f"{__file__}:" in str(caught.value)
    assert commands(driver.history) == []
    assert driver.live.evict()


def test_what_is_refused_in_a_task_group_is_found() -> None:
    async def orchestrator(ctx: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.call_activity("a", 1))
            group.create_task(asyncio.to_thread(print))

    with pytest.raises(ForbiddenOperationError, match="run_in_executor"):
        Driver(orchestrator).turn()


def test_a_future_of_the_outer_loop_is_named() -> None:
    async def main() -> None:
        foreign = asyncio.get_running_loop().create_future()

        async def orchestrator(ctx: Any) -> None:
            await foreign

        driver = Driver(orchestrator)
        with pytest.raises(ForbiddenOperationError, match="attached to a different loop") as caught:
            driver.turn()
        assert "Future pending" in str(caught.value)
        assert "ctx.call_activity" in str(caught.value)
        driver.live.evict()

    asyncio.run(main())


def test_a_lock_of_the_outer_loop_is_named() -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        await lock.acquire()
        waiter = asyncio.ensure_future(lock.acquire())
        await asyncio.sleep(0)

        async def orchestrator(ctx: Any) -> None:
            async with lock:
                pass

        with pytest.raises(ForbiddenOperationError, match="bound to a different event loop"):
            Driver(orchestrator).turn()
        waiter.cancel()

    asyncio.run(main())


def test_a_foreign_error_inside_a_group_or_a_cause_is_found() -> None:
    async def main() -> None:
        foreign = asyncio.get_running_loop().create_future()

        async def grouped(ctx: Any) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: asyncio.wait_for(foreign, 1))

        async def caused(ctx: Any) -> None:
            try:
                await foreign
            except RuntimeError as error:
                raise ValueError("mine") from error

        for orchestrator in (grouped, caused):
            with pytest.raises(ForbiddenOperationError, match="not durable"):
                Driver(orchestrator).turn()

    asyncio.run(main())


def test_nobody_reaches_in_from_outside() -> None:
    inner: list[asyncio.Future[None]] = []

    async def orchestrator(ctx: Any) -> None:
        inner.append(asyncio.get_running_loop().create_future())
        await asyncio.wait([inner[0], ctx.call_activity("a", 1)])

    driver = Driver(orchestrator)
    driver.turn()
    with pytest.raises(ForbiddenOperationError, match="external event"):
        inner[0].set_result(None)
    assert driver.live.evict()


# -- coming to rest


def test_code_that_never_rests_is_stopped_and_its_place_is_named() -> None:
    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    async def orchestrator(ctx: Any) -> None:
        await spin()

    driver = Driver(orchestrator)
    with pytest.raises(TurnBudgetError) as caught:
        driver.turn()
    assert f"{CALLBACKS_PER_DRAIN_MAX:,} callbacks" in str(caught.value)
    assert f"{__file__}:{spin.__code__.co_firstlineno + 2} in spin" in caught.value.where
    assert driver.live.evict()


def test_the_budget_is_for_each_input() -> None:
    async def orchestrator(ctx: Any) -> None:
        for _ in range(3):
            for _ in range(CALLBACKS_PER_DRAIN_MAX // 2):
                await asyncio.sleep(0)
            await ctx.call_activity("a", 1)

    assert isinstance(Driver(orchestrator, activities={"a": lambda x: x}).run(), ExecutionCompleted)


def test_code_that_waits_for_nothing_durable_is_stalled_and_its_places_are_named() -> None:
    async def wait(never: asyncio.Event) -> None:
        await never.wait()

    async def orchestrator(ctx: Any) -> None:
        await ctx.call_activity("a", 1)
        never = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(wait(never), name="my task")

    driver = Driver(orchestrator, activities={"a": lambda x: x})
    driver.turn()
    with pytest.raises(StalledOrchestrationError) as caught:
        driver.turn()
    assert f"my task: {__file__}:{wait.__code__.co_firstlineno + 1} in wait" in caught.value.where
    assert driver.live.evict()


def test_a_generator_that_is_stalled_is_named_by_its_own_line() -> None:
    def part() -> Any:
        yield asyncio.Event().wait()

    def orchestrator(ctx: Any) -> Any:
        yield from part()

    with pytest.raises(StalledOrchestrationError) as caught:
        Driver(orchestrator).turn()
    assert f"{__file__}:{part.__code__.co_firstlineno + 1} in part" in caught.value.where


def test_waiting_for_an_event_is_not_a_stall() -> None:
    async def orchestrator(ctx: Any) -> None:
        await ctx.wait_for_external_event("go")

    driver = Driver(orchestrator)
    assert driver.run() is None
    assert driver.live.wake_at_us is None
    driver.live.evict()


@pytest.mark.parametrize("seconds", [float("inf"), NEVER_SECONDS, sys.maxsize])
def test_what_never_ends_is_not_recorded(seconds: float) -> None:
    async def orchestrator(ctx: Any) -> str:
        for wait in (asyncio.sleep, anyio.sleep):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await wait(seconds)
        return "done"

    driver = Driver(orchestrator)
    assert driver.run() == ExecutionCompleted(b'"done"')
    assert [type(command) for command in commands(driver.history)].count(TimerCreated) == 2


def test_timers_for_now_or_before_run_in_the_turn_unrecorded() -> None:
    async def orchestrator(ctx: Any) -> str:
        loop = asyncio.get_running_loop()
        order: list[int] = []
        loop.call_later(-5, order.append, 1)
        loop.call_at(0, order.append, 2)
        loop.call_soon(order.append, 3)
        await asyncio.sleep(0)
        return str(order)

    driver = Driver(orchestrator)
    assert driver.run() == ExecutionCompleted(b'"[1, 2, 3]"')
    assert commands(driver.history) == []


def test_time_is_never_before_the_moment_of_a_timer_that_fired() -> None:
    async def orchestrator(ctx: Any) -> bool:
        loop = asyncio.get_running_loop()
        when = loop.time() + 0.123456789
        reached = loop.create_future()
        loop.call_at(when, reached.set_result, None)
        await reached
        return loop.time() >= when

    assert Driver(orchestrator).run() == ExecutionCompleted(b"true")


def test_system_exit_is_the_outcome_of_the_code_and_stops_nobody_else() -> None:
    async def orchestrator(ctx: Any) -> None:
        await ctx.call_activity("a", 1)
        sys.exit(3)

    outcome = Driver(orchestrator, activities={"a": lambda x: x}).run()
    assert isinstance(outcome, ExecutionFailed)
    assert outcome.failure.error_type == "builtins.SystemExit"


# -- the outer loop


def test_the_outer_loop_is_as_it_was(outer: Callable[[Callable[[], Any]], Any]) -> None:
    async def orchestrator(ctx: Any) -> str:
        async def numbers() -> Any:
            yield await ctx.call_activity("a", 1)

        async for _ in numbers():
            break
        task = asyncio.current_task()
        assert task is not None
        return task.get_name()

    def work() -> None:
        before = state()
        driver = Driver(orchestrator, activities={"a": lambda x: x})
        assert driver.run() == ExecutionCompleted(b'"test"')
        driver.replayed().evict()
        driver.live.evict()
        assert state() == before

    def state() -> Any:
        loop = asyncio._get_running_loop()
        return loop, loop and asyncio.current_task(loop), sys.get_asyncgen_hooks()

    outer(work)


def test_a_keyboard_interrupt_gives_the_outer_loop_back(
    outer: Callable[[Callable[[], Any]], Any],
) -> None:
    async def orchestrator(ctx: Any) -> None:
        await ctx.call_activity("a", 1)
        raise KeyboardInterrupt

    def work() -> None:
        loop = asyncio._get_running_loop()
        before = loop, loop and asyncio.current_task(loop)
        driver = Driver(orchestrator, activities={"a": lambda x: x})
        driver.turn()
        with pytest.raises(KeyboardInterrupt):
            driver.turn()
        assert (asyncio._get_running_loop(), loop and asyncio.current_task(loop)) == before
        assert driver.live.evict()

    outer(work)


def test_context_variables_of_the_worker_are_not_seen() -> None:
    import contextvars

    mine: contextvars.ContextVar[str] = contextvars.ContextVar("mine", default="unset")
    mine.set("the worker's")

    async def orchestrator(ctx: Any) -> str:
        before = mine.get()
        mine.set("the orchestrator's")
        await ctx.call_activity("a", 1)
        return f"{before}, {mine.get()}"

    outcome = Driver(orchestrator, activities={"a": lambda x: x}).run()
    assert outcome == ExecutionCompleted(b'"unset, the orchestrator\'s"')
    assert mine.get() == "the worker's"


def test_tasks_are_named_alike_in_every_process() -> None:
    async def orchestrator(ctx: Any) -> list[str]:
        tasks = [asyncio.create_task(ctx.call_activity("a", n)) for n in range(2)]
        return [task.get_name() for task in tasks]

    assert Driver(orchestrator).run() == ExecutionCompleted(b'["test#3","test#5"]')


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_eager_tasks_work() -> None:
    async def orchestrator(ctx: Any) -> Any:
        async def child() -> Any:
            return await ctx.call_activity("a", 1)

        task = asyncio.Task(child(), loop=asyncio.get_running_loop(), eager_start=True)
        return await task

    driver = Driver(orchestrator, activities={"a": lambda x: x})
    assert driver.run() == ExecutionCompleted(b"1")
    driver.replayed()


def test_an_accident_in_a_callback_is_logged_once_and_not_in_replays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def orchestrator(ctx: Any) -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await ctx.call_activity("a", 1)

    driver = Driver(orchestrator)
    with caplog.at_level(logging.ERROR):
        driver.turn()
        assert "ZeroDivisionError" in caplog.text
        assert "orchestration test" in caplog.text
        caplog.clear()
        driver.replayed().evict()
        assert caplog.text == ""
    driver.live.evict()


def test_a_task_group_that_has_ended_takes_no_durable_call() -> None:
    async def orchestrator(ctx: Any) -> str:
        async with asyncio.TaskGroup() as group:
            pass
        call = ctx.call_activity("a", 1)
        try:
            group.create_task(call)
        except RuntimeError as error:
            return str(error)[:9]
        return "taken"

    driver = Driver(orchestrator)
    assert driver.run() == ExecutionCompleted(b'"TaskGroup"')
    assert commands(driver.history) == [ActivityScheduled(1, "a", b"1")]
    assert driver.now_us == START_US
