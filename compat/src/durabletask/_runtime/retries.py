"""Retries: the documented policy in durable_async's terms, and its delays."""

from __future__ import annotations

from datetime import timedelta

import durable_async
from durabletask.task import RetryPolicy


def native_policy(policy: RetryPolicy) -> durable_async.RetryPolicy:
    """Return a policy as durable_async carries it out: decided once, from recorded time."""
    return durable_async.RetryPolicy(
        max_attempts=policy.max_number_of_attempts,
        first_delay=policy.first_retry_interval,
        backoff=1.0 if policy.backoff_coefficient is None else policy.backoff_coefficient,
        max_delay=policy.max_retry_interval,
        max_elapsed=policy.retry_timeout,
    )


def delay_after(policy: RetryPolicy, attempt: int, elapsed: timedelta) -> timedelta | None:
    """Return how long after the failure of an attempt the next one begins; ``None`` if there is none.

    Args:
        policy: The policy.
        attempt: The one that failed, from 1.
        elapsed: Since the first was begun, by recorded time.
    """
    if attempt >= policy.max_number_of_attempts:
        return None
    delay = timedelta(seconds=native_policy(policy).delay_seconds(attempt, 0.0))
    timeout = policy.retry_timeout
    if timeout is not None and elapsed + delay > timeout:
        return None
    return delay
