"""Where something stands that did not get there in time, and what might help."""

from __future__ import annotations

from durable_async.model.records import InstanceRecord
from durable_async.model.status import Status


def instance_standing(record: InstanceRecord | None) -> str:
    """Say it of an orchestration, as it was read last; nothing if it never was."""
    if record is None:
        return ""
    if record.parked is not None:
        return f"it is parked, until its code is corrected and unpark is called: {record.parked}"
    match record.status:
        case Status.PENDING if record.start_at_us:
            return "it is pending, and was started with start_at"
        case Status.PENDING:
            return f"it is pending; is a worker running that registers {record.name!r}?"
        case Status.SUSPENDED:
            return "it is suspended, until resume is called"
        case _:
            return f"it is {record.status.value}"
