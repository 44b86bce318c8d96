"""Drives the kernel without an engine: activities are plain functions, time jumps to whatever is due next."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from durable_async._kernel.orchestration import Orchestration, TurnResult
from durable_async._kernel.program import Program
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    COMMANDS,
    ActivityCompleted,
    ActivityFailed,
    ActivityRetried,
    ActivityScheduled,
    EventRaised,
    ExecutionStarted,
    HistoryEvent,
    SubOrchestrationCompleted,
    SubOrchestrationScheduled,
)

START_US = 1_700_000_000_000_000

made: list[Orchestration] = []
"""What the tests of this folder evict at their end."""


class PlainJson:
    """A converter without types."""

    def encode(self, value: Any, where: str) -> bytes:
        return orjson.dumps(value)

    def decode(self, data: bytes | None, into: Any, where: str) -> Any:
        return None if data is None else orjson.loads(data)


def program(function: Callable[..., Any], payloads: Any = None) -> Program:
    """Make a program of a function that takes the context and, if it has a second parameter, the input."""
    payloads = payloads or PlainJson()
    takes_input = len(inspect.signature(function).parameters) > 1

    def call(ctx: Any, data: bytes | None) -> Any:
        return function(ctx, payloads.decode(data, Any, "input")) if takes_input else function(ctx)

    return Program(function.__name__, call, payloads, inspect.iscoroutinefunction(function))


def commands(events: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """Return what the code did, out of a history."""
    return [event for event in events if isinstance(event, COMMANDS)]


class Driver:
    """One instance, its whole history, and the functions that stand for activities.

    Args:
        function: The orchestrator.
        activities: By name; each gets the decoded input. A raised exception fails the attempt.
        answer: Whether scheduled activities are answered by themselves, in order.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        value: Any = None,
        *,
        activities: dict[str, Callable[[Any], Any]] | None = None,
        instance_id: str = "test",
        payloads: Any = None,
    ) -> None:
        self.program = program(function, payloads)
        self.activities = activities or {}
        self.instance_id = instance_id
        self.started = ExecutionStarted(self.program.name, None, orjson.dumps(value))
        self.history: list[HistoryEvent] = [self.started]
        self.turns: list[list[HistoryEvent]] = [[self.started]]
        self.now_us = START_US
        self.live = self.fresh()
        self.live.replay(self.history)
        self.mail_id = 0
        self.outbox: list[tuple[int, Any]] = []

    def fresh(self) -> Orchestration:
        """Return the instance as a new owner would have it, before any replay."""
        instance = Orchestration(self.instance_id, 1, self.started, self.program)
        made.append(instance)
        return instance

    def turn(self) -> TurnResult:
        """Run one turn and record it."""
        result = self.live.turn(self.now_us)
        if result.events:
            self.turns.append(result.events)
        self.history.extend(result.events)
        for event in result.events:
            self._perform(event)
        return result

    def _perform(self, event: HistoryEvent) -> None:
        if isinstance(event, ActivityScheduled):
            self._run_activity(event.seq, 1, event.name, event.input)
        elif isinstance(event, ActivityRetried):
            operation = self.live.pending_activity(event.seq)
            assert operation is not None
            self._run_activity(event.seq, event.attempt, operation.name, operation.input)
        elif isinstance(event, SubOrchestrationScheduled):
            child = self.activities.get(event.name)
            if child is not None:
                result = child(orjson.loads(event.input or b"null"))
                self.answer(SubOrchestrationCompleted(event.seq, orjson.dumps(result)))

    def _run_activity(self, seq: int, attempt: int, name: str, data: bytes) -> None:
        function = self.activities.get(name)
        if function is None:
            return
        try:
            result = function(orjson.loads(data))
        except Exception as error:  # noqa: BLE001 - as the worker does
            self.answer(ActivityFailed(seq, attempt, FailureDetails.of(error)))
        else:
            self.answer(ActivityCompleted(seq, orjson.dumps(result)))

    def answer(self, letter: Any) -> None:
        """Deliver a result, as the own worker would."""
        self.live.deliver(None, 1, letter)

    def raise_event(self, name: str, payload: Any = None) -> None:
        """Deliver an external event, as a client would."""
        self.mail_id += 1
        self.live.deliver(self.mail_id, None, EventRaised(name, orjson.dumps(payload)))

    def run(self, turns: int = 200_000) -> Any:
        """Run turns, jumping over time, until the instance ends or only waits for events; returns its outcome."""
        for _ in range(turns):
            self.turn()
            if self.live.outcome is not None:
                return self.live.outcome
            if self.live.mailbox.has_arrivals:
                continue
            if self.live.wake_at_us is None:
                return None
            self.now_us = max(self.now_us, self.live.wake_at_us)
        raise AssertionError("it does not end")

    def replayed(self) -> Orchestration:
        """Return a fresh instance after a replay of the whole history."""
        again = self.fresh()
        again.replay(self.history)
        return again
