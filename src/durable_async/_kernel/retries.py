"""Whether and when a failed attempt is followed by another: decided once, from recorded time."""

from __future__ import annotations

from typing import Any

from durable_async.failure import FailureDetails
from durable_async.model.policy import seconds_of

from .futures import ActivityFuture
from .journal import MICROSECONDS


def retry_at(
    future: ActivityFuture[Any], failure: FailureDetails, now_us: int, draw: float
) -> int | None:
    """Return when the next attempt is due, or ``None`` if this failure is final.

    Args:
        future: The activity, at the attempt that failed.
        failure: Why.
        now_us: Time of the turn that records the failure.
        draw: In [0, 1), the instance's own for this attempt.
    """
    policy = future.options.retry
    if policy is None or future.attempt >= policy.max_attempts or not policy.allows(failure):
        return None
    due_us = now_us + round(policy.delay_seconds(future.attempt, draw) * MICROSECONDS)
    for limit, field in (
        (policy.max_elapsed, "max_elapsed"),
        (future.options.schedule_to_close, "schedule_to_close"),
    ):
        if limit is not None:
            last_us = future.scheduled_at_us + round(seconds_of(limit, field) * MICROSECONDS)
            if due_us > last_us:
                return None
    return due_us
