"""What is known of schedules, to those who ask and in the store."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter

from .options import (
    MINIMUM_INTERVAL,
    ScheduleCreationOptions,
    ScheduleUpdateOptions,
    check_interval,
)
from .schedule_status import ScheduleStatus
from .timespans import aware, moment_of_text, moment_to_text, span_of_text, span_to_text

__all__ = (
    "MINIMUM_INTERVAL",
    "ScheduleConfiguration",
    "ScheduleCreationOptions",
    "ScheduleDescription",
    "ScheduleQuery",
    "ScheduleState",
    "ScheduleUpdateOptions",
)


@dataclass
class ScheduleDescription:
    """A schedule as it was when a client asked.

    Attributes:
        schedule_id: Its id.
        orchestration_name: The orchestrator that it starts.
        orchestration_input: The input of each run.
        orchestration_instance_id: The id of each run, where that is always the same.
        start_at: The time from which on runs are counted.
        end_at: The time after which there are no more.
        interval: The time from one run to the next.
        start_immediately_if_late: Whether the first run is at once if ``start_at`` is past.
        status: How it stands.
        execution_token: What a signal to run must know; a change of the schedule changes it.
        last_run_at: The time that the last run was due.
        next_run_at: The time that the next one is due.
    """

    schedule_id: str
    orchestration_name: str | None = None
    orchestration_input: Any | None = None
    orchestration_instance_id: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    interval: timedelta | None = None
    start_immediately_if_late: bool | None = None
    status: ScheduleStatus = ScheduleStatus.UNINITIALIZED
    execution_token: str = ""
    last_run_at: datetime | None = None
    next_run_at: datetime | None = None


@dataclass
class ScheduleQuery:
    """Which schedules are asked for; ``None`` is no condition.

    Attributes:
        status: How they stand.
        schedule_id_prefix: What their ids begin with.
        created_from: A time that they were created after; a naive one is UTC.
        created_to: A time that they were created before; a naive one is UTC.
        page_size: How many entities are read at a time; by default 100.
    """

    DEFAULT_PAGE_SIZE: ClassVar[int] = 100

    status: ScheduleStatus | None = None
    schedule_id_prefix: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    page_size: int | None = None

    def __post_init__(self) -> None:
        self.created_from = None if self.created_from is None else aware(self.created_from)
        self.created_to = None if self.created_to is None else aware(self.created_to)


@dataclass
class ScheduleConfiguration:
    """What a schedule is to do; see `ScheduleCreationOptions`."""

    schedule_id: str
    orchestration_name: str
    interval: timedelta
    orchestration_input: Any | None = field(default=None, init=False)
    orchestration_instance_id: str | None = field(default=None, init=False)
    start_at: datetime | None = field(default=None, init=False)
    end_at: datetime | None = field(default=None, init=False)
    start_immediately_if_late: bool = field(default=False, init=False)

    @staticmethod
    def from_create_options(options: ScheduleCreationOptions) -> ScheduleConfiguration:
        """Return what was asked for; ``ValueError`` if it ends before it begins."""
        made = ScheduleConfiguration(
            options.schedule_id, options.orchestration_name, options.interval
        )
        made.orchestration_input = options.orchestration_input
        made.orchestration_instance_id = options.orchestration_instance_id
        made.start_at = options.start_at
        made.end_at = options.end_at
        made.start_immediately_if_late = options.start_immediately_if_late
        made._check()
        return made

    def update(self, options: ScheduleUpdateOptions) -> set[str]:
        """Change what was asked for, and return the names of what is different now.

        Raises:
            ValueError: It would end before it begins.
        """
        changed = set()
        for one in fields(options):
            value = getattr(options, one.name)
            if value is not None and value != getattr(self, one.name):
                setattr(self, one.name, value)
                changed.add(one.name)
        self._check()
        return changed

    def _check(self) -> None:
        check_interval(self.interval)
        if self.start_at and self.end_at and aware(self.start_at) > aware(self.end_at):
            raise ValueError(
                f"schedule {self.schedule_id!r}: its start_at, {self.start_at}, "
                f"is later than its end_at, {self.end_at}"
            )

    def to_json(self) -> dict[str, Any]:
        """Return what is stored: the input as a text of its own, as .NET has it."""
        return {
            "ScheduleId": self.schedule_id,
            "OrchestrationName": self.orchestration_name,
            "Interval": span_to_text(self.interval),
            "OrchestrationInput": DEFAULT_DATA_CONVERTER.serialize(self.orchestration_input),
            "OrchestrationInstanceId": self.orchestration_instance_id,
            "StartAt": moment_to_text(self.start_at),
            "EndAt": moment_to_text(self.end_at),
            "StartImmediatelyIfLate": self.start_immediately_if_late,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return what was stored."""
        made = cls(data["ScheduleId"], data["OrchestrationName"], span_of_text(data["Interval"]))
        text = data.get("OrchestrationInput")
        made.orchestration_input = DEFAULT_DATA_CONVERTER.deserialize(text)
        made.orchestration_instance_id = data.get("OrchestrationInstanceId")
        made.start_at = moment_of_text(data.get("StartAt"))
        made.end_at = moment_of_text(data.get("EndAt"))
        made.start_immediately_if_late = bool(data.get("StartImmediatelyIfLate"))
        return made


def _new_token() -> str:
    return uuid.uuid4().hex


@dataclass
class ScheduleState:
    """A schedule as it is stored, under the names that .NET's has.

    Attributes:
        status: How it stands.
        execution_token: What a signal to run must know; those that were sent before it changed are stale.
        last_run_at: The time that the last run was due.
        next_run_at: The time that the next one is due.
        schedule_created_at: When it was created.
        schedule_last_modified_at: When what it does was last changed.
        schedule_configuration: What it does.
    """

    status: ScheduleStatus = field(default=ScheduleStatus.UNINITIALIZED, init=False)
    execution_token: str = field(default_factory=_new_token, init=False)
    last_run_at: datetime | None = field(default=None, init=False)
    next_run_at: datetime | None = field(default=None, init=False)
    schedule_created_at: datetime | None = field(default=None, init=False)
    schedule_last_modified_at: datetime | None = field(default=None, init=False)
    schedule_configuration: ScheduleConfiguration | None = field(default=None, init=False)

    def refresh_execution_token(self) -> None:
        """Let all signals that were sent be stale."""
        self.execution_token = _new_token()

    def to_description(self) -> ScheduleDescription:
        """Return what clients are told."""
        configuration = self.schedule_configuration
        if configuration is None:
            return ScheduleDescription("", status=self.status)
        return ScheduleDescription(
            **{one.name: getattr(configuration, one.name) for one in fields(configuration)},
            status=self.status,
            execution_token=self.execution_token,
            last_run_at=self.last_run_at,
            next_run_at=self.next_run_at,
        )

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        configuration = self.schedule_configuration
        return {
            "Status": self.status.to_dotnet_ordinal(),
            "ExecutionToken": self.execution_token,
            "LastRunAt": moment_to_text(self.last_run_at),
            "NextRunAt": moment_to_text(self.next_run_at),
            "ScheduleCreatedAt": moment_to_text(self.schedule_created_at),
            "ScheduleLastModifiedAt": moment_to_text(self.schedule_last_modified_at),
            "ScheduleConfiguration": None if configuration is None else configuration.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], converter: DataConverter | None = None) -> Self:
        """Return what was stored; the converter that reads it is not needed."""
        made = cls()
        made.status = ScheduleStatus.from_dotnet(data.get("Status"))
        made.execution_token = data.get("ExecutionToken") or made.execution_token
        made.last_run_at = moment_of_text(data.get("LastRunAt"))
        made.next_run_at = moment_of_text(data.get("NextRunAt"))
        made.schedule_created_at = moment_of_text(data.get("ScheduleCreatedAt"))
        made.schedule_last_modified_at = moment_of_text(data.get("ScheduleLastModifiedAt"))
        configuration = data.get("ScheduleConfiguration")
        if configuration is not None:
            made.schedule_configuration = ScheduleConfiguration.from_json(configuration)
        return made
