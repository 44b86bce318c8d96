"""A runner of activities by itself, and activities that leave things behind in their tasks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import anyio

from durable_async import Registry
from durable_async.model.history import ActivityCompleted, Letter
from durable_async.model.policy import ActivityOptions
from durable_async.serialization import JsonConverter
from durable_async.testing import VirtualEnvironment
from durable_async.worker._activities import ActivityRunner, Attempt
from durable_async.worker.settings import WorkerSettings

told: ContextVar[str] = ContextVar("told", default="nothing")


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
