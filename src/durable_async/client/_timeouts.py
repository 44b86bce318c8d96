"""Where something stands that did not get there in time, and what might help."""

from __future__ import annotations

from durable_async.model.identity import EntityId
from durable_async.model.records import EntityRecord, InstanceRecord
from durable_async.model.status import Status
from durable_async.serialization.events import decode_snapshot

PARKED = "it is parked, until the cause is gone and unpark is called"


def instance_standing(record: InstanceRecord | None) -> str:
    """Say it of an orchestration, as it was read last; nothing if it never was."""
    if record is None:
        return ""
    if record.parked is not None:
        return f"{PARKED}: {record.parked}"
    match record.status:
        case Status.PENDING if record.start_at_us:
            return "it is pending, and was started with start_at"
        case Status.PENDING:
            return f"it is pending; is a worker running that registers {record.name!r}, and does its log tell of trouble?"
        case Status.SUSPENDED:
            return "it is suspended, until resume is called"
        case _:
            return f"it is {record.status.value}"


def waited_for(instance_id: str, record: InstanceRecord | None) -> str:
    """Say it to whoever gives up a wait that had no end of its own."""
    if record is None:
        standing = (
            "of which nothing was heard; is a worker running, as in `async with hub.worker()`?"
        )
    else:
        standing = f"and {instance_standing(record)}"
    return f"it waited for instance {instance_id!r}, {standing}"


def entity_standing(entity: EntityId, record: EntityRecord | None) -> str:
    """Say it of an entity that has not answered."""
    if record is None:
        return "there is no such entity any more"
    return f"it does so later, for {_obstacle(entity, record)}"


def _obstacle(entity: EntityId, record: EntityRecord) -> str:
    if record.parked is not None:
        return f"{PARKED}: {record.parked}"
    lock = decode_snapshot(record.instance_id, record.state).lock
    if lock is not None:
        return f"it is locked by {lock.holder.instance_id!r}"
    if record.owner is None:
        return f"no worker has it; is one running that registers the entity {entity.name!r}?"
    return f"{record.letters:,} letters lie in its mailbox"
