"""Sets of tasks, futures and cancel scopes keep one order."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
from hypothesis import given, strategies as st

import durable_async
from durable_async.testing import VirtualEnvironment, VirtualTimeLoop, run_virtual
from durable_async.testing.ordering import OrderedSet

Commands = st.lists(st.tuples(st.sampled_from(["add", "discard"]), st.integers(0, 9)))


class TestOrderedSet:
    @given(Commands)
    def test_it_is_a_set_that_remembers_insertion(self, commands: list[tuple[str, int]]) -> None:
        ordered: OrderedSet[int] = OrderedSet()
        model: list[int] = []
        for verb, value in commands:
            if verb == "add":
                ordered.add(value)
                model.extend([value] if value not in model else [])
            else:
                ordered.discard(value)
                model = [each for each in model if each != value]
            assert list(ordered) == model
            assert (len(ordered), set(ordered) == set(model)) == (len(model), True)
            assert all((each in ordered) == (each in model) for each in range(10))

    def test_it_can_begin_full(self) -> None:
        assert list(OrderedSet("hello")) == ["h", "e", "l", "o"]


class TestHashes:
    async def tasks_in_a_set(self) -> list[str]:
        tasks = {asyncio.ensure_future(asyncio.sleep(1, index)) for index in range(50)}
        order = [task.get_name() for task in tasks]
        await asyncio.wait(tasks)
        return order

    def test_tasks_iterate_the_same_way_in_every_loop(self) -> None:
        first = run_virtual(lambda env: self.tasks_in_a_set())
        held = [object() for _ in range(1_000)]
        assert run_virtual(lambda env: self.tasks_in_a_set()) == first
        assert len(held) == 1_000
        assert first[0] == "Task-2"

    def test_futures_hash_by_who_got_into_a_set_first(self) -> None:
        loop = VirtualTimeLoop()
        futures = [loop.create_future() for _ in range(10)]
        hashes = [hash(future) for future in reversed(futures)]
        assert hashes == sorted(hashes)
        assert [hash(future) for future in reversed(futures)] == hashes
        assert len(set(futures)) == 10
        loop.close()


async def cancel_a_crowd(env: VirtualEnvironment) -> list[int]:
    """Cancel many children, each in cancel scopes of its own; say in which order they noticed."""
    noticed: list[int] = []

    async def child(index: int) -> None:
        with anyio.CancelScope(), anyio.CancelScope():
            try:
                await anyio.sleep_forever()
            finally:
                noticed.append(index)

    async with anyio.create_task_group() as group:
        for index in range(60):
            group.start_soon(child, index)
        await anyio.sleep(1)
        group.cancel_scope.cancel()
    return noticed


class TestCancelScopes:
    def test_children_are_cancelled_in_the_order_of_their_scopes(self) -> None:
        assert run_virtual(cancel_a_crowd) == list(range(60))

    def test_scopes_on_other_loops_stay_as_anyio_makes_them(self) -> None:
        async def children() -> object:
            await anyio.sleep(0)
            scope: Any = anyio.CancelScope()
            return scope._child_scopes

        assert isinstance(run_virtual(lambda env: children()), OrderedSet)
        assert type(asyncio.run(children())) is set


PROGRAM = """
import asyncio, sys, anyio
from durable_async.testing import run_virtual

async def child(env, depth):
    with anyio.CancelScope():
        async with anyio.create_task_group() as group:
            for _ in range(3 if depth else 0):
                group.start_soon(child, env, depth - 1)
            await anyio.sleep(env.random().random() * 5)
            await env.run_in_thread(env.new_id)

async def main(env):
    with anyio.move_on_after(4):
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(child(env, 2))
    return env.loop.digest() + env.new_id()

print(run_virtual(main, seed=int(sys.argv[1])))
"""


class TestProcesses:
    def digest(self, seed: int, hash_seed: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(seed)],
            env={
                "PYTHONHASHSEED": str(hash_seed),
                "PYTHONPATH": str(Path(durable_async.__file__).parents[1]),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def test_a_seed_gives_the_same_run_in_every_process(self) -> None:
        digests = {self.digest(7, hash_seed) for hash_seed in (0, 1, 12_345)}
        assert len(digests) == 1
        assert len(digests.pop()) == 64
        assert self.digest(8, 0) not in digests
