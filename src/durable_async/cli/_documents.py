"""The same as the tables, for programs: one JSON document a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import typer

from durable_async import (
    DurableError,
    EntityLocks,
    EntityState,
    FailureDetails,
    HubStatistics,
    OrchestrationState,
    Status,
)
from durable_async.model import history as h

from ._render import timeline


def write(document: Mapping[str, Any]) -> None:
    """Print a document as one line."""
    typer.echo(msgspec.json.encode(document).decode())


def say_more(text: str) -> None:
    """Say that this is not all, where no document is."""
    typer.echo(text, err=True)


def instance(one: OrchestrationState) -> dict[str, Any]:
    """Return what a list tells of an orchestration."""
    return {
        "instance": one.instance_id,
        "orchestrator": one.name,
        "version": one.version,
        "status": one.status.value,
        "execution": one.execution,
        "created_at": _time(one.created_at),
        "updated_at": _time(one.updated_at),
        "completed_at": _time(one.completed_at),
        "parent": one.parent_instance_id,
        "tags": one.tags,
        "parked": one.parked,
        "failure": _failure(one.failure),
    }


def state(one: OrchestrationState, events: list[h.HistoryEvent]) -> dict[str, Any]:
    """Return all that is known of an orchestration."""
    history = [
        {"seconds": seconds, "event": type(event).__name__, "about": about}
        for seconds, event, about in timeline(events)
    ]
    return {
        **instance(one),
        "custom_status": _value(one.custom_status),
        "output": _value(one.output),
        "worker": one.owner,
        "history": history,
    }


def entity(one: EntityState[Any], locks: EntityLocks | None = None) -> dict[str, Any]:
    """Return what is known of an entity; who waits for it only with its locks."""
    try:
        holder, waiting = one.locked_by, one.backlog
        parked_operations = [
            {"operation": parked.operation, "at": _time(parked.at), "reason": parked.reason}
            for parked in one.parked_operations
        ]
    except DurableError:  # its snapshot is damaged, which its state says
        holder, waiting, parked_operations = None, None, []
    found: dict[str, Any] = {
        "entity": str(one.entity_id),
        "state": _value(lambda: one.state if one.has_state else None),
        "created_at": _time(one.created_at),
        "updated_at": _time(one.updated_at),
        "waiting": waiting,
        "locked_by": None if holder is None else holder.instance_id,
        "parked_operations": parked_operations,
        "parked": one.parked,
    }
    if locks is not None:
        found["in_line"] = [waiter.instance_id for waiter in locks.waiting]
        found["worker"] = one.owner
    return found


def statistics(counts: HubStatistics) -> dict[str, Any]:
    """Return the counts of a hub."""
    return {
        **{status.value: counts.by_status.get(status, 0) for status in Status},
        "entities": counts.entities,
        "parked": counts.parked,
        "workers": counts.workers,
        "letters": counts.letters,
        "queued_activities": counts.queued_activities,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _failure(failure: FailureDetails | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {"type": failure.error_type, "message": failure.message}


def _value(read: Callable[[], Any]) -> Any:
    """Return a value, or why it cannot be read."""
    try:
        return read()
    except DurableError as error:
        return {"unreadable": str(error)}
