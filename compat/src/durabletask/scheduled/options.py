"""What a schedule is to be: how it is created, and what can be changed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from .timespans import moment_of_text, moment_to_text

MINIMUM_INTERVAL = timedelta(seconds=1)


def check_interval(interval: timedelta) -> None:
    """Do nothing if schedules can have this interval.

    Raises:
        ValueError: It is under a second.
        TypeError: It is no ``timedelta``.
    """
    if not isinstance(interval, timedelta):
        raise TypeError(f"interval: a timedelta was expected, not {interval!r}")
    if interval < MINIMUM_INTERVAL:
        raise ValueError(f"interval: {interval} is too short: a second is the least")


@dataclass
class ScheduleCreationOptions:
    """A schedule that is to be.

    Attributes:
        schedule_id: Its id; one of this id that is there already becomes what is said here, and stays paused if it is.
        orchestration_name: The orchestrator that it starts.
        interval: The time from one run to the next, at least a second.
        orchestration_input: The input of each run.
        orchestration_instance_id: The id of each run, where it has always the same: a run is left out while the one before still
            runs. By default each has an id made of the schedule's and its time.
        start_at: The time from which on runs are counted, and the first run if that is ahead; by default the schedule's creation, and the
            first run is an interval later. A naive time is UTC.
        end_at: The time after which there are no more runs, and no schedule. A naive time is UTC.
        start_immediately_if_late: Whether the first run is at once if ``start_at`` is past.

    Raises:
        ValueError: A name is empty, or the interval is under a second.
    """

    schedule_id: str
    orchestration_name: str
    interval: timedelta
    orchestration_input: Any | None = None
    orchestration_instance_id: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    start_immediately_if_late: bool = False

    def __post_init__(self) -> None:
        for name in ("schedule_id", "orchestration_name"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty")
        check_interval(self.interval)

    def to_json(self) -> dict[str, Any]:
        """Return what is sent to the worker."""
        return {
            "schedule_id": self.schedule_id,
            "orchestration_name": self.orchestration_name,
            "interval_seconds": self.interval.total_seconds(),
            "orchestration_input": self.orchestration_input,
            "orchestration_instance_id": self.orchestration_instance_id,
            "start_at": moment_to_text(self.start_at),
            "end_at": moment_to_text(self.end_at),
            "start_immediately_if_late": self.start_immediately_if_late,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return what was sent. ``KeyError`` if a part that has no default is missing."""
        return cls(
            schedule_id=data["schedule_id"],
            orchestration_name=data["orchestration_name"],
            interval=timedelta(seconds=data["interval_seconds"]),
            start_immediately_if_late=bool(data.get("start_immediately_if_late")),
            **_optional(data),
        )


@dataclass
class ScheduleUpdateOptions:
    """What is to change of a schedule; what is ``None`` stays as it is.

    Attributes:
        orchestration_name: The orchestrator that it starts.
        orchestration_input: The input of each run.
        orchestration_instance_id: The id of each run.
        start_at: The time from which on runs are counted.
        end_at: The time after which there are no more.
        interval: The time from one run to the next, at least a second.
        start_immediately_if_late: Whether the first run is at once if ``start_at`` is past.

    Raises:
        ValueError: The interval is under a second.
    """

    orchestration_name: str | None = None
    orchestration_input: Any | None = None
    orchestration_instance_id: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    interval: timedelta | None = None
    start_immediately_if_late: bool | None = None

    def __post_init__(self) -> None:
        if self.interval is not None:
            check_interval(self.interval)

    def to_json(self) -> dict[str, Any]:
        """Return what is sent to the worker."""
        return {
            "orchestration_name": self.orchestration_name,
            "orchestration_input": self.orchestration_input,
            "orchestration_instance_id": self.orchestration_instance_id,
            "start_at": moment_to_text(self.start_at),
            "end_at": moment_to_text(self.end_at),
            "interval_seconds": None if self.interval is None else self.interval.total_seconds(),
            "start_immediately_if_late": self.start_immediately_if_late,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return what was sent; what is missing stays as it is."""
        seconds = data.get("interval_seconds")
        return cls(
            orchestration_name=data.get("orchestration_name"),
            interval=None if seconds is None else timedelta(seconds=seconds),
            start_immediately_if_late=data.get("start_immediately_if_late"),
            **_optional(data),
        )


def _optional(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "orchestration_input": data.get("orchestration_input"),
        "orchestration_instance_id": data.get("orchestration_instance_id"),
        "start_at": moment_of_text(data.get("start_at")),
        "end_at": moment_of_text(data.get("end_at")),
    }
