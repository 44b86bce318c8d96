"""RetryPolicy: when what failed is tried again."""

from __future__ import annotations

from datetime import timedelta


class RetryPolicy:
    """When a failed activity or sub-orchestration is tried again.

    Args:
        first_retry_interval: Before the second attempt.
        max_number_of_attempts: Attempts in all, the first included.
        backoff_coefficient: Factor from one interval to the next, 1 or more.
        max_retry_interval: Longest interval, or ``None``.
        retry_timeout: No attempt begins later than this after the first was scheduled, or ``None``.

    Raises:
        ValueError: A value is out of its range.
    """

    def __init__(
        self,
        *,
        first_retry_interval: timedelta,
        max_number_of_attempts: int,
        backoff_coefficient: float | None = 1.0,
        max_retry_interval: timedelta | None = None,
        retry_timeout: timedelta | None = None,
    ) -> None:
        nothing = timedelta(0)
        if first_retry_interval < nothing:
            raise ValueError("first_retry_interval must be >= 0")
        if max_number_of_attempts < 1:
            raise ValueError("max_number_of_attempts must be >= 1")
        if backoff_coefficient is not None and backoff_coefficient < 1:
            raise ValueError("backoff_coefficient must be >= 1")
        if max_retry_interval is not None and max_retry_interval < nothing:
            raise ValueError("max_retry_interval must be >= 0")
        if retry_timeout is not None and retry_timeout < nothing:
            raise ValueError("retry_timeout must be >= 0")
        self._first_retry_interval = first_retry_interval
        self._max_number_of_attempts = max_number_of_attempts
        self._backoff_coefficient = backoff_coefficient
        self._max_retry_interval = max_retry_interval
        self._retry_timeout = retry_timeout

    @property
    def first_retry_interval(self) -> timedelta:
        """Before the second attempt."""
        return self._first_retry_interval

    @property
    def max_number_of_attempts(self) -> int:
        """Attempts in all."""
        return self._max_number_of_attempts

    @property
    def backoff_coefficient(self) -> float | None:
        """Factor from one interval to the next; ``None`` stands for 1."""
        return self._backoff_coefficient

    @property
    def max_retry_interval(self) -> timedelta | None:
        """Longest interval."""
        return self._max_retry_interval

    @property
    def retry_timeout(self) -> timedelta | None:
        """Longest time from the first attempt to the beginning of the last."""
        return self._retry_timeout
