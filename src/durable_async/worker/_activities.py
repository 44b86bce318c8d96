"""Runs activities: attempts on the event loop or in threads, bounded, timed, and stoppable."""

from __future__ import annotations

import asyncio
import functools
import math
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
from anyio.abc import TaskStatus

from durable_async._engine.activity import enter_activity
from durable_async.environment import Environment
from durable_async.errors import SerializationError
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityHeartbeat,
    Letter,
    Origin,
)
from durable_async.model.policy import ActivityOptions, seconds_of
from durable_async.registry import Activity
from durable_async.serialization import DataConverter
from durable_async.telemetry import Ongoing, Outcome

from ._bell import Bell
from ._carriers import Begun, Carrier
from .settings import SLICE_SECONDS, WorkerSettings

WAITERS_MAX = 10_000
"""Names of activities that are remembered to have waited."""

HEARTBEAT_RECORDED_SECONDS = 1.0
"""Details of heartbeats are made durable at most this often."""

Deliver = Callable[["Attempt", Letter], None]
_BegunAttempt = Begun[Letter]


class Attempt(msgspec.Struct, eq=False):
    """One attempt of one activity.

    Attributes:
        item_id: Its row in the hub's queue, if it came from there.
        number: Which attempt it is, from 1.
        expires_us: When its outcome is not wanted any more (schedule to close), or ``None``.
        heartbeat: What this attempt has reported, or the one before.
        stopped: Whether nobody waits for its outcome.
        is_over: Whether its code may know that.
        unrecorded: What it has reported since that was made durable.
        origin: That of its orchestration, where somebody listens.
        ongoing: What whoever listens makes of it.
        for_good: Whether, if it was stopped, it is not begun again anywhere.
    """

    runner: ActivityRunner
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
    is_over: bool = False
    scope: anyio.CancelScope | None = None
    unrecorded: bytes | None = None
    recorded_at: float = -math.inf
    limit_at: float = math.inf
    deadline_us: int | None = None
    origin: Origin | None = None
    ongoing: Ongoing | None = None
    for_good: bool = False

    @property
    def name(self) -> str:
        """The activity's name."""
        return self.activity.name

    @property
    def hub(self) -> str:
        """The task hub, for idempotency keys."""
        return self.runner.hub

    @property
    def payloads(self) -> DataConverter:
        """What its values are encoded with."""
        return self.runner.payloads

    @property
    def has_limits(self) -> bool:
        """Whether it may be cancelled because of the time."""
        options = self.options
        return (
            self.expires_us is not None
            or options.start_to_close is not None
            or options.heartbeat is not None
        )

    def beat(self, details: bytes) -> None:
        """Take a heartbeat; from any thread."""
        # At once, so that an attempt that fails right after does not lose it.
        self.heartbeat = self.unrecorded = details
        self.runner.hear(self)


class ActivityRunner:
    """Runs attempts, as long as somebody runs it.

    One task takes attempts from the line and runs them one after the other. If one waits, the task stays with it to its end, and another
    takes over the line. What is expected to wait has a task of its own from the start.

    Args:
        hub: Name of the task hub, for idempotency keys.
        now_us: The store's clock.
        deliver: Gets the letter of each attempt that ended and was not stopped, and heartbeats.
        may_begin: Asked before an attempt begins; one that may not is dropped.

    Attributes:
        promised: How many attempts will be started here when their calls are durable, or may be brought by the fetch that is on its way;
            there is room kept for them.
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
        tell: Callable[[Attempt], Ongoing | None] | None = None,
    ) -> None:
        self.hub = hub
        self._group = asyncio.TaskGroup()  # begins a task at a sixth of what it costs anyio's
        self._carriers: dict[Carrier, None] = {}  # in order, so that a seed decides all
        self._environment = environment
        self.payloads = payloads
        self._settings = settings
        self._now_us = now_us
        self._deliver = deliver
        self._may_begin = may_begin
        self._tell = tell
        self._run_code = self._outcome if tell is None else self._watched_outcome
        self._threads = anyio.CapacityLimiter(settings.threads_max)
        self._line: deque[Attempt] = deque()
        self._line_moves = Bell()  # for the one task that is at the line
        self._waiters: set[str] = set()
        self._loop = asyncio.get_running_loop()
        self.running = 0
        self.promised = 0
        self.closed = False

    @property
    def room(self) -> int:
        """How many more attempts may run or wait here."""
        settings = self._settings
        taken = self.running + len(self._line) + self.promised
        return max(0, settings.activities_max + settings.backlog_max - taken)

    @property
    def free(self) -> int:
        """How many more attempts could run at once."""
        taken = self.running + len(self._line) + self.promised
        return max(0, self._settings.activities_max - taken)

    def start(self, attempt: Attempt) -> None:
        """Run an attempt soon, or when one of those before it has ended. Nothing happens after ``closed`` was set."""
        if self.closed:
            return
        if not self._line:
            self._line_moves.ring()
        self._line.append(attempt)

    @property
    def waiting(self) -> int:
        """How many attempts are in line."""
        return len(self._line)

    def stop(self, attempt: Attempt, *, for_good: bool = True) -> None:
        """Cancel an attempt: its code gets the cancellation, its outcome is dropped."""
        attempt.stopped = attempt.is_over = True
        attempt.for_good = for_good
        if attempt.scope is not None:
            attempt.scope.cancel()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Host attempts until cancelled; those that run then are cancelled until they end."""
        async with self._group:
            self._group.create_task(self._share())
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                # The group would cancel each once, and some code would take that for its own failure.
                self.closed = True
                for carrier in self._carriers:
                    carrier.scope.cancel()

    # -- in which task

    async def _share(self) -> None:
        """Run attempts from the line in this task, up to the first that waits; then another task takes over the line."""
        with Carrier(self._carriers) as carrier:
            waiting = await self._find_one_that_waits(carrier)
            if not self.closed:
                self._group.create_task(self._share())
            if waiting is not None:
                self.running += 1
                try:
                    await self._stay_with(*waiting, carrier)
                finally:
                    self._make_way()

    async def _find_one_that_waits(self, carrier: Carrier) -> tuple[Attempt, _BegunAttempt] | None:
        """Run attempts to their ends until one waits; ``None`` if one has left something behind."""
        clock = self._environment.monotonic
        while True:
            carrier.remember()
            slice_end = clock() + SLICE_SECONDS
            while (attempt := self._next_to_share()) is not None:
                begun = self._begin(attempt, carrier)
                if begun.waits:
                    return attempt, begun
                self._end(attempt, begun.result)
                if not carrier.is_as_before:
                    return None
                if clock() >= slice_end:
                    break
            if attempt is None:
                await self._line_moves.wait()
            else:
                await asyncio.sleep(0)

    def _next_to_share(self) -> Attempt | None:
        """Take the first in line that is not expected to wait; those before it begin in tasks of their own."""
        while self._line and self.running < self._settings.activities_max and not self.closed:
            attempt = self._line.popleft()
            if attempt.stopped or not self._may_begin():
                continue
            # What needs a thread waits for it.
            if attempt.activity.is_async and attempt.activity.name not in self._waiters:
                return attempt
            self.running += 1
            self._group.create_task(self._run_alone(attempt))
        return None

    async def _run_alone(self, attempt: Attempt) -> None:
        """Run an attempt in this task."""
        try:
            if attempt.stopped or not self._may_begin():
                return
            with Carrier(self._carriers) as carrier:
                begun = self._begin(attempt, carrier)
                if begun.waits:
                    await self._stay_with(attempt, begun, carrier)
                else:
                    self._waiters.discard(attempt.activity.name)
                    self._end(attempt, begun.result)
        finally:
            self._make_way()

    def _begin(self, attempt: Attempt, carrier: Carrier) -> _BegunAttempt:
        """Take an attempt's first step, in a carrier's task."""
        if not attempt.has_limits:
            return Begun(self._run_code(attempt))
        self._set_limits(attempt)
        carrier.scope.deadline = self._deadline(attempt)
        begun = Begun(self._run_code(attempt))
        if not begun.waits:
            carrier.lift_limit()
        return begun

    async def _stay_with(self, attempt: Attempt, begun: _BegunAttempt, carrier: Carrier) -> None:
        """Carry an attempt to its end."""
        if len(self._waiters) >= WAITERS_MAX:  # with a fallback, names come from callers
            self._waiters.clear()
        self._waiters.add(attempt.activity.name)
        attempt.scope = carrier.scope
        if attempt.stopped:  # by itself
            carrier.scope.cancel()
        try:
            self._end(attempt, await begun)
        except asyncio.CancelledError:
            if anyio.current_time() >= carrier.scope.deadline:
                self._end(attempt, self._timed_out(attempt))
            raise

    def _make_way(self) -> None:
        self.running -= 1
        self._line_moves.ring()

    # -- what comes of it

    async def _outcome(self, attempt: Attempt) -> Letter:
        """Run an attempt's code."""
        activity = attempt.activity
        enter_activity(attempt)
        try:
            args, kwargs = activity.decode_input(self.payloads, attempt.input)
            if activity.is_async:
                value = await activity.function(*args, **kwargs)
            else:
                value = await self._environment.run_in_thread(
                    functools.partial(activity.function, *args, **kwargs),
                    limiter=self._threads,
                    abandon_on_cancel=True,
                )
            return ActivityCompleted(attempt.seq, activity.encode_result(self.payloads, value))
        except SerializationError as error:
            return _failed(attempt, FailureDetails.of(error, non_retryable=True))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code may raise anything
            return _failed(attempt, FailureDetails.of(error))
        except asyncio.CancelledError as error:
            if attempt.scope is not None and attempt.scope.cancel_called:
                raise
            # Nobody cancelled it: it awaited something that was cancelled, which is its own failure.
            return _failed(attempt, FailureDetails.of(error))

    async def _watched_outcome(self, attempt: Attempt) -> Letter:
        """Run an attempt's code, and tell of it; in one context, which whoever listens may put something into."""
        assert self._tell is not None
        attempt.ongoing = ongoing = self._tell(attempt)
        if ongoing is None:
            return await self._outcome(attempt)
        clock = self._environment.monotonic
        begun_at = clock()
        try:
            letter = await self._outcome(attempt)
        except BaseException:
            if _is_late(attempt):
                ongoing.ended(_outcome("failed", clock() - begun_at, "builtins.TimeoutError"))
            else:
                ongoing.ended(_outcome("cancelled", clock() - begun_at))
                if attempt.for_good:
                    ongoing.recorded()
            raise
        if isinstance(letter, ActivityFailed):
            ongoing.ended(_outcome("failed", clock() - begun_at, letter.failure.error_type))
        else:
            ongoing.ended(_outcome("completed", clock() - begun_at))
        if attempt.for_good:
            ongoing.recorded()
        return letter

    def _end(self, attempt: Attempt, letter: Letter) -> None:
        if attempt.stopped:
            return
        if attempt.unrecorded is not None:
            self._record_heartbeat(attempt)
        self._deliver(attempt, letter)

    # -- time limits and heartbeats

    def _set_limits(self, attempt: Attempt) -> None:
        limit = attempt.options.start_to_close
        if limit is not None:
            attempt.limit_at = anyio.current_time() + seconds_of(limit, "start_to_close")
        if attempt.expires_us is not None:
            left = (attempt.expires_us - self._now_us()) / 1e6
            attempt.limit_at = min(attempt.limit_at, anyio.current_time() + left)
        if attempt.limit_at < math.inf:
            left = attempt.limit_at - anyio.current_time()
            attempt.deadline_us = self._now_us() + round(left * 1e6)

    def _deadline(self, attempt: Attempt) -> float:
        silence = attempt.options.heartbeat
        if silence is None:
            return attempt.limit_at
        return min(attempt.limit_at, anyio.current_time() + seconds_of(silence, "heartbeat"))

    def _timed_out(self, attempt: Attempt) -> Letter:
        attempt.is_over = True
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

    def hear(self, attempt: Attempt) -> None:
        """Take note of a heartbeat, soon; from any thread."""
        self._loop.call_soon_threadsafe(self._beat, attempt)

    def _beat(self, attempt: Attempt) -> None:
        if attempt.stopped or attempt.scope is None or attempt.scope.cancel_called:
            return
        attempt.scope.deadline = self._deadline(attempt)
        is_due = anyio.current_time() - attempt.recorded_at >= HEARTBEAT_RECORDED_SECONDS
        if is_due and attempt.unrecorded is not None:
            self._record_heartbeat(attempt)

    def _record_heartbeat(self, attempt: Attempt) -> None:
        details, attempt.unrecorded = attempt.unrecorded, None
        attempt.recorded_at = anyio.current_time()
        self._deliver(attempt, ActivityHeartbeat(attempt.seq, details))


def _is_late(attempt: Attempt) -> bool:
    """Tell whether it is the time that cancels an attempt."""
    scope = attempt.scope
    return scope is not None and not attempt.stopped and anyio.current_time() >= scope.deadline


def _outcome(status: Any, seconds: float, error: str = "") -> Outcome:
    return Outcome(status=status, seconds=seconds, error=error)


def _failed(attempt: Attempt, failure: FailureDetails) -> ActivityFailed:
    return ActivityFailed(attempt.seq, attempt.number, failure)
