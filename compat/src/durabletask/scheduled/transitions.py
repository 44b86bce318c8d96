"""What can be asked of a schedule, and how it stands then."""

from __future__ import annotations

from .schedule_status import ScheduleStatus

CREATE_SCHEDULE = "create_schedule"
UPDATE_SCHEDULE = "update_schedule"
PAUSE_SCHEDULE = "pause_schedule"
RESUME_SCHEDULE = "resume_schedule"

_NEW, _ACTIVE, _PAUSED = ScheduleStatus

TRANSITIONS = {
    CREATE_SCHEDULE: {_NEW: _ACTIVE, _ACTIVE: _ACTIVE, _PAUSED: _ACTIVE},
    UPDATE_SCHEDULE: {_ACTIVE: _ACTIVE, _PAUSED: _PAUSED},
    PAUSE_SCHEDULE: {_ACTIVE: _PAUSED},
    RESUME_SCHEDULE: {_PAUSED: _ACTIVE},
}
"""By operation, from which status to which."""


def is_valid_transition(
    operation_name: str, from_status: ScheduleStatus, target_status: ScheduleStatus
) -> bool:
    """Tell whether an operation leads from one status to another."""
    return TRANSITIONS.get(operation_name, {}).get(from_status) is target_status


def target_of(operation_name: str, from_status: ScheduleStatus) -> ScheduleStatus:
    """Return where an operation would lead, also from where it cannot be asked for."""
    targets = TRANSITIONS[operation_name]
    return targets.get(from_status, next(iter(targets.values())))
