"""The virtual environment, and running whole tests in virtual time."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import logging
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest
from hypothesis import given, strategies as st

from durable_async.errors import ConfigurationError
from durable_async.testing import (
    DeadlockError,
    RunawayError,
    VirtualEnvironment,
    VirtualTimeLoop,
    VirtualTimeoutError,
    run_virtual,
    virtual_time,
)
from durable_async.testing.clock import DAY, EPOCH_US

WHO = contextvars.ContextVar("WHO", default="nobody")


class TestClock:
    @virtual_time
    async def test_it_follows_the_loop(self, env: VirtualEnvironment) -> None:
        assert (env.now_us(), env.monotonic()) == (EPOCH_US, 0.0)
        await anyio.sleep(30 * DAY)
        assert (env.now_us(), env.monotonic()) == (EPOCH_US + 2_592_000_000_000, 30 * DAY)

    @virtual_time
    async def test_a_skew_moves_the_clock_and_nothing_else(self, env: VirtualEnvironment) -> None:
        await anyio.sleep(1)
        env.skew_us = -600_000_000
        assert env.now_us() == EPOCH_US + 1_000_000 - 600_000_000
        assert env.monotonic() == 1.0

    @given(
        st.lists(st.integers(min_value=0, max_value=10**13), max_size=8),
        st.integers(min_value=0, max_value=EPOCH_US),
    )
    def test_a_timer_set_for_a_microsecond_fires_at_that_microsecond(
        self, waits_us: list[int], start_us: int
    ) -> None:
        async def main(env: VirtualEnvironment) -> None:
            clock = VirtualEnvironment(env.loop, start_us=start_us)
            for wait_us in waits_us:
                due_us = clock.now_us() + wait_us
                await anyio.sleep((due_us - clock.now_us()) / 1_000_000)
                assert clock.now_us() == due_us

        run_virtual(main, timeout_virtual_seconds=1e9)


class TestIdsAndChance:
    @virtual_time
    async def test_they_come_from_the_seed(self, env: VirtualEnvironment) -> None:
        def draw(seed: int | str) -> tuple[list[str], list[float]]:
            drawn = VirtualEnvironment(env.loop, seed=seed)
            return (
                [drawn.new_id() for _ in range(10)],
                [drawn.random().random() for _ in range(10)],
            )

        assert draw(1) == draw(1)
        assert draw(1)[0] != draw(2)[0]
        assert draw(1)[1] != draw(2)[1]
        assert all(len(each) == 32 and int(each, 16) >= 0 for each in draw("node a")[0])
        assert len(set(draw(1)[0])) == 10

    @virtual_time
    async def test_jitter_changes_no_id(self, env: VirtualEnvironment) -> None:
        calm, nervous = (VirtualEnvironment(env.loop, seed=4) for _ in range(2))
        nervous.random().random()
        assert calm.new_id() == nervous.new_id()

    @virtual_time
    async def test_who_and_where(self, env: VirtualEnvironment) -> None:
        assert (env.pid(), env.hostname()) == (1, "virtual")
        other = VirtualEnvironment(env.loop, pid=2, hostname="b")
        assert (other.pid(), other.hostname()) == (2, "b")


class TestRunInThread:
    @virtual_time
    async def test_it_runs_on_the_spot_and_sees_no_loop(self, env: VirtualEnvironment) -> None:
        def look(text: str) -> tuple[str, int]:
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            return text, threading.get_ident()

        assert await env.run_in_thread(look, "a") == ("a", threading.get_ident())
        assert env.monotonic() == 0.0

    @virtual_time
    async def test_a_loop_of_its_own_may_run_inside(self, env: VirtualEnvironment) -> None:
        async def inner() -> str:
            await asyncio.sleep(0)
            return "inner"

        assert await env.run_in_thread(lambda: asyncio.run(inner())) == "inner"
        assert asyncio.get_running_loop() is env.loop

    @virtual_time
    async def test_exceptions_come_back_and_the_token_too(self, env: VirtualEnvironment) -> None:
        limiter = anyio.CapacityLimiter(1)
        with pytest.raises(ZeroDivisionError):
            await env.run_in_thread(lambda: 1 // 0, limiter=limiter)
        assert limiter.available_tokens == 1
        assert asyncio.get_running_loop() is env.loop

    @virtual_time
    async def test_the_limiter_is_held_meanwhile(self, env: VirtualEnvironment) -> None:
        limiter = anyio.CapacityLimiter(1)
        held = await env.run_in_thread(lambda: limiter.borrowed_tokens, limiter=limiter)
        default = anyio.to_thread.current_default_thread_limiter()
        held_by_default = await env.run_in_thread(lambda: default.borrowed_tokens)
        assert (held, held_by_default) == (1, 1)

    @pytest.mark.parametrize("abandon", [True, False])
    def test_a_cancellation_during_the_call_is_noticed_after_it(self, abandon: bool) -> None:
        async def main(env: VirtualEnvironment) -> tuple[list[str], bool]:
            log: list[str] = []
            with anyio.CancelScope() as scope:

                def work() -> None:
                    env.loop.call_soon_threadsafe(scope.cancel)
                    log.append("worked")

                await env.run_in_thread(work, abandon_on_cancel=abandon)
                log.append("got the result")
                await anyio.lowlevel.checkpoint()
            return log, scope.cancelled_caught

        log, cancelled = run_virtual(main)
        assert cancelled
        assert log == (["worked"] if abandon else ["worked", "got the result"])

    @virtual_time
    async def test_cancelled_before_it_does_not_call(self, env: VirtualEnvironment) -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await env.run_in_thread(pytest.fail, "called")
        assert scope.cancelled_caught

    @virtual_time
    async def test_others_run_meanwhile(self, env: VirtualEnvironment) -> None:
        log: list[str] = []

        async def blocking(name: str) -> None:
            await env.run_in_thread(log.append, f"{name} in a thread")
            log.append(f"{name} back")

        async with anyio.create_task_group() as group:
            group.start_soon(blocking, "a")
            group.start_soon(blocking, "b")
        assert log == ["a in a thread", "b in a thread", "a back", "b back"]


class TestEvery:
    @virtual_time
    async def test_it_keeps_the_beat(self, env: VirtualEnvironment) -> None:
        beats: list[float] = []
        repeating = env.every(5, lambda: beats.append(env.monotonic()), "lease")
        await anyio.sleep(22)
        assert beats == [5.0, 10.0, 15.0, 20.0]
        repeating.stop()
        repeating.stop()
        await repeating.join()
        await anyio.sleep(100)
        assert len(beats) == 4

    @virtual_time
    async def test_the_call_itself_may_stop_it(self, env: VirtualEnvironment) -> None:
        beats: list[float] = []

        def beat() -> None:
            beats.append(env.monotonic())
            repeating.stop()

        repeating = env.every(1, beat, "once")
        await anyio.sleep(10)
        await repeating.join()
        assert beats == [1.0]

    @virtual_time
    async def test_it_sees_the_callers_context_and_no_loop(self, env: VirtualEnvironment) -> None:
        seen: list[str] = []

        def look() -> None:
            seen.append(WHO.get())
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()

        WHO.set("caller")
        repeating = env.every(1, look, "look")
        WHO.set("somebody else")
        await anyio.sleep(2.5)
        repeating.stop()
        assert seen == ["caller", "caller"]

    def test_a_failure_fails_the_run_after_its_end(self, caplog: pytest.LogCaptureFixture) -> None:
        beats: list[float] = []

        async def main(env: VirtualEnvironment) -> None:
            def fail() -> None:
                beats.append(env.monotonic())
                raise LookupError("lost")

            env.every(1, fail, "renewal")
            await anyio.sleep(2.5)

        with caplog.at_level(logging.CRITICAL), pytest.raises(ExceptionGroup) as caught:
            run_virtual(main)
        assert beats == [1.0, 2.0]
        assert [type(each) for each in caught.value.exceptions] == [LookupError, LookupError]

    def test_left_running_it_ends_with_the_run(self) -> None:
        async def main(env: VirtualEnvironment) -> str:
            env.every(1, lambda: None, "for ever")
            await anyio.sleep(10)
            return "done"

        assert run_virtual(main) == "done"


class TestRunVirtual:
    def test_the_result_and_the_exception_come_back(self) -> None:
        async def main(env: VirtualEnvironment) -> str:
            await anyio.sleep(1)
            return f"at {env.monotonic()}"

        async def fail(env: VirtualEnvironment) -> None:
            raise LookupError("lost")

        assert run_virtual(main) == "at 1.0"
        with pytest.raises(LookupError, match="lost"):
            run_virtual(fail)

    def test_any_awaitable_will_do(self) -> None:
        def main(env: VirtualEnvironment) -> asyncio.Future[int]:
            future: asyncio.Future[int] = env.loop.create_future()
            env.loop.call_later(5, future.set_result, 42)
            return future

        assert run_virtual(main) == 42

    def test_what_is_left_is_cancelled_and_may_take_its_time(self) -> None:
        log: list[tuple[str, float]] = []

        async def background(env: VirtualEnvironment) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                await asyncio.sleep(60)
                log.append(("background", env.monotonic()))

        async def main(env: VirtualEnvironment) -> None:
            held.append(asyncio.ensure_future(background(env)))
            await anyio.sleep(1)

        held: list[Any] = []
        run_virtual(main)
        assert log == [("background", 61.0)]

    def test_virtual_time_runs_out(self) -> None:
        async def main(env: VirtualEnvironment) -> None:
            while True:
                await anyio.sleep(10)

        with pytest.raises(VirtualTimeoutError, match=r"main: await anyio\.sleep") as caught:
            run_virtual(main, timeout_virtual_seconds=95)
        assert caught.value.seconds == 95

    def test_by_default_a_year_is_fine_and_waiting_for_ever_is_not(self) -> None:
        async def year(env: VirtualEnvironment) -> float:
            await anyio.sleep(365 * DAY)
            return env.monotonic()

        async def forever(env: VirtualEnvironment) -> None:
            env.every(DAY, lambda: None, "never the last")
            await anyio.sleep_forever()

        assert run_virtual(year) == 365 * DAY
        with pytest.raises(VirtualTimeoutError):
            run_virtual(forever)

    def test_a_runaway_is_stopped_and_cleaned_up(self) -> None:
        ended: list[bool] = []

        async def main(env: VirtualEnvironment) -> None:
            try:
                while True:
                    await asyncio.sleep(0)
            finally:
                await anyio.sleep(1)
                ended.append(True)

        with pytest.raises(RunawayError):
            run_virtual(main, steps_max=100)
        assert ended == [True]

    def test_a_cleanup_that_fails_does_not_hide_the_failure(self) -> None:
        async def stubborn(env: VirtualEnvironment) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.Event().wait()

        with pytest.raises(DeadlockError) as caught:
            run_virtual(stubborn)
        (note,) = caught.value.__notes__
        assert "failed too: deadlock" in note
        finish_off(caught.value)

    def test_a_cleanup_that_fails_alone_is_a_failure(self) -> None:
        async def stubborn() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.Event().wait()

        async def main(env: VirtualEnvironment) -> None:
            asyncio.ensure_future(stubborn()).set_name("stubborn")
            await asyncio.sleep(1)

        with pytest.raises(DeadlockError, match="named 'stubborn'"):
            run_virtual(main)

    def test_what_nobody_handled_fails_the_run(self, caplog: pytest.LogCaptureFixture) -> None:
        async def main(env: VirtualEnvironment) -> None:
            env.loop.call_soon(int, "x")
            await asyncio.sleep(1)

        raised = pytest.raises(ExceptionGroup, match="nobody handled")
        with caplog.at_level(logging.CRITICAL), raised as caught:
            run_virtual(main)
        assert [type(each) for each in caught.value.exceptions] == [ValueError]

    def test_it_refuses_to_run_inside_a_loop(self) -> None:
        async def inner(env: VirtualEnvironment) -> None:
            pytest.fail("ran")

        async def outer() -> None:
            with pytest.raises(ConfigurationError, match="none is running"):
                run_virtual(inner)

        asyncio.run(outer())

    def test_a_seed_decides_ids_chance_and_order(self) -> None:
        async def main(env: VirtualEnvironment) -> tuple[str, str, float]:
            await asyncio.gather(*(asyncio.sleep(1) for _ in range(10)))
            return env.loop.digest(), env.new_id(), env.random().random()

        assert run_virtual(main, seed=5) == run_virtual(main, seed=5)
        assert not set(run_virtual(main, seed=5)) & set(run_virtual(main, seed=6))

    def test_the_garbage_collector_rests_under_a_seed(self) -> None:
        async def main(env: VirtualEnvironment) -> bool:
            return gc.isenabled()

        assert run_virtual(main) is True
        assert run_virtual(main, seed=1) is False
        assert gc.isenabled()

    def test_two_runs_in_two_threads_do_not_meet(self) -> None:
        async def main(env: VirtualEnvironment) -> float:
            for _ in range(500):
                await anyio.sleep(1)
            return env.monotonic()

        results: list[float] = []
        threads = [
            threading.Thread(target=lambda: results.append(run_virtual(main))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [500.0] * 3


def finish_off(error: BaseException) -> None:
    """Let go of the frames that an error keeps, and with them of what it left pending."""
    error.__traceback__ = None


@pytest.fixture
def box() -> Iterator[list[str]]:
    contents: list[str] = ["from the fixture"]
    yield contents
    assert contents[-1] == "from the test"


@virtual_time
async def test_fixtures_come_as_usual(
    env: VirtualEnvironment, box: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    await anyio.sleep(DAY)
    assert tmp_path_factory.getbasetemp().exists()
    box.append("from the test")


@pytest.mark.parametrize("days", [1, 30])
@virtual_time
@pytest.mark.parametrize("hours", [0, 12])
async def test_parameters_come_as_usual(env: VirtualEnvironment, days: int, hours: int) -> None:
    await anyio.sleep(days * DAY + hours * 3_600)
    assert env.monotonic() == days * 86_400 + hours * 3_600


@given(st.integers(min_value=0, max_value=10**6))
@virtual_time
async def test_hypothesis_may_stand_above(env: VirtualEnvironment, seconds: int) -> None:
    await anyio.sleep(seconds)
    assert env.monotonic() == seconds


@virtual_time(seed=3, timeout_virtual_seconds=10)
async def test_options_are_those_of_run_virtual(env: VirtualEnvironment) -> None:
    assert not gc.isenabled()
    with pytest.raises(AssertionError):
        assert env.new_id() == VirtualEnvironment(env.loop, seed=4).new_id()
    assert isinstance(asyncio.get_running_loop(), VirtualTimeLoop)


class TestDecorator:
    def test_it_leaves_a_plain_function(self) -> None:
        async def test(box: int, env: VirtualEnvironment, *, other: str = "x") -> None:
            """Say so."""
            seen.append((box, other, env.monotonic()))

        seen: list[Any] = []
        plain = virtual_time(test)
        assert not inspect.iscoroutinefunction(plain)
        assert str(inspect.signature(plain)) == "(box: 'int', *, other: 'str' = 'x') -> 'None'"
        assert (plain.__name__, plain.__doc__) == ("test", "Say so.")
        plain(box=1)
        plain(2, other="y")
        assert seen == [(1, "x", 0.0), (2, "y", 0.0)]

    def test_options_reach_the_run(self) -> None:
        @virtual_time(timeout_virtual_seconds=5)
        async def test(env: VirtualEnvironment) -> None:
            await anyio.sleep(6)

        with pytest.raises(VirtualTimeoutError):
            test()

    def test_a_test_without_env_is_refused(self) -> None:
        async def test(clock: VirtualEnvironment) -> None: ...

        with pytest.raises(ConfigurationError, match="no parameter 'env'"):
            virtual_time(test)

    def test_a_failing_test_fails(self) -> None:
        @virtual_time
        async def test(env: VirtualEnvironment) -> None:
            await anyio.sleep(1)
            assert env.monotonic() == 2

        with pytest.raises(AssertionError):
            test()
