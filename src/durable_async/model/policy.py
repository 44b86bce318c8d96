"""Policies that users write down: retries, timeouts, reuse of ids."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from durable_async.errors import ValidationError
from durable_async.failure import FailureDetails, qualified_name

Seconds = float | int | timedelta
"""A duration: a number of seconds or a ``timedelta``."""


def seconds_of(value: Seconds, field: str) -> float:
    """Return a duration in seconds; ``ValidationError`` if it is negative or not a number."""
    if not isinstance(value, (int, float, timedelta)):
        raise ValidationError(field, f"must be seconds or a timedelta, not {value!r}")
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if not seconds >= 0:
        raise ValidationError(field, f"must be 0 or more seconds, not {value!r}")
    return seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a failed attempt is followed by another one.

    The delay before attempt ``n + 1`` is ``first_delay * backoff ** (n - 1)``, at most ``max_delay``, less a share of up to ``jitter``
    that is drawn from the instance's own seed. Every decision is taken once, from recorded time, and stored in history.

    Attributes:
        max_attempts: Attempts in all, the first included.
        first_delay: Before the second attempt.
        backoff: Factor from one delay to the next, 1 or more.
        max_delay: Ceiling of a delay, or ``None``.
        max_elapsed: No attempt begins later than this after the first was scheduled, or ``None``.
        jitter: 0 (none) to 1 (anything down to no delay at all).
        non_retryable: Exception classes, or their names, that are final at once.
    """

    max_attempts: int = 3
    first_delay: Seconds = 1.0
    backoff: float = 2.0
    max_delay: Seconds | None = None
    max_elapsed: Seconds | None = None
    jitter: float = 0.0
    non_retryable: tuple[type[BaseException] | str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValidationError("max_attempts", f"must be 1 or more, not {self.max_attempts}")
        if not self.backoff >= 1:
            raise ValidationError("backoff", f"must be 1 or more, not {self.backoff}")
        if not 0 <= self.jitter <= 1:
            raise ValidationError("jitter", f"must be between 0 and 1, not {self.jitter}")
        seconds_of(self.first_delay, "first_delay")
        for field in ("max_delay", "max_elapsed"):
            value = getattr(self, field)
            if value is not None:
                seconds_of(value, field)

    def delay_seconds(self, attempt: int, draw: float) -> float:
        """Return the delay after the failure of ``attempt`` (1 for the first); ``draw`` is in [0, 1)."""
        ceiling = (
            float("inf") if self.max_delay is None else seconds_of(self.max_delay, "max_delay")
        )
        try:
            delay = seconds_of(self.first_delay, "first_delay") * self.backoff ** (attempt - 1)
        except OverflowError:
            delay = ceiling
        return min(delay, ceiling) * (1 - self.jitter * draw)

    def allows(self, failure: FailureDetails) -> bool:
        """Tell whether a failure of this kind may be tried again at all."""
        if failure.non_retryable:
            return False
        return not any(
            failure.is_type(kind if isinstance(kind, str) else qualified_name(kind))
            for kind in self.non_retryable
        )


class ReusePolicy(Enum):
    """What a start does when its instance id is taken."""

    REJECT = "reject"
    """Raise ``InstanceExistsError``."""
    RETURN_EXISTING = "return_existing"
    """Leave what is there and return its handle."""
    REPLACE_TERMINAL = "replace_terminal"
    """Begin anew if it has ended; otherwise raise."""
    REPLACE = "replace"
    """Terminate it if it is still going, and begin anew, in one commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityOptions:
    """How an activity is run.

    Attributes:
        retry: Whether and when a failed attempt is followed by another; ``None`` for never.
        start_to_close: Longest time of one attempt; then its code is cancelled and the attempt has failed.
        schedule_to_close: Longest time from the call to the last attempt's end, waiting included.
        heartbeat: Longest silence of a running attempt that is expected to call ``heartbeat()``.
    """

    retry: RetryPolicy | None = None
    start_to_close: Seconds | None = None
    schedule_to_close: Seconds | None = None
    heartbeat: Seconds | None = None

    def __post_init__(self) -> None:
        if self.retry is not None and not isinstance(self.retry, RetryPolicy):
            raise ValidationError("retry", f"must be a RetryPolicy, not {self.retry!r}")
        for field in ("start_to_close", "schedule_to_close", "heartbeat"):
            value = getattr(self, field)
            if value is not None:
                seconds_of(value, field)


DEFAULT_ACTIVITY_OPTIONS = ActivityOptions()
