"""What of anyio an orchestrator may use: one small program a row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import TaskStatus
from rows_asyncio import fail, shown, work

from durable_async.errors import ActivityFailedError

Row = Callable[[Any], Awaitable[Any]]

ROWS: dict[str, Row] = {}


def row(name: str) -> Callable[[Row], Row]:
    def register(program: Row) -> Row:
        ROWS[f"anyio: {name}"] = program
        return program

    return register


async def stubborn(ctx: Any, n: Any) -> None:
    """Work for ever; when cancelled, clean up durably behind a shield."""
    try:
        await work(ctx, n, 1_000)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await work(ctx, ["clean", n])
        raise


@row("task group")
async def task_group(ctx: Any) -> Any:
    async with anyio.create_task_group() as group:
        for n in range(6):
            group.start_soon(work, ctx, n, n)
    return await work(ctx, "after")


@row("task group, a failing child")
async def task_group_failing(ctx: Any) -> Any:
    caught = []
    try:
        async with anyio.create_task_group() as group:
            for n in range(12):
                group.start_soon(stubborn, ctx, n)
            group.start_soon(fail, ctx, 0)
    except* ActivityFailedError as errors:
        caught += [shown(error) for error in errors.exceptions]
    return await work(ctx, caught)


@row("task group, cancelled")
async def task_group_cancelled(ctx: Any) -> Any:
    async with anyio.create_task_group() as group:
        for n in range(12):
            group.start_soon(stubborn, ctx, n)
        await work(ctx, "a while")
        group.cancel_scope.cancel()
    return await work(ctx, "after")


@row("nested cancel scopes")
async def nested_scopes(ctx: Any) -> Any:
    async def inside(n: int) -> None:
        with anyio.CancelScope():
            async with anyio.create_task_group() as group:
                for m in range(3):
                    group.start_soon(stubborn, ctx, [n, m])

    with anyio.CancelScope() as whole:
        async with anyio.create_task_group() as group:
            for n in range(4):
                group.start_soon(inside, n)
            await work(ctx, "a while")
            whole.cancel()
    assert whole.cancelled_caught
    return await work(ctx, "after")


@row("move_on_after")
async def move_on_after(ctx: Any) -> Any:
    with anyio.move_on_after(2) as early:
        await ctx.wait_for_external_event("never")
    with anyio.move_on_after(1e6) as never:
        await work(ctx, 1)
    with anyio.move_on_after(3) as outer, anyio.move_on_after(9):
        await anyio.sleep(50)
    assert [s.cancelled_caught for s in (early, never, outer)] == [True, False, True]
    return await work(ctx, "after")


@row("fail_after")
async def fail_after(ctx: Any) -> Any:
    try:
        with anyio.fail_after(2):
            await anyio.sleep_forever()
    except TimeoutError:
        return await work(ctx, "late")


@row("shielded scope")
async def shielded(ctx: Any) -> Any:
    with anyio.move_on_after(0.5) as scope:
        with anyio.CancelScope(shield=True):
            await ctx.create_timer(5)
            await work(ctx, "shielded", 3)
        await work(ctx, "never")
    assert scope.cancelled_caught
    return await work(ctx, "after")


@row("sleep, sleep_until, current_time, checkpoint")
async def sleep(ctx: Any) -> Any:
    began = anyio.current_time()
    await anyio.sleep(1)
    await anyio.sleep_until(began + 10)
    await anyio.lowlevel.checkpoint()
    assert anyio.current_time() >= began + 10
    return await work(ctx, "after")


@row("Event")
async def event(ctx: Any) -> Any:
    go = anyio.Event()
    order: list[int] = []

    async def wait(n: int) -> None:
        await go.wait()
        order.append(await work(ctx, n))

    async with anyio.create_task_group() as group:
        for n in range(4):
            group.start_soon(wait, n)
        await ctx.wait_for_external_event("x")
        go.set()
    return order


def lock_row(name: str, make: Callable[[], Any], most: int) -> None:
    @row(name)
    async def lock_program(ctx: Any) -> Any:
        lock = make()
        inside: list[int] = []
        order: list[int] = []

        async def one(n: int) -> None:
            async with lock:
                inside.append(n)
                assert len(inside) <= most
                order.append(await work(ctx, n, 2))
                inside.remove(n)

        async with anyio.create_task_group() as group:
            for n in range(6):
                group.start_soon(one, n)
        assert sorted(order) == list(range(6))
        return order


lock_row("Lock", anyio.Lock, 1)
lock_row("Semaphore", lambda: anyio.Semaphore(2), 2)
lock_row("CapacityLimiter", lambda: anyio.CapacityLimiter(3), 3)


@row("Condition")
async def condition(ctx: Any) -> Any:
    ready = anyio.Condition()
    order: list[int] = []

    async def wait(n: int) -> None:
        async with ready:
            await ready.wait()
            order.append(await work(ctx, n))

    async with anyio.create_task_group() as group:
        for n in range(4):
            group.start_soon(wait, n)
        await anyio.sleep(1)
        async with ready:
            ready.notify(2)
        await anyio.sleep(1)
        async with ready:
            ready.notify_all()
    assert len(order) == 4
    return order


@row("memory object streams")
async def streams(ctx: Any) -> Any:
    send, receive = anyio.create_memory_object_stream[int](2)
    taken: list[Any] = []

    async def consume(me: int, mine: Any) -> None:
        async with mine:
            async for item in mine:
                taken.append(await work(ctx, [me, item]))  # noqa: PERF401

    async with anyio.create_task_group() as group:
        for n in range(3):
            group.start_soon(consume, n, receive.clone())
        receive.close()
        async with send:
            for item in range(8):
                await send.send(item)
    assert sorted(item for _, item in taken) == list(range(8))
    return taken


@row("task_group.start")
async def start(ctx: Any) -> Any:
    async def serve(n: int, *, task_status: TaskStatus[Any]) -> None:
        await work(ctx, ["starting", n])
        task_status.started(n * 10)
        await stubborn(ctx, n)

    async with anyio.create_task_group() as group:
        values = [await group.start(serve, n) for n in range(4)]
        group.cancel_scope.cancel()
    assert values == [0, 10, 20, 30]
    return values
