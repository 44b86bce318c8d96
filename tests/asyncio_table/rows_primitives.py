"""Queues, locks, async generators and context variables of asyncio: one small program a row."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from typing import Any

from rows_asyncio import row, shown, work

# -- queues and locks


def queue_row(name: str, kind: type[asyncio.Queue[Any]]) -> None:
    @row(name)
    async def queue_program(ctx: Any) -> Any:
        queue: asyncio.Queue[int] = kind(maxsize=3)
        taken: list[Any] = []

        async def consume(me: int) -> None:
            while True:
                item = await queue.get()
                taken.append(await work(ctx, [me, item]))
                queue.task_done()

        consumers = [asyncio.create_task(consume(n)) for n in range(3)]
        for number in (5, 3, 8, 1, 9, 2, 7):
            await queue.put(number)
        await queue.join()
        for consumer in consumers:
            consumer.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)
        assert sorted(item for _, item in taken) == [1, 2, 3, 5, 7, 8, 9]
        return taken


queue_row("Queue, join", asyncio.Queue)
queue_row("LifoQueue", asyncio.LifoQueue)
queue_row("PriorityQueue", asyncio.PriorityQueue)


@row("Queue, get under a timeout")
async def queue_timeout(ctx: Any) -> Any:
    queue: asyncio.Queue[int] = asyncio.Queue()
    got = []

    async def produce() -> None:
        for n in range(4):
            await asyncio.sleep(n)
            await queue.put(n)

    async with asyncio.TaskGroup() as group:
        group.create_task(produce())
        while len(got) < 6:
            try:
                got.append(await asyncio.wait_for(queue.get(), 1.5))
            except TimeoutError:
                got.append(await work(ctx, "empty"))
    return got


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

        tasks = [asyncio.create_task(one(n)) for n in range(7)]
        await asyncio.sleep(0)
        tasks[4].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert sorted(order) == [0, 1, 2, 3, 5, 6]
        return order


lock_row("Lock", asyncio.Lock, 1)
lock_row("Semaphore", lambda: asyncio.Semaphore(3), 3)
lock_row("BoundedSemaphore", lambda: asyncio.BoundedSemaphore(2), 2)


@row("Event")
async def event(ctx: Any) -> Any:
    go = asyncio.Event()
    order: list[int] = []

    async def wait(n: int) -> None:
        await go.wait()
        order.append(await work(ctx, n))

    async with asyncio.TaskGroup() as group:
        for n in range(5):
            group.create_task(wait(n))
        await ctx.wait_for_external_event("x")
        go.set()
    return order


@row("Condition")
async def condition(ctx: Any) -> Any:
    ready = asyncio.Condition()
    count = 0
    order: list[int] = []

    async def wait(n: int) -> None:
        async with ready:
            await ready.wait_for(lambda: count >= n)
            order.append(await work(ctx, n))

    async with asyncio.TaskGroup() as group:
        for n in (3, 1, 2):
            group.create_task(wait(n))
        for _ in range(3):
            await work(ctx, "next")
            async with ready:
                count += 1
                ready.notify_all()
    assert sorted(order) == [1, 2, 3]
    return order


@row("Condition, with a timeout")
async def condition_timeout(ctx: Any) -> Any:
    ready = asyncio.Condition()
    outcomes: list[str] = []

    async def wait(n: int) -> None:
        try:
            async with asyncio.timeout(n), ready:
                await ready.wait()
                outcomes.append(await work(ctx, f"{n} told"))
        except TimeoutError:
            outcomes.append(await work(ctx, f"{n} late"))

    async with asyncio.TaskGroup() as group:
        for n in (1, 2, 50, 60):
            group.create_task(wait(n))
        await asyncio.sleep(5)
        async with ready:
            ready.notify(1)
        await asyncio.sleep(5)
        async with ready:
            ready.notify_all()
    assert len(outcomes) == 4
    return outcomes


@row("Barrier")
async def barrier(ctx: Any) -> Any:
    gate = asyncio.Barrier(3)
    order = []

    async def come(n: int) -> None:
        await work(ctx, n, n)
        async with gate as position:
            order.append(await work(ctx, [n, position]))

    await asyncio.gather(*map(come, range(6)))
    assert sorted(position for _, position in order) == [0, 0, 1, 1, 2, 2]
    return order


# -- async generators, context variables


async def counting(ctx: Any, closed: list[Any]) -> AsyncIterator[int]:
    number = 0
    try:
        while True:
            yield await work(ctx, number)
            number += 1
    finally:
        closed.append(await work(ctx, ["closed", number]))


@row("async generator")
async def generator(ctx: Any) -> Any:
    closed: list[Any] = []
    numbers = counting(ctx, closed)
    got = [await anext(numbers), await anext(numbers)]
    await numbers.aclose()
    assert closed == [["closed", 1]]
    return got + [n async for n in few(ctx)]


async def few(ctx: Any) -> AsyncIterator[int]:
    for n in range(3):
        await asyncio.sleep(1)
        yield n


@row("async generator, abandoned by break")
async def generator_abandoned(ctx: Any) -> Any:
    closed: list[Any] = []
    async for n in counting(ctx, closed):
        if n == 2:
            break
    return await work(ctx, "after")


@row("async generator, in two tasks")
async def generator_tasks(ctx: Any) -> Any:
    async def total() -> int:
        return sum([n async for n in few(ctx)])

    return await asyncio.gather(total(), total())


variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable", default="unset")


@row("context variables, a copy a task, token reset")
async def context_variables(ctx: Any) -> Any:
    async def child(n: int) -> Any:
        before = variable.get()
        token = variable.set(n)
        await work(ctx, n)
        mine = variable.get()
        variable.reset(token)
        return [before, mine, variable.get()]

    assert variable.get() == "unset"
    variable.set("root")
    values = await asyncio.gather(*map(child, range(4)))
    assert values == [["root", n, "root"] for n in range(4)]
    own = contextvars.copy_context()
    own.run(variable.set, "own")
    other = await asyncio.get_running_loop().create_task(child(9), context=own)
    assert (other[0], variable.get()) == ("own", "root")
    await asyncio.sleep(1)
    return values


@row("everything durable, raced")
async def race(ctx: Any) -> Any:
    results = []
    for turn in range(4):
        racers = {
            "activity": ctx.call_activity("flaky" if turn == 2 else "ok", turn),
            "child": ctx.call_sub_orchestrator("child", turn),
            "event": ctx.wait_for_external_event("x"),
            "timer": ctx.create_timer(1),
        }
        done, pending = await asyncio.wait(racers.values(), return_when=asyncio.FIRST_COMPLETED)
        for loser in pending:
            loser.cancel()
        results.append(
            [[name, shown(racer.exception())] for name, racer in racers.items() if racer in done]
        )
        ctx.set_custom_status(results)
        ctx.send_event("other", "note", [str(ctx.uuid4()), ctx.random("dice").random()])
    return results
