"""What of asyncio an orchestrator may use: one small program a row.

Each asserts what plain asyncio would give, and calls activities at every turning point, so that another order of things would
be another history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from durable_async.errors import ActivityFailedError

Row = Callable[[Any], Awaitable[Any]]

ROWS: dict[str, Row] = {}
BROKEN = "broken"  # the name of an activity that fails


def row(name: str) -> Callable[[Row], Row]:
    def register(program: Row) -> Row:
        ROWS[name] = program
        return program

    return register


async def work(ctx: Any, value: Any, times: int = 1) -> Any:
    """Run an activity a few times in a row."""
    for _ in range(times):
        await ctx.call_activity("ok", value)
    return value


async def fail(ctx: Any, value: Any) -> Any:
    await ctx.call_activity(BROKEN, value)


def workers(ctx: Any, count: int, times: int = 1) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(work(ctx, number, times)) for number in range(count)]


def shown(outcome: Any) -> str:
    return type(outcome).__name__ if isinstance(outcome, BaseException) else repr(outcome)


# -- gather, wait, as_completed


@row("gather")
async def gather(ctx: Any) -> Any:
    values = await asyncio.gather(*(work(ctx, n, n) for n in range(6)), ctx.call_activity("ok", 9))
    assert values == [0, 1, 2, 3, 4, 5, ["ok", 9]]
    return values


@row("gather, a failure")
async def gather_failing(ctx: Any) -> Any:
    others = workers(ctx, 4, 2)
    try:
        await asyncio.gather(*others, fail(ctx, 1))
    except ActivityFailedError as error:
        await work(ctx, shown(error))
    return await asyncio.gather(*others)


@row("gather, return_exceptions")
async def gather_exceptions(ctx: Any) -> Any:
    outcomes = await asyncio.gather(work(ctx, 1), fail(ctx, 2), return_exceptions=True)
    assert [shown(outcome) for outcome in outcomes] == ["1", "ActivityFailedError"]
    return await work(ctx, "after")


@row("gather, cancelled")
async def gather_cancelled(ctx: Any) -> Any:
    async def stubborn(n: int) -> None:
        try:
            await work(ctx, n, 9)
        finally:
            await work(ctx, ["clean", n])

    whole = asyncio.gather(*map(stubborn, range(8)))
    await work(ctx, "a while")
    whole.cancel()
    try:
        await whole
    except asyncio.CancelledError:
        return await work(ctx, "cancelled")


@row("wait, FIRST_COMPLETED")
async def wait_first(ctx: Any) -> Any:
    pending = {ctx.call_activity("ok", n) for n in range(12)}
    order = []
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for future in done:
            order.append(await work(ctx, future.result()[1]))  # noqa: PERF401
    assert sorted(order) == list(range(12))
    return order


@row("wait, FIRST_EXCEPTION")
async def wait_exception(ctx: Any) -> Any:
    tasks = [*workers(ctx, 5, 3), asyncio.create_task(fail(ctx, 0))]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in pending:
        task.cancel()
    return [shown(task.exception() or task.result()) for task in done]


@row("wait, ALL_COMPLETED, the set in its order")
async def wait_all(ctx: Any) -> Any:
    done, _ = await asyncio.wait(workers(ctx, 20))
    return [await work(ctx, task.result()) for task in done]


@row("wait, timeout, then cancel the rest")
async def wait_timeout(ctx: Any) -> Any:
    async def slow(n: int) -> int:
        try:
            await asyncio.sleep(n)
        except asyncio.CancelledError:
            await work(ctx, ["late", n])
            raise
        return n

    done, pending = await asyncio.wait(
        [asyncio.create_task(slow(n)) for n in range(1, 9)], timeout=4.5
    )
    assert {task.result() for task in done} == {1, 2, 3, 4}
    for task in pending:
        task.cancel()
    outcomes = await asyncio.gather(*pending, return_exceptions=True)
    return [shown(outcome) for outcome in outcomes]


@row("wait, on gathers and shields")
async def wait_gathers(ctx: Any) -> Any:
    whole = [asyncio.gather(*workers(ctx, 2), return_exceptions=True) for _ in range(12)]
    shields = [asyncio.shield(task) for task in workers(ctx, 6)]
    done, _ = await asyncio.wait([*whole, *shields])
    for future in done:
        await work(ctx, [*whole, *shields].index(future))
    return len(done)


@row("as_completed, futures")
async def as_completed_futures(ctx: Any) -> Any:
    calls = [ctx.call_activity("ok", n) for n in range(9)]
    return [await work(ctx, (await one)[1]) for one in asyncio.as_completed(calls)]


@row("as_completed, coroutines")
async def as_completed_coroutines(ctx: Any) -> Any:
    steps = [work(ctx, n, 1 + n % 3) for n in range(9)]
    return [await work(ctx, await one) for one in asyncio.as_completed(steps)]


@row("as_completed, timeout")
async def as_completed_timeout(ctx: Any) -> Any:
    got = []
    try:
        for one in asyncio.as_completed([asyncio.sleep(n, n) for n in (1, 2, 3, 50)], timeout=10):
            got.append(await one)  # noqa: PERF401
    except TimeoutError:
        got.append(await work(ctx, "timeout"))
    return got


@row("a set of tasks")
async def set_of_tasks(ctx: Any) -> Any:
    tasks = set(workers(ctx, 30))
    return [await work(ctx, await task) for task in tasks]


# -- time


@row("sleep")
async def sleep(ctx: Any) -> Any:
    before = asyncio.get_running_loop().time()
    for seconds in (0, 0.001, 1, 3600):
        await asyncio.sleep(seconds)
        await work(ctx, seconds)
    assert asyncio.get_running_loop().time() >= before + 3601.001
    return await asyncio.sleep(1, "value")


@row("wait_for")
async def wait_for(ctx: Any) -> Any:
    async def forever() -> None:
        try:
            await asyncio.sleep(1e6)
        finally:
            await work(ctx, "clean-up")

    in_time = await asyncio.wait_for(work(ctx, 1), 1e6)
    future = await asyncio.wait_for(ctx.call_activity("ok", 2), 1e6)
    late = 0
    for begin in (forever, lambda: ctx.wait_for_external_event("never"), lambda: asyncio.sleep(99)):
        try:
            await asyncio.wait_for(begin(), 2)
        except TimeoutError:
            late += await work(ctx, 1)
    assert (in_time, late) == (1, 3)
    return future


@row("gather of wait_for")
async def gather_of_wait_for(ctx: Any) -> Any:
    outcomes = await asyncio.gather(
        *(asyncio.wait_for(work(ctx, n, n), 1e6) for n in range(1, 5)),
        *(asyncio.wait_for(asyncio.sleep(n), n - 1) for n in range(2, 5)),
        return_exceptions=True,
    )
    return await work(ctx, [shown(outcome) for outcome in outcomes])


@row("timeout, nested")
async def timeout_nested(ctx: Any) -> Any:
    passed = []
    for inner, outer in ((1, 5), (5, 1)):
        try:
            async with asyncio.timeout(outer):
                try:
                    async with asyncio.timeout(inner):
                        await ctx.wait_for_external_event("never")
                except TimeoutError:
                    passed.append(await work(ctx, "inner"))
        except TimeoutError:
            passed.append(await work(ctx, "outer"))
    assert passed == ["inner", "outer"]
    return passed


@row("timeout_at, rescheduled")
async def timeout_at(ctx: Any) -> Any:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout_at(loop.time() + 5) as limit:
        await asyncio.sleep(3)
        limit.reschedule(loop.time() + 50)
        await asyncio.sleep(30)
    assert not limit.expired()
    async with asyncio.timeout(None):
        return await work(ctx, limit.when())


@row("call_later, call_at, cancel")
async def call_later(ctx: Any) -> Any:
    loop = asyncio.get_running_loop()
    seen: list[str] = []
    loop.call_later(3, seen.append, "three")
    loop.call_at(loop.time() + 1, seen.append, "one")
    loop.call_later(2, seen.append, "two").cancel()
    loop.call_soon(seen.append, "soon")
    await asyncio.sleep(5)
    assert seen == ["soon", "one", "three"]
    return await work(ctx, seen)


# -- task groups, shield, cancellation


@row("TaskGroup")
async def task_group(ctx: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(ctx, n, n)) for n in range(1, 6)]
        direct = group.create_task(ctx.call_activity("ok", 9))
    return [*(task.result() for task in tasks), direct.result()]


@row("TaskGroup, a failing child, durable clean-up")
async def task_group_failing(ctx: Any) -> Any:
    async def child(n: int) -> None:
        try:
            await work(ctx, n, 20)
        except asyncio.CancelledError:
            await work(ctx, ["clean", n])
            raise

    try:
        async with asyncio.TaskGroup() as group:
            for n in range(16):
                group.create_task(child(n))
            group.create_task(fail(ctx, "it"))
    except* ActivityFailedError as errors:
        await work(ctx, [shown(error) for error in errors.exceptions])
    return await work(ctx, "after")


@row("TaskGroup, except* of two kinds")
async def task_group_kinds(ctx: Any) -> Any:
    async def wrong(error: Exception) -> None:
        await ctx.create_timer(1)
        raise error

    caught = []
    try:
        async with asyncio.TaskGroup() as group:
            for error in (KeyError("a"), ValueError("b"), KeyError("c")):
                group.create_task(wrong(error))
    except* KeyError as errors:
        caught.append(await work(ctx, len(errors.exceptions)))
    except* ValueError as errors:
        caught.append(await work(ctx, len(errors.exceptions)))
    return caught


@row("TaskGroup in a TaskGroup, cancelled by a timeout")
async def task_group_nested(ctx: Any) -> Any:
    async def inner(n: int) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for m in range(3):
                    group.create_task(work(ctx, [n, m]))
                    group.create_task(ctx.create_timer(m))
        finally:
            await work(ctx, ["end", n])

    try:
        async with asyncio.timeout(0.5), asyncio.TaskGroup() as group:
            for n in range(4):
                group.create_task(inner(n))
            await asyncio.sleep(1)
    except TimeoutError:
        return await work(ctx, "timeout")


@row("shield")
async def shield(ctx: Any) -> Any:
    inner = asyncio.create_task(work(ctx, "inner", 2))
    try:
        async with asyncio.timeout(0.001):
            await asyncio.shield(asyncio.gather(inner, ctx.wait_for_external_event("x")))
    except TimeoutError:
        await work(ctx, "left")
    return await inner


@row("cancel, before the first step and later")
async def cancel(ctx: Any) -> Any:
    ran = []

    async def child(n: int) -> None:
        ran.append(n)
        try:
            await work(ctx, n)
        except asyncio.CancelledError as error:
            await work(ctx, ["because", str(error)])
            raise

    early, late = asyncio.create_task(child(0)), asyncio.create_task(child(1))
    early.cancel("early")
    await asyncio.sleep(0)
    late.cancel("late")
    outcomes = await asyncio.gather(early, late, return_exceptions=True)
    assert (ran, [shown(o) for o in outcomes]) == ([1], ["CancelledError"] * 2)
    return await work(ctx, "after")


@row("cancel, swallowed and uncancelled")
async def uncancel(ctx: Any) -> Any:
    async def child() -> str:
        try:
            await ctx.wait_for_external_event("never")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            assert task.uncancel() == 0
        await work(ctx, "went on")
        return "done"

    task = asyncio.create_task(child())
    await work(ctx, "first")
    task.cancel()
    return await task


@row("cancel durable calls themselves")
async def cancel_futures(ctx: Any) -> Any:
    calls = [
        ctx.call_activity("ok", 1),
        ctx.create_timer(50),
        ctx.wait_for_external_event("never"),
        ctx.call_sub_orchestrator("child", 1),
    ]
    for call in reversed(calls):
        assert call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    return await work(ctx, [shown(outcome) for outcome in outcomes])


@row("all_tasks, names, current_task")
async def all_tasks(ctx: Any) -> Any:
    tasks = workers(ctx, 12)
    named = asyncio.create_task(work(ctx, "named"), name="my name")
    names = [await work(ctx, task.get_name()) for task in asyncio.all_tasks() if task is not named]
    await asyncio.gather(*tasks)
    assert await named == "named"
    return names
