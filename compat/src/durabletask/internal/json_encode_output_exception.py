"""The error of an orchestration whose result has no text."""

from __future__ import annotations

from typing import Any


class JsonEncodeOutputException(Exception):  # noqa: N818 - the Durable Task SDK's name
    """Raised when an orchestration's result cannot be serialized.

    Attributes:
        problem_object: What could not be, or the error that says so.
    """

    def __init__(self, problem_object: Any) -> None:
        super().__init__(problem_object)
        self.problem_object = problem_object

    def __str__(self) -> str:
        return (
            f"The orchestration result could not be encoded. Object details: {self.problem_object}"
        )
