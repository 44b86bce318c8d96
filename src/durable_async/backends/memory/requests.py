"""What is remembered for a while: answers to requests that a client may repeat, and the last executions of purged ids."""

from __future__ import annotations

from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Remembered(Generic[Answer]):
    """Answers by request id, or by another one, for a length of time."""

    def __init__(self, kept_us: int) -> None:
        self._kept_us = kept_us
        self._answers: dict[str, tuple[int, Answer]] = {}

    def get(self, request_id: str | None) -> Answer | None:
        """Return the answer that was given to a request, if it was seen before."""
        known = None if request_id is None else self._answers.get(request_id)
        return None if known is None else known[1]

    def pop(self, request_id: str) -> Answer | None:
        """Take an answer out."""
        known = self._answers.pop(request_id, None)
        return None if known is None else known[1]

    def put(self, request_id: str | None, answer: Answer, now_us: int) -> None:
        """Keep an answer, and let go of those that are too old."""
        if request_id is not None:
            self._answers[request_id] = (now_us + self._kept_us, answer)
            self.forget(now_us)

    def forget(self, now_us: int) -> None:
        """Let go of those that are too old."""
        while self._answers and self._answers[oldest := next(iter(self._answers))][0] <= now_us:
            del self._answers[oldest]
