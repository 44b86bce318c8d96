"""Limits of one orchestration: how long its history may get, and how much one turn may ask for.

Looked at before a turn is handed over to be committed, so that nothing of what is over a limit is written. The instance is parked, whole: with
a higher limit, or with other code, it goes on from there.
"""

from __future__ import annotations

import logging

from durable_async._kernel.orchestration import Orchestration, TurnResult
from durable_async.errors import LimitExceededError
from durable_async.model.history import (
    ActivityScheduled,
    EntityCalled,
    EntitySignaled,
    EventSent,
    SubOrchestrationScheduled,
    TimerCreated,
)
from durable_async.telemetry.logs import about

from .settings import WorkerSettings

WARN_SHARE = 5
"""A history is warned of at a fifth of what it may come to."""

_CALLS = (
    ActivityScheduled,
    EntityCalled,
    EntitySignaled,
    EventSent,
    SubOrchestrationScheduled,
    TimerCreated,
)
_SHORTER = "let it continue as new now and then, or wait for fewer things in one instance"

_log = logging.getLogger("durable_async")


class Limits:
    """What one worker holds its orchestrations to."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._events_max = settings.instance_events_max
        self._bytes_max = settings.instance_bytes_max
        self._calls_max = settings.turn_calls_max
        self._events_warn = settings.instance_events_max // WARN_SHARE
        self._bytes_warn = settings.instance_bytes_max // WARN_SHARE

    def check(
        self, instance: Orchestration, result: TurnResult, bytes_before: int, bytes_new: int
    ) -> None:
        """Let a turn pass, perhaps with a warning. One that ends the execution always passes: nothing follows.

        Args:
            instance: The instance after the turn.
            result: What the turn came to.
            bytes_before: Size of the history without it.
            bytes_new: What it adds.

        Raises:
            LimitExceededError: It is too much; the message names the setting.
        """
        added = len(result.events)
        if added > self._calls_max:
            self._check_calls(result)
        events, size = instance.history_length, bytes_before + bytes_new
        if events <= self._events_warn and size <= self._bytes_warn:
            return
        if result.outcome is None:
            self._check_length(events, size)
            if events - added <= self._events_warn and bytes_before <= self._bytes_warn:
                self._warn(instance, events, size)

    def _check_calls(self, result: TurnResult) -> None:
        calls = sum(isinstance(event, _CALLS) for event in result.events)
        if calls > self._calls_max:
            advice = "begin fewer at a time, or raise the worker's turn_calls_max"
            raise LimitExceededError("durable calls in one turn", calls, self._calls_max, advice)

    def _check_length(self, events: int, size: int) -> None:
        if events > self._events_max:
            advice = f"{_SHORTER}, or raise the worker's instance_events_max"
            raise LimitExceededError("events in its history", events, self._events_max, advice)
        if size > self._bytes_max:
            advice = f"{_SHORTER}, or raise the worker's instance_bytes_max"
            raise LimitExceededError("bytes of its history", size, self._bytes_max, advice)

    def _warn(self, instance: Orchestration, events: int, size: int) -> None:
        _log.warning(
            "the history of orchestration %s has %d events and %d bytes, and every replay goes through all of it: %s;"
            " it is parked at %d events or %d bytes",
            instance.instance_id,
            events,
            size,
            _SHORTER,
            self._events_max,
            self._bytes_max,
            extra=about(instance.instance_id, instance.execution),
        )
