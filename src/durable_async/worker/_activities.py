"""Runs activities: attempts on the event loop or in threads, bounded, timed, and stoppable."""

from __future__ import annotations

import asyncio
import functools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.abc import TaskStatus

from durable_async._engine.activity import ActivityContext, cancel_activity, enter_activity
from durable_async.environment import Environment
from durable_async.errors import SerializationError
from durable_async.failure import FailureDetails
from durable_async.model.history import ActivityCompleted, ActivityFailed, ActivityHeartbeat, Letter
from durable_async.model.policy import ActivityOptions, seconds_of
from durable_async.registry import Activity
from durable_async.serialization import DataConverter

from .settings import WorkerSettings

HEARTBEAT_RECORDED_SECONDS = 1.0
"""Details of heartbeats are made durable at most this often."""

Deliver = Callable[["Attempt", Letter], None]


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt of one activity.

    Attributes:
        item_id: Its row in the hub's queue, if it came from there.
        number: Which attempt it is, from 1.
        expires_us: When its outcome is not wanted any more (schedule to close), or ``None``.
        heartbeat: What the attempt before reported.
        stopped: Whether nobody waits for its outcome.
    """

    activity: Activity[Any, Any]
    instance_id: str
    execution: int
    seq: int
    number: int
    input: bytes
    options: ActivityOptions
    expires_us: int | None = None
    heartbeat: bytes | None = None
    item_id: int | None = None
    stopped: bool = False
    scope: anyio.CancelScope | None = None
    context: ActivityContext | None = None
    unrecorded: bytes | None = None
    recorded_at: float = -math.inf
    limit_at: float = math.inf


class ActivityRunner:
    """Runs attempts, as long as somebody runs it.

    Args:
        hub: Name of the task hub, for idempotency keys.
        now_us: The store's clock.
        deliver: Gets the letter of each attempt that ended and was not stopped, and heartbeats.
        may_begin: Asked before an attempt begins; one that may not is dropped.
    """

    def __init__(
        self,
        hub: str,
        environment: Environment,
        payloads: DataConverter,
        settings: WorkerSettings,
        now_us: Callable[[], int],
        deliver: Deliver,
        may_begin: Callable[[], bool],
    ) -> None:
        self._hub = hub
        self._group = asyncio.TaskGroup()  # begins a task at a sixth of what it costs anyio's
        self._begun: set[Attempt] = set()
        self._environment = environment
        self._payloads = payloads
        self._settings = settings
        self._now_us = now_us
        self._deliver = deliver
        self._may_begin = may_begin
        self._threads = anyio.CapacityLimiter(settings.threads_max)
        self._backlog: deque[Attempt] = deque()
        self._loop = asyncio.get_running_loop()
        self.running = 0
        self.closed = False

    @property
    def room(self) -> int:
        """How many more attempts may run or wait here."""
        return self.free + max(0, self._settings.backlog_max - len(self._backlog))

    @property
    def free(self) -> int:
        """How many more attempts could run at once."""
        return max(0, self._settings.activities_max - self.running)

    def start(self, attempt: Attempt) -> None:
        """Run an attempt now, or when one of those before it has ended. Nothing happens after ``closed`` was set."""
        if self.closed:
            return
        if self.running < self._settings.activities_max:
            self.running += 1
            self._group.create_task(self._run(attempt))
        else:
            self._backlog.append(attempt)

    def stop(self, attempt: Attempt) -> None:
        """Cancel an attempt: its code gets the cancellation, its outcome is dropped."""
        attempt.stopped = True
        if attempt.context is not None:
            cancel_activity(attempt.context)
        if attempt.scope is not None:
            attempt.scope.cancel()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Host attempts until cancelled; those that run then are cancelled until they end."""
        async with self._group:
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                # The group would cancel each once, and some code would take that for its own failure.
                self.closed = True
                for attempt in self._begun:
                    if attempt.scope is not None:
                        attempt.scope.cancel()

    async def _run(self, attempt: Attempt) -> None:
        self._begun.add(attempt)
        try:
            if not attempt.stopped and self._may_begin():
                letter = await self._outcome(attempt)
                if letter is not None and not attempt.stopped:
                    self._record_heartbeat(attempt)
                    self._deliver(attempt, letter)
        finally:
            self._begun.discard(attempt)
            self.running -= 1
            self._start_next()

    def _start_next(self) -> None:
        while self._backlog and self.running < self._settings.activities_max:
            attempt = self._backlog.popleft()
            if not attempt.stopped:
                self.start(attempt)

    async def _outcome(self, attempt: Attempt) -> Letter | None:
        self._set_limits(attempt)
        with anyio.CancelScope(deadline=self._deadline(attempt)) as scope:
            attempt.scope = scope
            try:
                return ActivityCompleted(attempt.seq, await self._call(attempt))
            except SerializationError as error:
                return _failed(attempt, FailureDetails.of(error, non_retryable=True))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - user code may raise anything
                return _failed(attempt, FailureDetails.of(error))
            except asyncio.CancelledError as error:
                if anyio.current_effective_deadline() == -math.inf:
                    raise
                # Nobody cancelled it: it awaited something that was cancelled, which is its own failure.
                return _failed(attempt, FailureDetails.of(error))
        if attempt.stopped:
            return None
        return self._timed_out(attempt)

    async def _call(self, attempt: Attempt) -> bytes:
        activity = attempt.activity
        context = attempt.context = self._context(attempt)
        enter_activity(context)
        where = f"activity {activity.name!r}"
        args, kwargs = activity.signature.decode(self._payloads, attempt.input, f"{where} input")
        if activity.is_async:
            value = await activity.function(*args, **kwargs)
        else:
            value = await self._environment.run_in_thread(
                functools.partial(activity.function, *args, **kwargs),
                limiter=self._threads,
                abandon_on_cancel=True,
            )
        return self._payloads.encode(value, f"{where} result")

    def _context(self, attempt: Attempt) -> ActivityContext:
        limit_us = None
        if attempt.limit_at < math.inf:
            left = attempt.limit_at - anyio.current_time()
            limit_us = self._now_us() + round(left * 1e6)
        return ActivityContext(
            hub=self._hub,
            name=attempt.activity.name,
            instance_id=attempt.instance_id,
            execution=attempt.execution,
            seq=attempt.seq,
            attempt=attempt.number,
            deadline_us=limit_us,
            last_heartbeat=attempt.heartbeat,
            payloads=self._payloads,
            beat=functools.partial(self._beat_from_anywhere, attempt),
        )

    # -- time limits and heartbeats

    def _set_limits(self, attempt: Attempt) -> None:
        limit = attempt.options.start_to_close
        if limit is not None:
            attempt.limit_at = anyio.current_time() + seconds_of(limit, "start_to_close")
        if attempt.expires_us is not None:
            left = (attempt.expires_us - self._now_us()) / 1e6
            attempt.limit_at = min(attempt.limit_at, anyio.current_time() + left)

    def _deadline(self, attempt: Attempt) -> float:
        silence = attempt.options.heartbeat
        if silence is None:
            return attempt.limit_at
        return min(attempt.limit_at, anyio.current_time() + seconds_of(silence, "heartbeat"))

    def _timed_out(self, attempt: Attempt) -> Letter:
        if attempt.context is not None:
            cancel_activity(attempt.context)
        silent = anyio.current_time() < attempt.limit_at
        text = (
            f"no heartbeat for {attempt.options.heartbeat} s"
            if silent
            else f"not done within {attempt.options.start_to_close or attempt.options.schedule_to_close} s"
        )
        name = attempt.activity.name
        details = FailureDetails(
            "builtins.TimeoutError", f"activity {name!r}, attempt {attempt.number}: {text}"
        )
        return _failed(attempt, details)

    def _beat_from_anywhere(self, attempt: Attempt, details: bytes) -> None:
        attempt.unrecorded = (
            details  # here, so that an attempt that fails right after does not lose it
        )
        self._loop.call_soon_threadsafe(self._beat, attempt)

    def _beat(self, attempt: Attempt) -> None:
        if attempt.stopped or attempt.scope is None:
            return
        attempt.scope.deadline = self._deadline(attempt)
        if anyio.current_time() - attempt.recorded_at >= HEARTBEAT_RECORDED_SECONDS:
            self._record_heartbeat(attempt)

    def _record_heartbeat(self, attempt: Attempt) -> None:
        if attempt.unrecorded is not None:
            attempt.recorded_at = anyio.current_time()
            self._deliver(attempt, ActivityHeartbeat(attempt.seq, attempt.unrecorded))
        attempt.unrecorded = None


def _failed(attempt: Attempt, failure: FailureDetails) -> ActivityFailed:
    return ActivityFailed(attempt.seq, attempt.number, failure)
