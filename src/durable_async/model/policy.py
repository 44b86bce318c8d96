"""Policies that users write down: retries, timeouts, reuse of ids."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, NoReturn

from durable_async.errors import ValidationError, shown
from durable_async.failure import FailureDetails, qualified_name

Seconds = float | int | timedelta
"""A duration: a number of seconds or a ``timedelta``."""

SECONDS_MAX = 1_000 * 365 * 86_400.0
"""No duration is longer, so that the moment at its end is one for every clock, calendar and store."""


def seconds_of(value: Seconds, field: str) -> float:
    """Return a duration in seconds, 1,000 years for what is longer; ``ValidationError`` if it is negative or not a number."""
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, (int, float)):
        try:
            seconds = float(value)
        except OverflowError:  # an int that is larger than any float
            seconds = math.inf if value > 0 else -math.inf
    else:
        raise ValidationError(field, f"must be seconds or a timedelta, not {shown(value)}")
    if not seconds >= 0:
        raise ValidationError(field, f"must be 0 or more seconds, not {shown(value)}")
    return min(seconds, SECONDS_MAX)


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
        if not _lies_between(self.max_attempts, 1, math.inf, int):
            _refuse("max_attempts", "a whole number, 1 or more", self.max_attempts)
        if not _lies_between(self.backoff, 1, sys.float_info.max, int, float):
            _refuse("backoff", "a number, 1 or more", self.backoff)
        if not _lies_between(self.jitter, 0, 1, int, float):
            _refuse("jitter", "between 0 and 1", self.jitter)
        seconds_of(self.first_delay, "first_delay")
        for field in ("max_delay", "max_elapsed"):
            value = getattr(self, field)
            if value is not None:
                seconds_of(value, field)
        if not _are_errors(self.non_retryable):
            _refuse("non_retryable", "a tuple of exception classes or names", self.non_retryable)

    def delay_seconds(self, attempt: int, draw: float) -> float:
        """Return the delay after the failure of ``attempt`` (1 for the first); ``draw`` is in [0, 1)."""
        ceiling = SECONDS_MAX if self.max_delay is None else seconds_of(self.max_delay, "max_delay")
        first = seconds_of(self.first_delay, "first_delay")
        try:
            delay = first * float(self.backoff) ** (attempt - 1)
        except OverflowError:
            delay = ceiling if first else 0.0
        return min(delay, ceiling) * (1 - self.jitter * draw)

    def allows(self, failure: FailureDetails) -> bool:
        """Tell whether a failure of this kind may be tried again at all."""
        if failure.non_retryable:
            return False
        return not any(
            failure.is_type(kind if isinstance(kind, str) else qualified_name(kind))
            for kind in self.non_retryable
        )


def _lies_between(number: Any, least: float, most: float, *kinds: type) -> bool:
    is_one = isinstance(number, kinds)
    return is_one and bool(least <= number <= most)


def _are_errors(kinds: Any) -> bool:
    return isinstance(kinds, tuple) and all(
        isinstance(kind, str) or (isinstance(kind, type) and issubclass(kind, BaseException))
        for kind in kinds
    )


def _refuse(field: str, wanted: str, value: object) -> NoReturn:
    raise ValidationError(field, f"must be {wanted}, not {shown(value)}")


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
            raise ValidationError("retry", f"must be a RetryPolicy, not {shown(self.retry)}")
        for field in ("start_to_close", "schedule_to_close", "heartbeat"):
            value = getattr(self, field)
            if value is not None:
                seconds_of(value, field)


DEFAULT_ACTIVITY_OPTIONS = ActivityOptions()
