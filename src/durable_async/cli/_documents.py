"""The same as the tables, for programs: one JSON document a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    Retention,
    Status,
    WorkerState,
)
from durable_async.model import history as h
from durable_async.model.explanation import Explanation, SourceLine, Stand, Wait
from durable_async.model.moments import instant
from durable_async.model.policy import Seconds, seconds_of
from durable_async.schedules import ScheduleState

from ._events import Moment, payload, timeline
from ._findings import Finding
from ._terminal import plain_json


def write(document: Mapping[str, Any]) -> None:
    """Print a document as one line, and let whoever reads it have it at once."""
    typer.echo(plain_json(msgspec.json.encode(document).decode()))


def write_value(read: Callable[[], Any]) -> None:
    """Print a value alone, as JSON."""
    typer.echo(plain_json(msgspec.json.encode(_value(read)).decode()))


def end(one: OrchestrationState) -> dict[str, Any]:
    """Return what came of an orchestration."""
    return {
        "id": one.instance_id,
        "status": one.status.value,
        "output": _value(one.output),
        "parked": one.parked,
        "failure": _failure(one.failure),
    }


def done(one: str, error: DurableError | None) -> dict[str, Any]:
    """Return whether something was done to one of several."""
    return {"id": one, "done": error is None, "error": None if error is None else str(error)}


def instance(one: OrchestrationState) -> dict[str, Any]:
    """Return what a list tells of an orchestration."""
    return {
        "id": one.instance_id,
        "name": one.name,
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


def state(one: OrchestrationState, events: Sequence[h.HistoryEvent]) -> dict[str, Any]:
    """Return all that is known of an orchestration."""
    history = list(map(moment, timeline(events)))
    return {
        **instance(one),
        "failure": _story(one.failure),
        "input": _value(one.input),
        "custom_status": _value(one.custom_status),
        "output": _value(one.output),
        "worker": one.owner,
        "trace": one.trace_id,
        "history": history,
    }


def moment(one: Moment) -> dict[str, Any]:
    """Return an event of a history; the seconds stand where a turn begins."""
    return {"seconds": one.seconds, "event": type(one.event).__name__, "about": one.about}


def explanation(one: Explanation) -> dict[str, Any]:
    """Return what an orchestration waits for, and what is in its way."""
    return {
        "id": one.instance_id,
        "name": one.name,
        "version": one.version,
        "status": one.status.value,
        "at": _time(one.at),
        "moved_at": _time(one.moved_at),
        "worker": one.owner,
        "sentences": list(one.sentences),
        "obstacles": [
            {
                "kind": obstacle.kind.value,
                "text": obstacle.text,
                "since": _time(obstacle.since),
                "until": _time(obstacle.until),
            }
            for obstacle in one.obstacles
        ],
        "waits": list(map(_wait, one.waits)),
        "holds": list(one.holds),
        "stands": list(map(_stand, one.stands)),
        "code": one.code,
        "unclaimed": dict(one.unclaimed),
        "letters": one.letters,
    }


def _wait(one: Wait) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "name": one.name,
        "seq": one.seq,
        "since": _time(one.since),
        "until": _time(one.until),
        "attempt": one.attempt,
        "queued": one.is_queued,
        "worker": one.worker,
        "target": one.target,
        "status": None if one.status is None else one.status.value,
        "holder": one.holder,
        "trouble": one.trouble,
        "line": None if one.line is None else _line(one.line),
    }


def _line(one: SourceLine) -> dict[str, Any]:
    return {"file": one.file, "line": one.line, "function": one.function, "text": one.text}


def _stand(one: Stand) -> dict[str, Any]:
    return {
        "task": one.task,
        "lines": list(map(_line, one.lines)),
        "seqs": list(one.seqs),
        "events": list(one.events),
    }


def worker(one: WorkerState) -> dict[str, Any]:
    """Return what is known of a worker."""
    return {
        "id": one.worker_id,
        "host": one.host,
        "pid": one.pid,
        "alive": one.is_alive,
        "registered_at": _time(one.registered_at),
        "lease_until": _time(one.lease_until),
        "instances": one.instances,
        "activities": one.activities,
        "commits": one.commits,
    }


def schedule(one: ScheduleState) -> dict[str, Any]:
    """Return what is known of a schedule."""
    spec = one.spec
    return {
        "id": one.schedule_id,
        "name": spec.orchestrator,
        "input": spec.input,
        "cron": spec.cron,
        "every_seconds": None if spec.every is None else spec.every.total_seconds(),
        "run_at": _time(spec.at),
        "time_zone": spec.time_zone,
        "start": _time(spec.start),
        "end": _time(spec.end),
        "jitter_seconds": spec.jitter.total_seconds(),
        "overlap": spec.overlap.value,
        "catch_up": spec.catch_up.value,
        "catch_up_window_seconds": spec.catch_up_window.total_seconds(),
        "version": spec.version,
        "tags": spec.tags,
        "instance_id": spec.instance_id,
        "paused": one.paused,
        "reason": one.reason,
        "next_ticks": list(map(_time, one.next_ticks)),
        "waiting": list(map(_time, one.waiting)),
        "runs": [
            {
                "id": run.instance_id,
                "tick": _time(run.tick),
                "status": None if run.status is None else run.status.value,
            }
            for run in one.runs
        ],
        "started": one.started,
        "skipped": one.skipped,
        "missed": one.missed,
        "problem": one.problem,
    }


def next_ticks(schedule_id: str, ticks: Sequence[datetime]) -> dict[str, Any]:
    """Return when the ticks of a schedule would be that is not created."""
    return {"id": schedule_id, "dry_run": True, "next_ticks": list(map(_time, ticks))}


def schedule_change(before: ScheduleState, after: ScheduleState) -> dict[str, Any]:
    """Return what a change of a schedule would do."""
    return {
        "id": before.schedule_id,
        "dry_run": True,
        "before": schedule(before),
        "after": schedule(after),
    }


def entity(
    one: EntityState[Any],
    locks: EntityLocks | None = None,
    operations: Sequence[h.EntityOperation] = (),
) -> dict[str, Any]:
    """Return what is known of an entity; who waits for it, and what its mailbox begins with, only with its locks."""
    try:
        holder, waiting = one.locked_by, one.backlog
        parked_operations = [
            {"operation": parked.operation, "at": _time(parked.at), "reason": parked.reason}
            for parked in one.parked_operations
        ]
    except DurableError:  # its snapshot is damaged, which its state says
        holder, waiting, parked_operations = None, None, []
    found: dict[str, Any] = {
        "id": str(one.entity_id),
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
        found["operations"] = list(map(_operation, operations))
        found["worker"] = one.owner
    return found


def _operation(one: h.EntityOperation) -> dict[str, Any]:
    due_at = instant(one.due_us) if one.due_us else None
    return {"operation": one.operation, "input": payload(one.input), "due_at": _time(due_at)}


def finding(one: Finding) -> dict[str, Any]:
    """Return what one look of `doctor` came to."""
    return {"check": one.check, "level": one.level.value, "detail": one.detail}


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


def retention(one: Retention, expired: Mapping[str, int]) -> dict[str, Any]:
    """Return how long what has ended is kept, and what would be deleted by now."""
    return {
        "age_seconds": _seconds(one.age),
        "failed_seconds": _seconds(one.failed),
        "by_name_seconds": {name: _seconds(age) for name, age in one.by_name.items()},
        "expired": expired,
    }


def _seconds(age: Seconds | None) -> float | None:
    return None if age is None else seconds_of(age, "age")


def time_of(at: datetime) -> str:
    """Return a time as documents have it."""
    return at.isoformat()


def _time(at: datetime | None) -> str | None:
    return None if at is None else time_of(at)


def _failure(failure: FailureDetails | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {"type": failure.error_type, "message": failure.message}


def _story(failure: FailureDetails | None) -> dict[str, Any] | None:
    """Return a failure with where it was raised, and what caused it."""
    if failure is None:
        return None
    return {
        "type": failure.error_type,
        "message": failure.message,
        "stack_trace": failure.stack_trace,
        "cause": _story(failure.cause),
    }


def _value(read: Callable[[], Any]) -> Any:
    """Return a value, or why it cannot be read."""
    try:
        return read()
    except DurableError as error:
        return {"unreadable": str(error)}
