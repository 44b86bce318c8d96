"""What runs next: drawn from a seed, told by a digest, tagged with its node."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable
from contextlib import closing
from typing import Any

import anyio
import pytest
from hypothesis import given, strategies as st

from durable_async.testing import NODE, VirtualTimeLoop


def run(main: Any, **options: Any) -> Any:
    """Run a coroutine as asyncio itself would, on a virtual loop."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(**options)) as runner:
        return runner.run(main)


class Trace:
    """A small program with races, and what it did."""

    def __init__(self, seed: int | None) -> None:
        self.log: list[str] = []
        loop = VirtualTimeLoop(seed=seed)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self.main())
        self.digest = loop.digest()
        self.steps = loop.steps

    async def main(self) -> None:
        limiter = anyio.CapacityLimiter(2)
        async with anyio.create_task_group() as group:
            for name in "abcdef":
                group.start_soon(self.worker, name, limiter)
            await anyio.sleep(3)
            group.cancel_scope.cancel()

    async def worker(self, name: str, limiter: anyio.CapacityLimiter) -> None:
        with anyio.CancelScope():
            try:
                for turn in range(10):
                    async with limiter:
                        self.log.append(f"{name}{turn}")
                        await asyncio.to_thread(self.log.append, f"{name} in a thread")
                        await anyio.sleep(0.5)
            finally:
                self.log.append(f"{name} cancelled")


class TestOrder:
    @given(st.none() | st.integers())
    def test_a_seed_gives_the_same_run_again(self, seed: int | None) -> None:
        first, second = Trace(seed), Trace(seed)
        assert (first.digest, first.log, first.steps) == (second.digest, second.log, second.steps)

    def test_seeds_differ(self) -> None:
        traces = [Trace(seed) for seed in (None, *range(19))]
        assert len({trace.digest for trace in traces}) == 20
        assert len({tuple(trace.log) for trace in traces}) > 15

    def test_any_of_those_that_can_run_may_come_first(self) -> None:
        async def main() -> list[int]:
            order: list[int] = []
            loop = asyncio.get_running_loop()
            for index in range(4):
                loop.call_soon(order.append, index)
            await asyncio.sleep(1)
            return order

        orders = {tuple(run(main(), seed=seed)) for seed in range(400)}
        assert len(orders) == 24

    def test_the_digest_sees_time_node_and_step(self) -> None:
        def digest(act: Callable[[VirtualTimeLoop], object]) -> str:
            with closing(VirtualTimeLoop()) as loop:
                act(loop)
                loop.call_later(9, loop.stop)
                loop.run_forever()
                return loop.digest()

        def on_a_node(loop: VirtualTimeLoop) -> None:
            token = NODE.set("n1")
            loop.call_later(1, print_nothing)
            NODE.reset(token)

        digests = [
            digest(lambda loop: None),
            digest(lambda loop: loop.call_later(1, print_nothing)),
            digest(lambda loop: loop.call_later(2, print_nothing)),
            digest(lambda loop: loop.call_later(1, math.floor, 1)),
            digest(on_a_node),
        ]
        assert len(set(digests)) == len(digests)
        assert digest(on_a_node) == digests[-1]

    def test_partials_and_objects_have_names_without_addresses(self) -> None:
        class Caller:
            def __call__(self) -> None: ...

        named_after = [object(), object()]

        def digest() -> str:
            with closing(VirtualTimeLoop()) as loop:
                loop.call_soon(functools.partial(functools.partial(print_nothing)))
                loop.call_soon(Caller())
                task = loop.create_task(asyncio.sleep(0), name=f"of {named_after.pop()!r}")
                loop.run_until_complete(task)
                return loop.digest()

        assert digest() == digest()


def print_nothing() -> None:
    """Be a callback with a name."""


class TestNodes:
    def test_tasks_and_timers_inherit_the_node(self) -> None:
        async def main() -> list[str | None]:
            seen: list[str | None] = []

            async def child() -> None:
                await asyncio.sleep(1)
                seen.append(NODE.get())
                asyncio.get_running_loop().call_later(1, lambda: seen.append(NODE.get()))

            async def node(name: str) -> None:
                NODE.set(name)
                async with anyio.create_task_group() as group:
                    group.start_soon(child)

            await asyncio.gather(node("a"), node("b"))
            await asyncio.sleep(5)
            return [*seen, NODE.get()]

        assert run(main()) == ["a", "b", "a", "b", None]

    def test_a_subclass_can_drop_the_steps_of_a_dead_node(self) -> None:
        class Killing(VirtualTimeLoop):
            dead: str | None = None

            def _take(self) -> asyncio.Handle | None:
                while (handle := super()._take()) is not None:
                    node = handle._context.get(NODE)  # type: ignore[attr-defined]
                    if node is None or node != self.dead:
                        return handle
                return None

        log: list[str] = []

        async def node(name: str) -> None:
            NODE.set(name)
            try:
                for turn in range(3):
                    log.append(f"{name}{turn}")
                    await asyncio.sleep(1)
            finally:
                log.append(f"{name} ends")

        with closing(Killing(seed=1)) as loop:
            victim = loop.create_task(node("a"))
            survivor = loop.create_task(node("b"))
            loop.call_later(1.5, setattr, loop, "dead", "a")
            loop.run_until_complete(survivor)
            assert not victim.done()
            assert [line for line in log if line.startswith("a")] == ["a0", "a1"]
            assert log[-1] == "b ends"
            loop.dead = None
            victim.cancel()
            with pytest.raises(asyncio.CancelledError):
                loop.run_until_complete(victim)
