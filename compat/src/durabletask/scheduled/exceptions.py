"""What goes wrong with schedules."""

from __future__ import annotations


class ScheduleError(Exception):
    """Raised when something is wrong with a schedule; the base of the others."""


class ScheduleNotFoundError(ScheduleError):
    """Raised when there is no schedule of an id.

    Attributes:
        schedule_id: The id.
    """

    def __init__(self, schedule_id: str) -> None:
        self.schedule_id = schedule_id
        super().__init__(f"there is no schedule {schedule_id!r}")


class ScheduleClientValidationError(ScheduleError):
    """Raised when what a client asks of a schedule cannot be.

    Attributes:
        schedule_id: The schedule's id.
    """

    def __init__(self, schedule_id: str, message: str) -> None:
        self.schedule_id = schedule_id
        super().__init__(f"schedule {schedule_id!r}: {message}")


class ScheduleInvalidTransitionError(ScheduleError):
    """Raised when a schedule is asked for what it cannot do as it stands, such as to resume while it is active.

    Attributes:
        schedule_id: The schedule's id.
        from_status: How it stands.
        to_status: How it would stand afterwards.
        operation_name: What it was asked for.
    """

    def __init__(
        self, schedule_id: str, from_status: object, to_status: object, operation_name: str
    ) -> None:
        self.schedule_id = schedule_id
        self.from_status = from_status
        self.to_status = to_status
        self.operation_name = operation_name
        known = {"from": from_status, "to": to_status}
        texts = {key: getattr(status, "value", status) for key, status in known.items()}
        super().__init__(
            f"schedule {schedule_id!r} is {texts['from']}: "
            f"{operation_name} cannot make it {texts['to']}"
        )
