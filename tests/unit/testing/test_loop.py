"""The event loop whose time is a number, by itself and under anyio."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import pytest
from hypothesis import given, strategies as st

from durable_async.testing import (
    DeadlockError,
    NoOutsideWorldError,
    RunawayError,
    VirtualTimeLoop,
    VirtualTimeoutError,
)

DAY = 86_400.0


def run(main: Any, **options: Any) -> Any:
    """Run a coroutine as asyncio itself would, on a virtual loop."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(**options)) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


class TestTime:
    def test_it_begins_at_zero_and_moves_only_for_those_who_wait(self) -> None:
        async def main() -> list[float]:
            seen = [now()]
            await asyncio.sleep(0)
            seen.append(now())
            await asyncio.sleep(30 * DAY)
            seen.append(now())
            await anyio.sleep(0.5)
            seen.append(now())
            return seen

        assert run(main()) == [0.0, 0.0, 30 * DAY, 30 * DAY + 0.5]

    def test_a_month_takes_three_steps(self) -> None:
        async def main() -> int:
            await asyncio.sleep(30 * DAY)
            return virtual_loop().steps

        assert run(main()) == 3

    @given(st.lists(st.floats(min_value=0, max_value=1e7), max_size=30))
    def test_sleepers_wake_in_order_each_at_its_moment(self, delays: list[float]) -> None:
        woken: list[tuple[float, float]] = []

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                for delay in delays:
                    group.create_task(sleeper(delay))

        async def sleeper(delay: float) -> None:
            await asyncio.sleep(delay)
            woken.append((now(), delay))

        run(main())
        assert [at for at, _ in woken] == sorted(delays)
        assert all(at == delay for at, delay in woken)

    def test_timers_of_one_moment_fire_in_the_order_of_scheduling(self) -> None:
        async def main() -> list[int]:
            fired: list[int] = []
            loop = asyncio.get_running_loop()
            for index in range(200):
                loop.call_at(5.0, fired.append, index)
            await asyncio.sleep(5.0)
            return fired

        assert run(main()) == list(range(200))

    def test_a_timer_in_the_past_fires_now(self) -> None:
        async def main() -> float:
            await asyncio.sleep(10)
            fired = asyncio.Event()
            asyncio.get_running_loop().call_at(3.0, fired.set)
            await fired.wait()
            return now()

        assert run(main()) == 10.0

    def test_a_cancelled_timer_does_not_move_time(self) -> None:
        async def main() -> float:
            asyncio.get_running_loop().call_later(5, pytest.fail, "fired").cancel()
            await asyncio.sleep(1)
            return now()

        assert run(main()) == 1.0

    def test_a_step_cancelled_while_it_waits_its_turn_is_none(self) -> None:
        async def main() -> int:
            virtual_loop().call_soon(pytest.fail, "ran").cancel()
            await asyncio.sleep(0)
            return virtual_loop().steps

        assert run(main()) == 2
        assert run(main(), seed=1) == 2

    @given(st.lists(st.tuples(st.floats(0, 10), st.booleans(), st.booleans()), max_size=400))
    def test_cancelled_timers_are_counted_right(
        self, timers: list[tuple[float, bool, bool]]
    ) -> None:
        async def main() -> None:
            loop = virtual_loop()
            handles = []
            for delay, cancelled_before, cancelled_after in timers:
                handle = loop.call_later(delay, math.floor, 1)
                if cancelled_before:
                    handle.cancel()
                if cancelled_after:
                    handles.append(handle)
            await asyncio.sleep(5)
            for handle in handles:
                handle.cancel()
            await asyncio.sleep(1)
            dead = sum(handle.cancelled() for _, _, handle in loop._timers)
            assert loop._timer_cancelled_count == dead

        run(main())

    def test_timeouts_that_never_fire_do_not_pile_up(self) -> None:
        async def main() -> int:
            # In front of the others, which would else be dropped when their turn comes.
            asyncio.get_running_loop().call_later(DAY, pytest.fail, "fired")
            for _ in range(5_000):
                async with asyncio.timeout(30 * DAY):
                    await asyncio.sleep(0)
            return len(virtual_loop()._timers)

        assert run(main()) < 300

    @pytest.mark.parametrize("seed", [None, 1])
    def test_a_hundred_thousand_timers(self, seed: int | None) -> None:
        async def main() -> tuple[int, float]:
            count = 0

            def tick() -> None:
                nonlocal count
                count += 1

            loop = asyncio.get_running_loop()
            for index in range(100_000):
                loop.call_later(index * 7_919 % 1_000, tick)
            await asyncio.sleep(1_000)
            return count, now()

        assert run(main(), seed=seed) == (100_000, 1_000.0)


def virtual_loop() -> VirtualTimeLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop


class TestAsyncio:
    def test_its_tools_work(self) -> None:
        async def main() -> list[Any]:
            queue: asyncio.Queue[int] = asyncio.Queue(maxsize=1)

            async def produce() -> None:
                for item in range(3):
                    await asyncio.sleep(1)
                    await queue.put(item)

            async with asyncio.TaskGroup() as group:
                group.create_task(produce())
                items = [await queue.get() for _ in range(3)]
            done, pending = await asyncio.wait(
                [asyncio.ensure_future(asyncio.sleep(delay, delay)) for delay in (1, 2)],
                return_when=asyncio.FIRST_COMPLETED,
            )
            first = [each.result() for each in done]
            gathered = await asyncio.gather(*pending, asyncio.sleep(5, "five"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 10)
            return [items, first, gathered, now()]

        assert run(main()) == [[0, 1, 2], [1], [2, "five"], 19.0]

    def test_without_a_seed_the_order_is_the_selector_loops(self) -> None:
        async def main() -> list[str]:
            log: list[str] = []

            async def worker(name: str, turns: int) -> None:
                for turn in range(turns):
                    log.append(f"{name}{turn}")
                    await asyncio.sleep(0)

            async with asyncio.TaskGroup() as group:
                for index, name in enumerate("abcd"):
                    group.create_task(worker(name, index + 1))
                asyncio.get_running_loop().call_soon(log.append, "called")
            return log

        assert run(main()) == asyncio.run(main())

    def test_what_is_ready_runs_before_a_stop(self) -> None:
        for seed in (None, 5):
            with closing(VirtualTimeLoop(seed=seed)) as loop:
                ran: list[int] = []
                for index in range(10):
                    loop.call_soon(ran.append, index)
                loop.stop()
                loop.run_forever()
                assert sorted(ran) == list(range(10))

    def test_stopping_an_idle_loop_is_no_deadlock(self) -> None:
        with closing(VirtualTimeLoop()) as loop:
            loop.stop()
            loop.run_forever()
            assert loop.time() == 0.0

    def test_functions_for_threads_run_on_the_spot(self) -> None:
        async def main() -> list[Any]:
            def look(text: str) -> tuple[str, int]:
                with pytest.raises(RuntimeError):
                    asyncio.get_running_loop()
                return text, threading.get_ident()

            here = threading.get_ident()
            loop = asyncio.get_running_loop()
            direct = await loop.run_in_executor(None, look, "a")
            by_name = await asyncio.to_thread(look, "b")
            with pytest.raises(ZeroDivisionError):
                await asyncio.to_thread(lambda: 1 // 0)
            assert asyncio.get_running_loop() is loop
            return [direct == ("a", here), by_name == ("b", here)]

        assert run(main()) == [True, True]

    def test_another_thread_may_call_soon(self) -> None:
        async def main() -> list[int]:
            loop = asyncio.get_running_loop()
            seen: list[int] = []

            def work() -> None:
                for index in range(1_000):
                    loop.call_soon_threadsafe(seen.append, index)

            thread = threading.Thread(target=work)
            thread.start()
            while len(seen) < 1_000:
                await asyncio.sleep(0.001)
            thread.join()
            return seen

        assert run(main()) == list(range(1_000))
        assert sorted(run(main(), seed=3)) == list(range(1_000))

    def test_a_custom_task_factory_is_used(self) -> None:
        class MyTask(asyncio.Task[Any]):
            pass

        async def main() -> bool:
            loop = asyncio.get_running_loop()
            loop.set_task_factory(lambda loop, coro, **kw: MyTask(coro, loop=loop, **kw))
            task = asyncio.ensure_future(asyncio.sleep(1))
            await task
            return isinstance(task, MyTask)

        assert run(main()) is True

    def test_debug_mode_works(self) -> None:
        async def main() -> float:
            asyncio.get_running_loop().set_debug(True)
            await asyncio.sleep(3)
            await asyncio.create_task(asyncio.sleep(4))
            return now()

        assert run(main()) == 7.0

    def test_generators_left_open_are_closed_at_the_end(self) -> None:
        closed: list[bool] = []

        async def count() -> Any:
            try:
                yield 1
                yield 2
            finally:
                await asyncio.sleep(1)
                closed.append(True)

        async def main() -> None:
            generator = count()
            await anext(generator)
            held.append(generator)

        held: list[Any] = []
        run(main())
        assert closed == [True]


class TestAnyio:
    def test_anyio_can_run_on_it(self) -> None:
        async def main() -> float:
            await anyio.sleep(3 * DAY)
            return anyio.current_time()

        options = {"loop_factory": VirtualTimeLoop}
        assert anyio.run(main, backend_options=options) == 3 * DAY

    def test_task_groups_and_events(self) -> None:
        async def main() -> list[tuple[str, float]]:
            log: list[tuple[str, float]] = []
            event = anyio.Event()

            async def waiter(name: str) -> None:
                await event.wait()
                log.append((name, now()))

            async with anyio.create_task_group() as group:
                group.start_soon(waiter, "a")
                group.start_soon(waiter, "b")
                await anyio.sleep(60)
                event.set()
            return log

        assert run(main()) == [("a", 60.0), ("b", 60.0)]

    def test_move_on_after_moves_on_exactly_then(self) -> None:
        async def main() -> tuple[bool, float]:
            with anyio.move_on_after(12.5) as scope:
                await anyio.sleep_forever()
            return scope.cancelled_caught, now()

        assert run(main()) == (True, 12.5)

    def test_fail_after_fails_and_what_is_shielded_ends_first(self) -> None:
        async def main() -> list[float]:
            log: list[float] = []

            async def tidy_up_slowly() -> None:
                try:
                    await anyio.sleep(100)
                finally:
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(10)
                        log.append(now())

            with pytest.raises(TimeoutError), anyio.fail_after(1):
                await tidy_up_slowly()
            return [*log, now()]

        assert run(main()) == [11.0, 11.0]

    def test_a_shielded_child_of_a_cancelled_group_ends_in_few_steps(self) -> None:
        async def main() -> tuple[float, int]:
            async def child() -> None:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(DAY)

            with anyio.move_on_after(1):
                async with anyio.create_task_group() as group:
                    group.start_soon(child)
            return now(), virtual_loop().steps

        ended_at, steps = run(main())
        assert ended_at == DAY
        assert steps < 30

    def test_start_streams_and_limiters(self) -> None:
        async def main() -> tuple[list[int], float]:
            send, receive = anyio.create_memory_object_stream[int](2)
            limiter = anyio.CapacityLimiter(1)

            async def produce(*, task_status: anyio.abc.TaskStatus[str]) -> None:
                task_status.started("ready")
                async with send:
                    for item in range(5):
                        async with limiter:
                            await anyio.sleep(2)
                        await send.send(item)

            async with anyio.create_task_group() as group:
                assert await group.start(produce) == "ready"
                async with receive:
                    items = [item async for item in receive]
            return items, now()

        assert run(main()) == ([0, 1, 2, 3, 4], 10.0)

    def test_wait_all_tasks_blocked(self) -> None:
        async def main() -> bool:
            event = anyio.Event()
            async with anyio.create_task_group() as group:
                group.start_soon(event.wait)
                await anyio.wait_all_tasks_blocked()
                event.set()
            return True

        assert run(main()) is True


class TestDeadlock:
    def test_it_names_the_tasks_and_where_they_wait(self) -> None:
        async def waits_for_godot() -> None:
            await asyncio.Event().wait()

        async def main() -> None:
            await asyncio.sleep(7)
            async with anyio.create_task_group() as group:
                group.start_soon(waits_for_godot, name="estragon")

        with pytest.raises(DeadlockError) as caught:
            run(main())
        text = str(caught.value)
        assert caught.value.at == 7.0
        assert "deadlock at 7 s" in text
        assert "named 'estragon'" in text
        assert "waits_for_godot: await asyncio.Event().wait()" in text
        assert "__aexit__" in text
        assert text.index("task 1") < text.index("task 2")

    def test_many_tasks_are_cut_short(self) -> None:
        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(50):
                    group.create_task(asyncio.Event().wait())

        with pytest.raises(DeadlockError, match="and 31 more tasks"):
            run(main())

    def test_forever_is_no_timer(self) -> None:
        async def main() -> None:
            await asyncio.sleep(math.inf)

        with pytest.raises(DeadlockError):
            run(main())

    def test_a_generator_and_a_custom_awaitable_are_walked_through(self) -> None:
        class Awaitable:
            def __await__(self) -> Any:
                yield from asyncio.Event().wait().__await__()

        async def main() -> None:
            await Awaitable()

        with pytest.raises(DeadlockError) as caught:
            run(main())
        assert "__await__: yield from" in str(caught.value)

    def test_an_async_context_manager_is_walked_through(self) -> None:
        @asynccontextmanager
        async def open_the_door() -> AsyncIterator[None]:
            await knock()
            yield

        async def knock() -> None:
            await asyncio.Event().wait()

        async def main() -> None:
            async with open_the_door():
                pytest.fail("came in")

        with pytest.raises(DeadlockError) as caught:
            run(main())
        text = str(caught.value)
        assert text.index("main: async with open_the_door()") < text.index("knock()")
        assert "knock: await asyncio.Event().wait()" in text

    def test_what_waits_is_cancelled_afterwards(self) -> None:
        ended: list[float] = []

        async def main() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(5)
                ended.append(now())

        with pytest.raises(DeadlockError):
            run(main())
        assert ended == [5.0]


class TestLimits:
    def test_time_ends_where_it_is_allowed_to(self) -> None:
        with closing(VirtualTimeLoop()) as loop:
            loop.allow(seconds=10)
            loop.run_until_complete(asyncio.sleep(10))
            assert loop.time() == 10.0
            loop.allow(seconds=5)
            task = loop.create_task(asyncio.sleep(5.1))
            with pytest.raises(VirtualTimeoutError, match="Task-2") as caught:
                loop.run_until_complete(task)
            assert isinstance(caught.value, TimeoutError)
            assert loop.time() == 15.0
            loop.allow(seconds=1)
            loop.run_until_complete(task)
            assert loop.time() == pytest.approx(15.1)

    def test_a_runaway_is_stopped_and_shown_and_loses_no_step(self) -> None:
        async def spin() -> None:
            await asyncio.sleep(3)
            while spinning:
                await asyncio.sleep(0)

        spinning = True
        with closing(VirtualTimeLoop(steps_max=1_000)) as loop:
            task = loop.create_task(spin())
            with pytest.raises(RunawayError) as caught:
                loop.run_until_complete(task)
            assert (caught.value.steps, caught.value.at) == (1_000, 3.0)
            assert "the last 999 of them at 3 s" in str(caught.value)
            assert "spin" in str(caught.value)
            spinning = False
            loop.allow(seconds=0, steps=10)
            loop.run_until_complete(task)

    @pytest.mark.parametrize(
        "reach",
        [
            lambda loop: loop.create_connection(asyncio.Protocol, "localhost", 1),
            lambda loop: loop.create_server(asyncio.Protocol, "localhost", 1),
            lambda loop: loop.getaddrinfo("localhost", 1),
            lambda loop: loop.subprocess_exec(asyncio.SubprocessProtocol, "true"),
            lambda loop: loop.add_reader(0, print),
            lambda loop: loop.add_signal_handler(2, print),
        ],
    )
    def test_the_outside_world_is_refused_by_name(
        self, reach: Callable[[asyncio.AbstractEventLoop], Any]
    ) -> None:
        async def main() -> None:
            reach(asyncio.get_running_loop())

        with pytest.raises(NoOutsideWorldError, match="virtual time") as caught:
            run(main())
        assert isinstance(caught.value, NotImplementedError)
