"""Activities that came through the hub's queue: run here, reported to wherever their instance is, stopped when nobody wants them."""

from __future__ import annotations

import functools

import anyio

from durable_async._engine.options import decode_options, encode_limits
from durable_async.errors import BackendUnavailableError, CorruptHistoryError
from durable_async.failure import FailureDetails
from durable_async.model.history import ActivityFailed, ActivityHeartbeat, Letter
from durable_async.model.records import (
    ActivityProgress,
    ActivityResult,
    ClaimedActivity,
    Outgoing,
)
from durable_async.serialization.events import encode_letter

from ._activities import ActivityRunner, Attempt
from ._telling import recorded
from ._tools import Tools, ignore

PAUSE_SECONDS = 0.25
"""Shortest time between two questions whether what runs is still wanted, however many hints come."""


class QueuedActivities:
    """Those that this worker has claimed."""

    def __init__(self, tools: Tools, runner: ActivityRunner, worker_id: str) -> None:
        self._tools = tools
        self._runner = runner
        self._worker_id = worker_id
        self._running: dict[int, Attempt] = {}
        self._begun = anyio.Event()
        self._hint = anyio.Event()

    def is_running(self, item_id: int) -> bool:
        """Tell whether one was begun and has not ended."""
        return item_id in self._running

    def begin(self, item: ClaimedActivity) -> None:
        """Begin one that was just claimed, or give up on it if that was tried often enough."""
        try:
            attempt = self._attempt(item)
        except CorruptHistoryError as error:
            self._refuse(item, error)
            return
        if item.attempts > self._tools.settings.attempts_max:
            self.deliver(attempt, _never_came_through(attempt, self._tools.settings.attempts_max))
            return
        self._running[item.item_id] = attempt
        self._begun.set()
        self._runner.start(attempt)

    def deliver(self, attempt: Attempt, letter: Letter) -> None:
        """Send what an attempt reports, or how it ended."""
        assert attempt.item_id is not None
        outgoing = Outgoing(
            instance_id=attempt.instance_id,
            execution=attempt.execution,
            letter=encode_letter(letter),
        )
        item: ActivityProgress | ActivityResult
        if isinstance(letter, ActivityHeartbeat):
            options = encode_limits(
                attempt.options, attempt.expires_us, letter.details, attempt.origin
            )
            item = ActivityProgress(item_id=attempt.item_id, outgoing=outgoing, options=options)
        else:
            self._running.pop(attempt.item_id, None)
            item = ActivityResult(item_id=attempt.item_id, outgoing=outgoing)
        ongoing = None if isinstance(letter, ActivityHeartbeat) else attempt.ongoing
        done = ignore if ongoing is None else functools.partial(recorded, ongoing)
        self._tools.committer.submit(item, done)

    def _refuse(self, item: ClaimedActivity, error: CorruptHistoryError) -> None:
        """Let one fail that cannot be begun: its row is damaged."""
        activity = item.activity
        details = FailureDetails.of(error, non_retryable=True)
        outgoing = Outgoing(
            instance_id=activity.instance_id,
            execution=activity.execution,
            letter=encode_letter(ActivityFailed(activity.seq, activity.attempt, details)),
        )
        result = ActivityResult(item_id=item.item_id, outgoing=outgoing)
        self._tools.committer.submit(result, ignore)

    def hint(self) -> None:
        """Something changed: perhaps one is not wanted any more."""
        self._hint.set()

    async def watch(self) -> None:
        """Ask about once a second, and when a hint comes, whether what runs is still wanted; stop what is not."""
        while True:
            if not self._running:
                self._begun = anyio.Event()
                await self._begun.wait()
            await anyio.sleep(PAUSE_SECONDS)
            with anyio.move_on_after(self._tools.settings.poll_seconds):
                await self._hint.wait()
            self._hint = anyio.Event()  # before the question: what comes after it is heard
            await self._stop_unwanted()

    async def _stop_unwanted(self) -> None:
        asked = tuple(self._running)
        if not asked:
            return
        try:
            unwanted = await self._tools.backend.unwanted_activities(self._worker_id, asked)
        except BackendUnavailableError:
            return  # a question that is asked again soon
        for item_id in unwanted:
            attempt = self._running.pop(item_id, None)
            if attempt is not None:
                self._runner.stop(attempt)

    def _attempt(self, item: ClaimedActivity) -> Attempt:
        queued = item.activity
        activity = self._tools.registry.find_activity(queued.name)
        assert activity is not None, "only registered names are claimed"
        options, stored = decode_options(queued.instance_id, queued.options)
        return Attempt(
            self._runner,
            activity,
            queued.instance_id,
            queued.execution,
            queued.seq,
            queued.attempt,
            queued.input,
            options,
            stored.expires_us,
            stored.last_heartbeat,
            item.item_id,
            origin=stored.origin,
        )


def _never_came_through(attempt: Attempt, attempts_max: int) -> ActivityFailed:
    details = FailureDetails(
        "durable_async.errors.BackendError",
        f"activity {attempt.activity.name!r} was begun {attempts_max} times, and its worker never came through",
        non_retryable=True,
    )
    return ActivityFailed(attempt.seq, attempt.number, details)
