"""Errors between a worker and the store, which programs do not see unless they look for them."""

from __future__ import annotations

from typing import Any


class VersionFailureException(Exception):  # noqa: N818 - the Durable Task SDK's name
    """Raised when a worker's version rules fail an orchestration.

    Attributes:
        error_details: The failure that is recorded for it.
    """

    def __init__(self, error_details: Any) -> None:
        super().__init__(error_details)
        self.error_details = error_details


class AbandonOrchestrationError(Exception):
    """Raised when a worker leaves an orchestration to another one."""
