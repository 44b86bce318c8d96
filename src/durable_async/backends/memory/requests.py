"""Answers to requests that a client may repeat."""

from __future__ import annotations

from typing import Generic, TypeVar

Answer = TypeVar("Answer")

RETENTION_US = 24 * 3600 * 1_000_000
"""How long an answer is kept: far longer than any client goes on repeating a call."""


class Remembered(Generic[Answer]):
    """Answers by request id, for a day."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[int, Answer]] = {}

    def get(self, request_id: str | None) -> Answer | None:
        """Return the answer that was given to a request, if it was seen before."""
        known = None if request_id is None else self._answers.get(request_id)
        return None if known is None else known[1]

    def put(self, request_id: str | None, answer: Answer, now_us: int) -> None:
        """Keep an answer, and let go of those that are too old."""
        if request_id is None:
            return
        self._answers[request_id] = (now_us + RETENTION_US, answer)
        while (oldest := next(iter(self._answers))) and self._answers[oldest][0] <= now_us:
            del self._answers[oldest]
