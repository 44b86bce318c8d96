"""Schedules: orchestrations started again and again, at an interval, until told otherwise.

A worker carries them out after ``worker.configure_scheduled_tasks()``; a `ScheduledTaskClient` creates and steers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .client import (
    AsyncScheduleClient,
    AsyncScheduledTaskClient,
    ScheduleClient,
    ScheduledTaskClient,
)
from .exceptions import (
    ScheduleClientValidationError,
    ScheduleError,
    ScheduleInvalidTransitionError,
    ScheduleNotFoundError,
)
from .models import ScheduleDescription, ScheduleQuery
from .options import ScheduleCreationOptions, ScheduleUpdateOptions
from .orchestrator import execute_schedule_operation_orchestrator
from .schedule_entity import ENTITY_NAME, Schedule
from .schedule_status import ScheduleStatus

if TYPE_CHECKING:
    from durabletask.worker import TaskHubGrpcWorker

__all__ = [
    "AsyncScheduleClient",
    "AsyncScheduledTaskClient",
    "ScheduleClient",
    "ScheduleClientValidationError",
    "ScheduleCreationOptions",
    "ScheduleDescription",
    "ScheduleError",
    "ScheduleInvalidTransitionError",
    "ScheduleNotFoundError",
    "ScheduleQuery",
    "ScheduleStatus",
    "ScheduleUpdateOptions",
    "ScheduledTaskClient",
]

PACKAGE_NAME = "durabletask.scheduled"


def register_schedules(worker: TaskHubGrpcWorker) -> None:
    """Register with a worker what carries schedules out; `TaskHubGrpcWorker.configure_scheduled_tasks` does."""
    worker.add_entity(Schedule, ENTITY_NAME)
    worker.add_orchestrator(execute_schedule_operation_orchestrator)
