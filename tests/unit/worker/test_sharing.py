"""The law of carriers: that attempts share a task changes nothing that their code can see."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
from hypothesis import given, settings, strategies as st

from durable_async.model.history import ActivityCompleted, ActivityFailed, Letter
from durable_async.testing import VirtualEnvironment, run_virtual
from durable_async.worker._activities import ActivityRunner, Attempt

from .carrying import (
    Bench,
    cancels_itself,
    changes_its_mind,
    is_cancelled_later,
    leaves_a_scope_open,
    leaves_a_time_limit_open,
    leaves_an_expiring_scope_open,
    told,
)

Script = list[tuple[Any, ...]]


class OneTaskEach(ActivityRunner):
    """The plain way: each attempt is awaited in a task and a cancel scope of its own."""

    def _next_to_share(self) -> Attempt | None:
        self._waiters.update(attempt.activity.name for attempt in self._line)
        return super()._next_to_share()

    async def _run_alone(self, attempt: Attempt) -> None:
        self._set_limits(attempt)
        scope = anyio.CancelScope(deadline=self._deadline(attempt))
        # Errors of the scope's: another one was left open, or the code has cancelled its task itself, too.
        with contextlib.suppress(RuntimeError, asyncio.CancelledError), scope:
            attempt.scope = scope
            self._end(attempt, await self._outcome(attempt))
            scope.deadline = float("inf")
        if anyio.current_time() >= scope.deadline:
            self._end(attempt, self._timed_out(attempt))
        self._make_way()


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
        note("before", step[0], told.get(), env.monotonic(), anyio.current_effective_deadline())
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
@given(st.lists(cases, min_size=1, max_size=8), st.sampled_from([1, 2, 100]))
def test_sharing_changes_nothing_that_code_can_see(mix: list[Case], bound: int) -> None:
    """Attempts that wait, fail, swallow, clean up, time out, leave things behind and are stopped: each sees what it sees in a task of its own."""
    assert observe(ActivityRunner, mix, bound) == observe(OneTaskEach, mix, bound)
