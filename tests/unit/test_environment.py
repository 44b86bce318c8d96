"""The real environment, and the promises that the virtual one keeps as well."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import random
import re
import socket
import threading
import time
from collections.abc import Callable

import anyio
import pytest
from hypothesis import given, strategies as st

from durable_async.environment import Environment, Stoppable, SystemEnvironment, next_due
from durable_async.errors import ValidationError
from durable_async.testing import VirtualEnvironment, VirtualTimeLoop

PATIENCE = 30.0
"""How long a test waits for another thread before it fails."""

SOON = 0.001

WHO = contextvars.ContextVar("WHO", default="nobody")


def typed(env: SystemEnvironment, virtual: VirtualEnvironment) -> list[Environment]:
    """Make the type checker compare both with the protocol."""
    return [env, virtual]


def test_both_have_every_verb() -> None:
    loop = VirtualTimeLoop()
    verbs = [name for name in vars(Environment) if not name.startswith("_")]
    assert len(verbs) == 8
    for env in typed(SystemEnvironment(), VirtualEnvironment(loop)):
        assert all(callable(getattr(env, verb)) for verb in verbs)
    loop.close()


class TestAsking:
    def test_now_is_the_system_clock(self) -> None:
        before = time.time_ns() // 1_000
        now = SystemEnvironment().now_us()
        assert before <= now <= time.time_ns() // 1_000

    def test_monotonic_is_the_system_one(self) -> None:
        before = time.monotonic()
        now = SystemEnvironment().monotonic()
        assert before <= now <= time.monotonic()

    def test_ids_are_32_hex_digits_and_never_the_same(self) -> None:
        env = SystemEnvironment()
        ids = [env.new_id() for _ in range(1_000)]
        assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
        assert len(set(ids)) == len(ids)

    @given(st.integers(0, 2**46), st.integers(1, 2**46))
    def test_ids_of_later_milliseconds_come_later(self, first_ms: int, more_ms: int) -> None:
        env = SystemEnvironment()
        with pytest.MonkeyPatch.context() as patch:
            ids = []
            for now_ms in (first_ms, first_ms + more_ms):
                patch.setattr(time, "time_ns", lambda now_ms=now_ms: now_ms * 1_000_000)
                ids.append(env.new_id())
        assert ids == sorted(ids)
        assert {len(one) for one in ids} == {32}

    def test_chance_holds_no_state_to_share(self) -> None:
        source = SystemEnvironment().random()
        assert isinstance(source, random.Random)
        assert len({source.random() for _ in range(100)}) == 100
        with pytest.raises(NotImplementedError):
            source.getstate()

    def test_who_and_where(self) -> None:
        env = SystemEnvironment()
        assert env.pid() == os.getpid()
        assert env.hostname() == socket.gethostname()


class TestRunInThread:
    async def test_it_is_another_thread_without_a_loop(self) -> None:
        def look(*parts: str) -> tuple[str, int]:
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            return "-".join(parts), threading.get_ident()

        text, thread = await SystemEnvironment().run_in_thread(look, "a", "b")
        assert text == "a-b"
        assert thread != threading.get_ident()

    async def test_exceptions_come_back(self) -> None:
        def fail() -> None:
            raise LookupError("lost")

        with pytest.raises(LookupError, match="lost"):
            await SystemEnvironment().run_in_thread(fail)

    async def test_the_limiter_is_held_meanwhile(self) -> None:
        limiter = anyio.CapacityLimiter(1)
        held = await SystemEnvironment().run_in_thread(
            lambda: limiter.borrowed_tokens, limiter=limiter
        )
        assert (held, limiter.borrowed_tokens) == (1, 0)

    async def test_an_abandoned_call_ends_unseen(self) -> None:
        let_go, ended, entered = threading.Event(), threading.Event(), anyio.Event()
        loop = asyncio.get_running_loop()

        def block() -> None:
            loop.call_soon_threadsafe(entered.set)
            let_go.wait(PATIENCE)
            ended.set()

        async with anyio.create_task_group() as group:

            async def call() -> None:
                await SystemEnvironment().run_in_thread(block, abandon_on_cancel=True)

            group.start_soon(call)
            await entered.wait()
            group.cancel_scope.cancel()
        assert not ended.is_set()
        let_go.set()
        assert ended.wait(PATIENCE)


class Calls:
    """Counts calls from another thread, and lets a test wait for them."""

    def __init__(self, enough: int, then: Callable[[], None] = lambda: None) -> None:
        self.count = 0
        self.enough = enough
        self.then = then
        self.reached = threading.Event()

    def __call__(self) -> None:
        self.count += 1
        if self.count >= self.enough:
            self.reached.set()
        self.then()


async def stop(repeating: Stoppable) -> None:
    repeating.stop()
    with anyio.fail_after(PATIENCE):
        await repeating.join()


class TestEvery:
    async def test_it_calls_until_it_is_stopped(self) -> None:
        calls = Calls(5)
        repeating = SystemEnvironment().every(SOON, calls, "calls")
        assert calls.reached.wait(PATIENCE)
        await stop(repeating)
        ended_at = calls.count
        repeating.stop()
        await repeating.join()
        assert calls.count == ended_at

    async def test_a_blocked_event_loop_does_not_hold_it_up(self) -> None:
        calls = Calls(50)
        repeating = SystemEnvironment().every(SOON, calls, "calls")
        blocked_until = calls.reached.wait(PATIENCE)
        assert blocked_until
        await stop(repeating)

    async def test_stopped_at_once_it_never_calls(self) -> None:
        calls = Calls(1)
        await stop(SystemEnvironment().every(3_600, calls, "calls"))
        assert calls.count == 0

    async def test_it_is_a_named_daemon_that_sees_the_callers_context(self) -> None:
        seen: list[tuple[str, bool, str]] = []

        def look() -> None:
            thread = threading.current_thread()
            seen.append((thread.name, thread.daemon, WHO.get()))
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()

        calls = Calls(1, look)
        WHO.set("caller")
        repeating = SystemEnvironment().every(SOON, calls, "lease")
        assert calls.reached.wait(PATIENCE)
        await stop(repeating)
        assert seen[0] == ("lease", True, "caller")

    async def test_the_call_itself_may_stop_it(self) -> None:
        made = threading.Event()
        held: list[Stoppable] = []

        def stop_it() -> None:
            made.wait(PATIENCE)
            held[0].stop()

        calls = Calls(1, stop_it)
        held.append(SystemEnvironment().every(SOON, calls, "calls"))
        made.set()
        assert calls.reached.wait(PATIENCE)
        with anyio.fail_after(PATIENCE):
            await held[0].join()
        assert calls.count == 1

    async def test_join_waits_for_the_call_that_is_running(self) -> None:
        let_go = threading.Event()
        calls = Calls(1, lambda: void(let_go.wait(PATIENCE)))
        repeating = SystemEnvironment().every(SOON, calls, "calls")
        assert calls.reached.wait(PATIENCE)
        repeating.stop()
        joined = anyio.Event()
        async with anyio.create_task_group() as group:

            async def join() -> None:
                await repeating.join()
                assert let_go.is_set()
                joined.set()

            group.start_soon(join)
            await anyio.wait_all_tasks_blocked()
            assert not joined.is_set()
            let_go.set()
        assert joined.is_set()

    async def test_a_wait_for_a_call_that_hangs_can_be_given_up(self) -> None:
        let_go, ended = threading.Event(), threading.Event()

        def hang() -> None:
            let_go.wait(PATIENCE)
            ended.set()

        calls = Calls(1, hang)
        repeating = SystemEnvironment().every(SOON, calls, "calls")
        assert calls.reached.wait(PATIENCE)
        repeating.stop()
        async with anyio.create_task_group() as group:
            group.start_soon(repeating.join)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert not ended.is_set()
        let_go.set()
        with anyio.fail_after(PATIENCE):
            await repeating.join()

    async def test_join_works_while_every_thread_of_anyio_is_taken(self) -> None:
        limiter = anyio.to_thread.current_default_thread_limiter()
        repeating = SystemEnvironment().every(3_600, lambda: None, "calls")
        for taken in range(int(limiter.total_tokens)):
            limiter.acquire_on_behalf_of_nowait(taken)
        await stop(repeating)
        assert limiter.available_tokens == 0
        for taken in range(int(limiter.total_tokens)):
            limiter.release_on_behalf_of(taken)

    async def test_an_exception_is_logged_and_the_calls_go_on(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail() -> None:
            raise LookupError("lost")

        calls = Calls(3, fail)
        with caplog.at_level(logging.ERROR, logger="durable_async"):
            repeating = SystemEnvironment().every(SOON, calls, "renewal")
            assert calls.reached.wait(PATIENCE)
            await stop(repeating)
        first = caplog.records[0]
        assert "renewal failed" in first.getMessage()
        assert first.exc_info is not None
        assert isinstance(first.exc_info[1], LookupError)

    @pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
    @pytest.mark.parametrize("real", [True, False])
    def test_an_interval_must_be_positive(self, seconds: float, real: bool) -> None:
        loop = VirtualTimeLoop()
        env: Environment = SystemEnvironment() if real else VirtualEnvironment(loop)
        with pytest.raises(ValidationError, match="seconds"):
            env.every(seconds, lambda: None, "never")
        loop.close()


def void(_result: object) -> None:
    """Drop a result."""


instants = st.floats(min_value=0, max_value=1e9)
intervals = st.floats(min_value=1e-3, max_value=1e6)


class TestNextDue:
    @given(due=instants, seconds=intervals, late=st.floats(min_value=0, max_value=1e6))
    def test_never_in_the_past_and_never_early(
        self, due: float, seconds: float, late: float
    ) -> None:
        now = due + late
        following = next_due(due, seconds, now)
        assert following >= now
        assert following >= due + seconds
        assert following in {now, due + seconds}

    def test_a_call_in_time_keeps_the_beat(self) -> None:
        assert next_due(10.0, 5.0, 12.0) == 15.0

    def test_a_late_call_is_followed_at_once_and_only_once(self) -> None:
        following = next_due(10.0, 5.0, 38.0)
        assert following == 38.0
        assert next_due(following, 5.0, 38.0) == 43.0
