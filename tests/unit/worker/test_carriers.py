"""Attempts that share a task notice nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
import weakref
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from durable_async import activity_context
from durable_async.model.history import ActivityCompleted
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.worker._carriers import Begun

from .carrying import (
    Bench,
    cancels_itself,
    changes_its_mind,
    is_cancelled_later,
    leaves_a_group_open,
    leaves_a_scope_open,
    leaves_a_shield_open,
    leaves_a_time_limit_open,
    leaves_an_expiring_scope_open,
    own_task,
    takes_a_name,
    task,
    told,
    variable,
)


@virtual_time
async def test_what_never_waits_shares_a_task(env: VirtualEnvironment) -> None:
    bench = Bench(env)
    async with bench.running():
        assert len(set(await bench.run(*[own_task] * 50))) == 1


@virtual_time
async def test_one_that_waits_keeps_its_task_and_the_next_is_expected_to_wait(
    env: VirtualEnvironment,
) -> None:
    bench = Bench(env)
    tasks: list[asyncio.Task[Any]] = []

    async def waits() -> bool:
        tasks.append(task())
        await asyncio.sleep(1)
        return tasks.count(task()) == 1

    async with bench.running():
        began = env.monotonic()
        assert all(await bench.run(*[waits] * 50))
        assert env.monotonic() - began == 1000
        assert bench.runner.running == 0
    assert len({id(one) for one in tasks}) == 50


@virtual_time
async def test_one_that_does_not_wait_any_more_shares_again(env: VirtualEnvironment) -> None:
    bench = Bench(env)
    waits = [True]

    async def sometimes() -> int:
        if waits[0]:
            await asyncio.sleep(1)
        return id(task())

    async with bench.running():
        await bench.run(sometimes, sometimes)
        waits[0] = False
        await bench.run(sometimes)
        assert len(set(await bench.run(*[sometimes] * 5))) == 1


@virtual_time
async def test_context_variables_reach_nobody_else(env: VirtualEnvironment) -> None:
    bench = Bench(env)

    async def tells() -> str:
        before = told.get()
        told.set("a secret")
        return before

    async def tells_and_waits() -> str:
        told.set("another")
        await asyncio.sleep(1)
        assert activity_context().seq == 1
        return told.get()

    told.set("by the worker")
    async with bench.running():
        assert await bench.run(tells, tells_and_waits, tells, variable) == [
            "by the worker",
            "another",
            "by the worker",
            "by the worker",
        ]
        assert await bench.run(variable) == ["by the worker"]


@virtual_time
async def test_what_waits_keeps_its_context_in_each_step_and_passes_it_on(
    env: VirtualEnvironment,
) -> None:
    bench = Bench(env)

    async def child() -> str:
        await asyncio.sleep(1)
        return told.get()

    async def parent() -> list[str]:
        told.set("one")
        await asyncio.sleep(1)
        first = asyncio.create_task(child())
        told.set("two")
        async with asyncio.TaskGroup() as group:
            second = group.create_task(child())
        try:
            async with asyncio.timeout(1):
                await asyncio.sleep(5)
        except TimeoutError:
            told.set(told.get() + ", late")
        return [await first, second.result(), told.get()]

    async with bench.running():
        assert await bench.run(parent, variable) == [["one", "two", "two, late"], "nothing"]


@pytest.mark.parametrize(
    "leaves",
    [
        leaves_a_scope_open,
        leaves_a_shield_open,
        leaves_an_expiring_scope_open,
        leaves_a_group_open,
        leaves_a_time_limit_open,
        is_cancelled_later,
        cancels_itself,
        changes_its_mind,
        takes_a_name,
    ],
)
@virtual_time
async def test_what_is_left_behind_reaches_nobody_else(
    env: VirtualEnvironment, leaves: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    bench = Bench(env)
    tasks: list[asyncio.Task[Any]] = []

    async def waits() -> list[Any]:
        tasks.append(task())
        deadline = anyio.current_effective_deadline()
        await anyio.sleep(10)
        return [deadline == float("inf"), task().get_name() == "mine", told.get()]

    async with bench.running():
        found = await bench.run(leaves, waits, leaves, leaves, own_task)
        assert found[1] == [True, False, "nothing"]
        attempt = bench.start(waits)
        await asyncio.sleep(5)
        bench.runner.stop(attempt)
        await asyncio.sleep(1)
        assert tasks[-1].done()
        assert attempt.seq not in bench.letters


@virtual_time
async def test_a_callback_of_the_own_task_is_called_when_the_attempt_has_ended(
    env: VirtualEnvironment,
) -> None:
    bench = Bench(env)
    called: list[float] = []

    async def asks_to_be_called() -> None:
        task().add_done_callback(lambda _: called.append(env.monotonic()))

    async def waits() -> None:
        await asyncio.sleep(100)

    async with bench.running():
        began = env.monotonic()
        await bench.run(asks_to_be_called, waits)
    assert called == [began]


@virtual_time
async def test_what_is_kept_by_task_is_not_found_by_the_next(env: VirtualEnvironment) -> None:
    bench = Bench(env)
    strong: defaultdict[asyncio.Task[Any], list[int]] = defaultdict(list)
    weak: weakref.WeakKeyDictionary[asyncio.Task[Any], list[int]] = weakref.WeakKeyDictionary()

    async def keeps() -> int:
        strong[task()].append(1)
        return len(strong[task()])

    async def keeps_weakly() -> int:
        weak.setdefault(task(), []).append(1)
        return len(weak[task()])

    async with bench.running():
        assert await bench.run(*[keeps] * 3, *[keeps_weakly] * 3) == [1] * 6


@virtual_time
async def test_a_stop_reaches_only_its_attempt(env: VirtualEnvironment) -> None:
    bench = Bench(env)
    ended: list[tuple[int, str]] = []

    async def waits() -> None:
        seq = activity_context().seq
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)  # whoever shields it, is not cancelled again
            ended.append((seq, "stopped"))
            raise
        ended.append((seq, "done"))

    async with bench.running():
        attempts = [bench.start(waits) for _ in range(10)]
        await asyncio.sleep(1)
        for attempt in attempts[::2]:
            bench.runner.stop(attempt)
        await asyncio.sleep(100)
    assert sorted(ended) == [(seq, "done" if seq % 2 else "stopped") for seq in range(10)]
    assert sorted(bench.letters) == [1, 3, 5, 7, 9]


@virtual_time
async def test_those_with_limits_share_too_and_each_has_its_own(env: VirtualEnvironment) -> None:
    bench = Bench(env)
    seen: list[tuple[int, float]] = []

    async def sees_its_limit() -> None:
        seen.append((id(task()), anyio.current_effective_deadline() - env.monotonic()))

    async with bench.running():
        for limit in (5.0, None, 0.0, 7.0, 8.0):
            bench.start(sees_its_limit, **({} if limit is None else {"start_to_close": limit}))
        await asyncio.sleep(100)
        assert await bench.run(variable) == ["nothing"]
    first, second, late, *others = seen
    assert [first[1], second[1], late[1]] == [5.0, float("inf"), -float("inf")]
    assert [limit for _, limit in others] == [7.0, 8.0]
    assert first[0] == second[0] == late[0]
    assert others[0][0] == others[1][0] != late[0]  # a scope whose time is over is not used again
    assert len(bench.letters) == 6


@virtual_time
async def test_one_that_is_stopped_in_line_is_never_begun(env: VirtualEnvironment) -> None:
    bench = Bench(env)
    async with bench.running():
        attempts = [bench.start(own_task) for _ in range(3)]
        bench.runner.stop(attempts[1])
        await asyncio.sleep(1)
    assert sorted(bench.letters) == [0, 2]


@virtual_time
async def test_others_have_their_turn_between_attempts_that_compute(
    env: VirtualEnvironment,
) -> None:
    """The loop is given up after a slice, and the same task goes on."""
    bench = Bench(env)
    trips = [0]

    async def computes() -> int:
        seconds[0] += 0.0015
        return trips[0]

    async def others() -> None:
        while True:
            trips[0] += 1
            await asyncio.sleep(0)

    seconds = [0.0]
    env.monotonic = lambda: seconds[0]  # type: ignore[method-assign]
    async with bench.running():
        counting = asyncio.create_task(others())
        attempts = [bench.start(computes) for _ in range(10)]
        while len(bench.letters) < len(attempts):
            await asyncio.sleep(0)
        counting.cancel()
    seen = [
        letter.result for letter in bench.letters.values() if isinstance(letter, ActivityCompleted)
    ]
    assert len(set(seen)) == 5


async def test_a_coroutine_goes_on_where_it_begun() -> None:
    """Errors come with the context that they have in a task of their own, and debuggers find what is waited for."""

    async def inner(gate: asyncio.Future[int]) -> int:
        with contextlib.suppress(KeyError):
            await gate
        with pytest.raises(ValueError, match="mine") as caught:
            raise ValueError("mine")
        assert caught.value.__context__ is None
        return await asyncio.sleep(0, 7)

    gate: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    begun = Begun(inner(gate))
    assert begun.waits

    async def outer() -> int:
        return await begun

    waiting = asyncio.create_task(outer())
    await asyncio.sleep(0)
    rest = waiting.get_coro().cr_await  # type: ignore[union-attr]
    assert rest.cr_frame.f_code.co_name == "inner"
    assert rest.cr_await is not None
    gate.set_exception(KeyError("theirs"))
    assert await waiting == 7


async def test_a_coroutine_that_is_over_at_once_is_not_awaited() -> None:
    async def seven() -> int:
        return 7

    begun = Begun(seven())
    assert not begun.waits
    assert begun.result == 7


async def test_what_is_raised_reaches_whoever_awaits() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("mine")

    begun = Begun(fails())
    with pytest.raises(ValueError, match="mine") as caught:
        await begun
    assert "fails" in "".join(traceback.format_tb(caught.value.__traceback__))
