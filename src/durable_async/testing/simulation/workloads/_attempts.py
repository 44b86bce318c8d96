"""Attempts: what every activity of these workloads does first, and what their list in the ledger must look like."""

from __future__ import annotations

from asyncio import events as events_of_asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from durable_async._engine.activity import activity_context
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityRetried,
    ActivityScheduled,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionTerminated,
    HistoryEvent,
)
from durable_async.testing.simulation.stage import Entry, Stage, current_stage
from durable_async.testing.simulation.violations import Violation

_ENDS = (ExecutionCompleted, ExecutionFailed, ExecutionTerminated)


def begin(what: str, **facts: Any) -> Stage:
    """Note in the ledger that an attempt begins, and accuse the engine if it must not; return the stage.

    Args:
        what: Name of the call, as its workload tells calls apart.
        facts: What else is to be noted.
    """
    stage, context = current_stage(), activity_context()
    execution, events = stage.recorded(context.instance_id)
    if execution == context.execution:
        wrong = objection(events, context.seq, context.attempt)
        if wrong is not None:
            where = f"{context.instance_id}, call {context.seq}"
            stage.accuse(Violation("I6", wrong, where=where, attempt=context.attempt, call=what))
    # What runs in a thread may have been let go before the lease was lost.
    if events_of_asyncio._get_running_loop() is not None and stage.is_deposed():
        stage.accuse(
            Violation(
                "I5",
                "it began in a worker whose lease is over",
                where=context.instance_id,
                call=what,
            )
        )
    stage.ledger.write(
        context.idempotency_key,
        context.attempt,
        what=what,
        instance=context.instance_id,
        execution=context.execution,
        **facts,
    )
    return stage


def objection(events: Sequence[HistoryEvent], seq: int, attempt: int) -> str | None:
    """Return why an attempt must not begin, in view of what is durable; ``None`` if it may.

    Nothing is said of an execution that has ended, nor of a call that was called off: whoever runs the activity hears of that a moment
    after it is durable.
    """
    if not events or isinstance(events[-1], _ENDS):
        return None
    own = [event for event in events if getattr(event, "seq", None) == seq]
    kinds = Counter(type(event) for event in own)
    if not kinds[ActivityScheduled]:
        return "it began before its call was durable"
    if kinds[ActivityCompleted]:
        return "it began although its result was recorded"
    if any(isinstance(event, ActivityFailed) and event.retry_at_us is None for event in own):
        return "it began although it had failed for good"
    if attempt != 1 + kinds[ActivityRetried]:
        return f"it began as attempt {attempt}, after {kinds[ActivityRetried]} decisions to retry"
    return None


def check_attempts(entries: Iterable[Entry], *, is_calm: bool) -> None:
    """Check the list of all attempts: keys are stable and nobody else's, attempts count up, and without faults nothing comes twice.

    Raises:
        Violation: They are not.
    """
    keys: dict[tuple[Any, ...], str] = {}
    highest: Counter[str] = Counter()
    seen: Counter[tuple[str, int]] = Counter()
    for entry in entries:
        call = (entry.facts["instance"], entry.facts["execution"], entry.facts["what"])
        if keys.setdefault(call, entry.key) != entry.key:
            raise Violation(
                "I6", "one call has two idempotency keys", where=entry.key, other=keys[call]
            )
        if entry.attempt > highest[entry.key] + 1:
            raise Violation("I17", "an attempt was left out", where=entry.key, entry=entry)
        highest[entry.key] = max(highest[entry.key], entry.attempt)
        seen[entry.key, entry.attempt] += 1
        if is_calm and seen[entry.key, entry.attempt] > 1:
            raise Violation(
                "I6", "an attempt was made twice, and nothing had failed", where=entry.key
            )
    if len(set(keys.values())) != len(keys):
        shared = [key for key, count in Counter(keys.values()).items() if count > 1]
        raise Violation("I6", "two calls have one idempotency key", where=shared[0])
