"""Sets of asyncio and anyio keep their order on a deterministic loop, and are plain sets on any other."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from asyncio import as_completed
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import anyio
import pytest
from hypothesis import given, strategies as st

from durable_async._kernel import ordered
from durable_async._kernel.ordered import OrderedSet

from .inline_loop import InlineLoop

MANY = 40


@pytest.fixture(autouse=True)
def installed() -> None:
    ordered.install()


def on_deterministic_loop(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return InlineLoop().run(main())


# -- OrderedSet


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9))))
def test_an_ordered_set_is_a_set_that_keeps_order(steps: list[tuple[bool, int]]) -> None:
    ours: OrderedSet[int] = OrderedSet()
    model: list[int] = []
    for is_add, item in steps:
        if is_add:
            ours.add(item)
            if item not in model:
                model.append(item)
        else:
            ours.discard(item)
            model = [x for x in model if x != item]

    assert list(ours) == model
    assert ours == set(model)
    assert len(ours) == len(model)
    assert all(item in ours for item in model)


def test_an_ordered_set_refuses_to_remove_what_is_not_there() -> None:
    with pytest.raises(KeyError):
        OrderedSet([1]).remove(2)


# -- as_completed


def start_order(
    function: Callable[..., Any], wrap: Callable[[Any], Any] = lambda x: x, **options: Any
) -> list[int]:
    started: list[int] = []

    async def child(number: int) -> int:
        started.append(number)
        await asyncio.sleep(1)
        return number

    async def main() -> None:
        for result in function([wrap(child(n)) for n in range(MANY)], **options):
            await result

    on_deterministic_loop(main)
    return started


@pytest.mark.parametrize("options", [{}, {"timeout": 100}])
@pytest.mark.parametrize("function", [asyncio.as_completed, as_completed])
def test_as_completed_starts_coroutines_in_order(
    function: Callable[..., Any], options: dict[str, Any]
) -> None:
    assert start_order(function, **options) == list(range(MANY))


class Awaitable:
    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner

    def __await__(self) -> Iterator[Any]:
        return self._inner.__await__()


def test_as_completed_starts_other_awaitables_in_order() -> None:
    assert start_order(asyncio.as_completed, Awaitable) == list(range(MANY))


def test_as_completed_times_out() -> None:
    async def main() -> list[str]:
        found = []
        for result in asyncio.as_completed(
            [asyncio.sleep(1, "x"), asyncio.sleep(9, "y")], timeout=5
        ):
            try:
                found.append(await result)
            except TimeoutError:
                found.append("timeout")
        return found

    assert on_deterministic_loop(main) == ["x", "timeout"]


def test_as_completed_takes_one_awaitable_once() -> None:
    async def main() -> list[int]:
        task = asyncio.create_task(asyncio.sleep(1, 7))
        return [await result for result in asyncio.as_completed([task, task])]

    assert on_deterministic_loop(main) == [7]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="async for over it came with 3.13")
def test_as_completed_starts_coroutines_in_order_for_async_for() -> None:
    started: list[int] = []

    async def child(number: int) -> int:
        started.append(number)
        await asyncio.sleep(1)
        return number

    async def main() -> list[int]:
        found: Any = asyncio.as_completed([child(n) for n in range(MANY)], timeout=100)
        return [await task async for task in found]

    assert sorted(on_deterministic_loop(main)) == list(range(MANY))
    assert started == list(range(MANY))


def test_wait_gives_plain_sets() -> None:
    async def main() -> Any:
        tasks = [asyncio.create_task(asyncio.sleep(n)) for n in (1, 9)]
        done, pending = await asyncio.wait(tasks, timeout=5)
        return type(done), type(pending), done == {tasks[0]}, pending == {tasks[1]}

    assert on_deterministic_loop(main) == (set, set, True, True)


def test_wait_still_refuses_coroutines() -> None:
    async def main() -> None:
        coroutine = asyncio.sleep(1)
        try:
            await asyncio.wait([coroutine])  # type: ignore[type-var]
        finally:
            coroutine.close()

    with pytest.raises(TypeError, match="coroutines"):
        on_deterministic_loop(main)


def made_by_asyncio() -> Any:
    return vars(asyncio.tasks)["set"]([1])


async def test_another_loop_gets_plain_sets() -> None:
    assert type(made_by_asyncio()) is set
    assert sorted(
        [await x for x in asyncio.as_completed([asyncio.sleep(0, 1), asyncio.sleep(0, 2)])]
    ) == [1, 2]


def test_without_a_loop_sets_are_plain() -> None:
    assert type(made_by_asyncio()) is set


async def test_a_deterministic_loop_inside_another_gets_ordered_sets() -> None:
    async def main() -> type:
        return type(made_by_asyncio())

    assert InlineLoop().run(main()) is OrderedSet
    assert type(made_by_asyncio()) is set


def test_installing_again_changes_nothing() -> None:
    before = vars(asyncio.tasks)["set"], anyio_scope().__new__

    ordered.install()

    assert (vars(asyncio.tasks)["set"], anyio_scope().__new__) == before


# -- anyio


def anyio_scope() -> Any:
    from anyio._backends import _asyncio

    return _asyncio.CancelScope


def cancel_order(children: int) -> list[int]:
    cancelled: list[int] = []

    async def child(number: int) -> None:
        with anyio.CancelScope():
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.append(number)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(children):
                group.start_soon(child, number)
            await anyio.sleep(1)
            group.cancel_scope.cancel()

    on_deterministic_loop(main)
    return cancelled


def test_anyio_cancels_in_order_of_creation() -> None:
    # Objects get addresses as they come; of many scopes, some would be out of order in a plain set.
    assert cancel_order(MANY) == list(range(MANY))


def test_anyio_scopes_end_as_usual() -> None:
    async def main() -> Any:
        with anyio.move_on_after(5) as outer, anyio.CancelScope(shield=True) as inner:
            await anyio.sleep(9)
        with pytest.raises(TimeoutError):
            with anyio.fail_after(2):
                await anyio.sleep(3)
        return outer.cancelled_caught, inner.cancel_called, anyio.current_time()

    assert on_deterministic_loop(main) == (False, False, 11.0)


async def test_anyio_on_another_loop_has_plain_sets() -> None:
    with anyio.CancelScope() as scope:
        assert type(scope._child_scopes) is set  # type: ignore[attr-defined]
        assert type(scope._tasks) is set  # type: ignore[attr-defined]


def test_nothing_happens_at_import_and_anyio_is_noticed_later() -> None:
    script = """
import asyncio, sys
from durable_async._kernel import ordered
assert "set" not in vars(asyncio.tasks)
for name in [name for name in sys.modules if name.partition(".")[0] == "anyio"]:
    del sys.modules[name]
ordered.install()
import anyio
assert "anyio._backends._asyncio" not in sys.modules
ordered.refresh()
scope = sys.modules["anyio._backends._asyncio"].CancelScope
assert scope.__new__.__module__ == "durable_async._kernel.ordered"
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=50)
