"""Attempts that share a task notice nothing of it: laws of what runs in carriers."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
import weakref
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from hypothesis import given, settings, strategies as st

from durable_async import Registry, activity_context
from durable_async.model.history import ActivityCompleted, ActivityFailed, Letter
from durable_async.model.policy import ActivityOptions
from durable_async.serialization import JsonConverter
from durable_async.testing import VirtualEnvironment, run_virtual, virtual_time
from durable_async.worker._activities import ActivityRunner, Attempt
from durable_async.worker._carriers import Begun
from durable_async.worker.settings import WorkerSettings

told: ContextVar[str] = ContextVar("told", default="nothing")


class OneTaskEach(ActivityRunner):
    """The plain way: nothing shares a task."""

    def _is_expected_to_wait(self, attempt: Attempt) -> bool:
        return True


@dataclass
class Bench:
    """A runner, and what its attempts came to."""

    env: VirtualEnvironment
    kind: type[ActivityRunner] = ActivityRunner
    registry: Registry = field(default_factory=Registry)
    letters: dict[int, Letter] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def running(self, **limits: Any) -> AsyncIterator[ActivityRunner]:
        """Run a runner meanwhile."""
        self.runner = self.kind(
            "hub",
            self.env,
            JsonConverter(),
            WorkerSettings(**limits),
            self.env.now_us,
            self._deliver,
            lambda: True,
        )
        async with anyio.create_task_group() as group:
            await group.start(self.runner.run)
            yield self.runner
            group.cancel_scope.cancel()

    def _deliver(self, attempt: Attempt, letter: Letter) -> None:
        self.letters[attempt.seq] = letter

    def start(self, function: Callable[[], Any], **options: Any) -> Attempt:
        """Start an attempt of a function; each function is an activity of its own name."""
        name = f"{function.__qualname__}-{id(function)}"
        activity = self.registry.find_activity(name)
        if activity is None:
            activity = self.registry.activity(name=name)(function)
        attempt = Attempt(
            self.runner,
            activity,
            "i",
            1,
            len(self.attempts),
            1,
            b"null",
            ActivityOptions(**options),
        )
        self.attempts.append(attempt)
        self.runner.start(attempt)
        return attempt

    async def run(self, *functions: Callable[[], Any]) -> list[Any]:
        """Run functions that return values, one after the other in line."""
        first = len(self.attempts)
        for function in functions:
            self.start(function)
        await asyncio.sleep(1000)
        codec = JsonConverter()
        results = []
        for seq in range(first, len(self.attempts)):
            letter = self.letters[seq]
            assert isinstance(letter, ActivityCompleted), letter
            results.append(codec.decode(letter.result, Any, "result"))
        return results


def task() -> asyncio.Task[Any]:
    """Return the task that runs."""
    found = asyncio.current_task()
    assert found is not None
    return found


async def own_task() -> int:
    return id(task())


async def variable() -> str:
    return told.get()


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


async def leaves_a_scope_open() -> None:
    anyio.CancelScope().__enter__()


async def leaves_a_shield_open() -> None:
    anyio.CancelScope(shield=True).__enter__()


async def leaves_an_expiring_scope_open() -> None:
    anyio.move_on_after(5.2).__enter__()


async def leaves_a_group_open() -> None:
    await anyio.create_task_group().__aenter__()


async def leaves_a_time_limit_open() -> None:
    await asyncio.timeout(5.2).__aenter__()


async def is_cancelled_later() -> None:
    asyncio.get_running_loop().call_later(5.2, task().cancel)


async def cancels_itself() -> None:
    task().cancel()


async def changes_its_mind() -> None:
    task().cancel()
    task().uncancel()


async def takes_a_name() -> None:
    task().set_name("mine")


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


# -- the law: sharing changes nothing

Script = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Case:
    """One attempt: what its code does, what limits it has, when it is started, and stopped."""

    script: Script
    start_to_close: float | None
    begins: int
    stops: float | None


async def play(script: Script, note: Callable[..., None], env: VirtualEnvironment) -> int:
    """Do what a script says."""
    for step in script:
        note("before", step[0], told.get(), env.monotonic())
        match step:
            case ("tell", text):
                told.set(text)
            case ("fail",):
                raise ValueError(told.get())
            case ("leave", what):
                await LEAVING[what]()
            case _:
                note(await wait(*step, note), env.monotonic())
    note("end", told.get(), env.monotonic())
    return len(script)


async def wait(how: str, seconds: int, limit: float, note: Callable[..., None]) -> str:
    """Wait for some seconds; returns how that ended."""
    match how:
        case "plainly":
            await asyncio.sleep(seconds)
        case "without obeying":
            with contextlib.suppress(asyncio.CancelledError):
                await anyio.sleep(seconds)
        case "and clean up":
            try:
                await asyncio.sleep(seconds)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(1)
                note("cleaned up")
        case "with a timeout":
            try:
                async with asyncio.timeout(limit):
                    await asyncio.sleep(seconds)
            except TimeoutError:
                return "timed out"
        case "in a scope":
            with anyio.move_on_after(limit) as scope:
                await anyio.sleep(seconds)
            return f"caught: {scope.cancelled_caught}"
        case "for a task":
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(seconds))
        case "for a task of anyio's":
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.sleep, seconds)
    return "waited"


WAITS = [
    "plainly",
    "without obeying",
    "and clean up",
    "with a timeout",
    "in a scope",
    "for a task",
    "for a task of anyio's",
]
LEAVING = {
    leave.__name__: leave
    for leave in (
        leaves_a_scope_open,
        leaves_an_expiring_scope_open,
        leaves_a_time_limit_open,
        is_cancelled_later,
        cancels_itself,
        changes_its_mind,
    )
}


def observe(kind: type[ActivityRunner], cases: list[Case], bound: int) -> list[Any]:
    """Run cases, and return what each of them saw, and came to."""
    seen: list[list[Any]] = [[] for _ in cases]

    async def main(env: VirtualEnvironment) -> None:
        bench = Bench(env, kind)
        origin = env.monotonic()

        def function(case: Case, notes: list[Any]) -> Callable[[], Any]:
            def note(*what: Any) -> None:
                notes.append([round(x - origin, 3) if isinstance(x, float) else x for x in what])

            async def plays() -> int:
                return await play(case.script, note, env)

            return plays

        async def life(case: Case, notes: list[Any]) -> None:
            await asyncio.sleep(case.begins)
            options = {} if case.start_to_close is None else {"start_to_close": case.start_to_close}
            attempt = bench.start(function(case, notes), **options)
            places[attempt.seq] = notes
            if case.stops is not None:
                await asyncio.sleep(case.stops)
                bench.runner.stop(attempt)

        places: dict[int, list[Any]] = {}
        async with bench.running(activities_max=bound):
            async with asyncio.TaskGroup() as group:
                for case, notes in zip(cases, seen, strict=True):
                    group.create_task(life(case, notes))
            await asyncio.sleep(200)
            assert bench.runner.running == 0
        for seq, letter in bench.letters.items():
            places[seq].append(_came_to(letter))

    run_virtual(main)
    return seen


def _came_to(letter: Letter) -> Any:
    if isinstance(letter, ActivityCompleted):
        return letter.result
    assert isinstance(letter, ActivityFailed)
    return letter.failure.error_type, letter.failure.message.partition(",")[2]


steps = st.one_of(
    st.tuples(st.just("tell"), st.sampled_from(["a", "b"])),
    st.tuples(
        st.sampled_from(WAITS), st.sampled_from([0, 1, 2, 4, 8]), st.sampled_from([0.7, 2.7])
    ),
    st.tuples(st.just("leave"), st.sampled_from(list(LEAVING))),
    st.just(("fail",)),
)
cases = st.builds(
    Case,
    script=st.lists(steps, max_size=4),
    start_to_close=st.sampled_from([None, None, None, 0.0, 1.4, 3.4]),
    begins=st.integers(0, 3),
    stops=st.sampled_from([None, None, 0.3, 0.6, 2.6]),
)


@settings(deadline=None)
@given(st.lists(cases, min_size=1, max_size=8))
def test_sharing_changes_nothing_that_code_can_see(mix: list[Case]) -> None:
    """Attempts that wait, fail, swallow, clean up, time out, leave things behind and are stopped: each sees what it sees in a task of its own."""
    assert observe(ActivityRunner, mix, 100) == observe(OneTaskEach, mix, 100)
