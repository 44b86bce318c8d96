"""Which operation takes a job from which status to which."""

from __future__ import annotations

from .exceptions import ExportJobInvalidTransitionError
from .models import ExportJobStatus

_ACTIVE, _COMPLETED, _FAILED = (
    ExportJobStatus.ACTIVE,
    ExportJobStatus.COMPLETED,
    ExportJobStatus.FAILED,
)

TRANSITIONS: dict[tuple[str, ExportJobStatus | None], frozenset[ExportJobStatus]] = {
    ("create", None): frozenset({_ACTIVE}),
    ("create", _FAILED): frozenset({_ACTIVE}),
    ("create", _COMPLETED): frozenset({_ACTIVE}),
    ("commit_checkpoint", _ACTIVE): frozenset({_ACTIVE, _FAILED}),
    ("mark_completed", _ACTIVE): frozenset({_COMPLETED}),
    ("mark_failed", _ACTIVE): frozenset({_FAILED}),
    ("mark_failed", _FAILED): frozenset({_FAILED}),
}
"""By operation and status, ``None`` for no job: what the status may be afterwards."""


def is_valid_transition(
    operation: str, from_status: ExportJobStatus | None, to_status: ExportJobStatus
) -> bool:
    """Tell whether an operation may take a job from one status to another."""
    return to_status in TRANSITIONS.get((operation, from_status), frozenset())


def assert_valid_transition(
    operation: str,
    from_status: ExportJobStatus | None,
    to_status: ExportJobStatus,
    *,
    job_id: str | None = None,
) -> None:
    """Raise ``ExportJobInvalidTransitionError`` if the operation may not do that."""
    if not is_valid_transition(operation, from_status, to_status):
        before = None if from_status is None else from_status.value
        raise ExportJobInvalidTransitionError(operation, before, to_status.value, job_id=job_id)


__all__ = ["TRANSITIONS", "assert_valid_transition", "is_valid_transition"]
