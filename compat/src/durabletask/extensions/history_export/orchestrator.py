"""The orchestration that carries out an export job, a batch at a time.

All that must last is in the job's entity: before each batch the orchestration asks it what to do and where to go on, and afterwards tells
it what became of the batch. So it can end and begin anew at any point, and stops by itself when the job is deleted.

A batch that is not exported whole is tried again, those that failed only; after the last attempt the job has failed. Orchestrations that
are gone, or go on, by the time their turn comes are counted as failures, and do not stop the job.

A continuous job remembers up to which moment it has exported, so each orchestration is exported once, when it ends.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from durabletask import task

from ._constants import ENTITY_NAME, ORCHESTRATOR_NAME
from ._internal import dt_from_iso, dt_to_iso
from .activities import (
    EXPORT_INSTANCE_HISTORY_ACTIVITY,
    LIST_TERMINAL_INSTANCES_ACTIVITY,
    build_list_activity_input,
)
from .entity import ExportJobEntity
from .models import (
    ExportFailure,
    ExportJobConfiguration,
    ExportJobState,
    ExportJobStatus,
    ExportMode,
)

if TYPE_CHECKING:
    from durabletask import worker as worker_module

CONTINUE_AS_NEW_FREQUENCY = 5
"""After so many batches the history begins anew."""

MAX_BATCH_RETRY_ATTEMPTS = 3
"""So often a batch is tried in all."""

BATCH_RETRY_FIRST_DELAY = timedelta(minutes=1)
BATCH_RETRY_MAX_DELAY = timedelta(minutes=5)

CONTINUOUS_IDLE_DELAY = timedelta(seconds=60)
"""So long a continuous job waits when it has caught up."""

CONTINUOUS_SETTLING_TIME = timedelta(seconds=5)
"""A continuous job exports what ended so long ago: stores may show an end a moment later than the time it bears."""

EXPORT_ACTIVITY_RETRY_POLICY = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=15),
    max_number_of_attempts=3,
    backoff_coefficient=2.0,
    max_retry_interval=timedelta(seconds=60),
)
"""For activities that are not carried out at all, as when a worker dies. What they report as failed is tried again by batch."""

_CAUGHT_UP = "before:"
"""What a continuous job's position begins with when everything that ended before the moment that follows is exported."""

Steps = Generator[task.Task[Any], Any, Any]


@dataclass(frozen=True, slots=True)
class _Exported:
    """What became of one orchestration; ``error`` is ``None`` if it was written."""

    instance_id: str
    error: str | None
    is_skipped: bool = False


@dataclass(frozen=True, slots=True)
class _Batch:
    """What became of a batch: its results in order, and where to go on.

    Attributes:
        attempts: How often it was tried.
        position: Of the next batch.
        is_last: Whether there is none for the time being.
    """

    results: Sequence[_Exported]
    attempts: int
    position: str | None
    is_last: bool


def export_job_orchestrator(ctx: task.OrchestrationContext, input: Mapping[str, Any]) -> Steps:
    """Carry out an export job.

    Args:
        ctx: Its context.
        input: ``job_id``; what else there is, is not looked at: the entity knows it.

    Returns:
        ``job_id``; the ``status`` in which it was left, ``None`` if the job was deleted; and the ``totals``.
    """
    job_id = str(input["job_id"])
    for _ in range(CONTINUE_AS_NEW_FREQUENCY):
        state = yield from _ask(ctx, job_id, ExportJobEntity.OP_GET)
        if state is None or state.status is not ExportJobStatus.ACTIVE:
            return _report(job_id, state)
        try:
            batch = yield from _batch(ctx, state)
        except task.TaskFailedError as error:
            yield from _ask(ctx, job_id, ExportJobEntity.OP_MARK_FAILED, {"error": str(error)})
            raise
        state = yield from _ask(
            ctx, job_id, ExportJobEntity.OP_COMMIT_CHECKPOINT, _checkpoint(ctx, batch)
        )
        if state is None or state.status is not ExportJobStatus.ACTIVE:
            return _report(job_id, state)
        if batch.is_last and state.config.mode is ExportMode.BATCH:
            state = yield from _ask(ctx, job_id, ExportJobEntity.OP_MARK_COMPLETED)
            return _report(job_id, state)
        if batch.is_last:
            yield ctx.create_timer(CONTINUOUS_IDLE_DELAY)
    ctx.continue_as_new(dict(input))
    return None


def _ask(
    ctx: task.OrchestrationContext, job_id: str, operation: str, payload: Any = None
) -> Generator[task.Task[Any], Any, ExportJobState | None]:
    """Let the job's entity do something, and return the job afterwards."""
    entity = task.EntityInstanceId(ENTITY_NAME, job_id)
    data = yield ctx.call_entity(entity, operation, payload)
    return None if data is None else ExportJobState.from_dict(data)


def _report(job_id: str, state: ExportJobState | None) -> dict[str, Any]:
    totals = {
        "scanned": 0 if state is None else state.scanned_instances,
        "exported": 0 if state is None else state.exported_instances,
        "failed": 0 if state is None else state.failed_instances,
    }
    status = None if state is None else state.status.value
    return {"job_id": job_id, "status": status, "totals": totals}


def _checkpoint(ctx: task.OrchestrationContext, batch: _Batch) -> dict[str, Any]:
    """Return what the entity is told of a batch."""
    now = _now(ctx)
    failed = [one for one in batch.results if one.error is not None]
    failures = [
        ExportFailure(one.instance_id, one.error or "", batch.attempts, now).to_dict()
        for one in failed
    ]
    told: dict[str, Any] = {
        "scanned_delta": len(batch.results),
        "exported_delta": len(batch.results) - len(failed),
        "failed_delta": len(failed),
    }
    if failures:
        told["failures"] = failures
    if any(not one.is_skipped for one in failed):
        return {**told, "mark_failed_on_batch": True}
    return {**told, "last_instance_key": batch.position}


def _batch(
    ctx: task.OrchestrationContext, state: ExportJobState
) -> Generator[task.Task[Any], Any, _Batch]:
    """List the next page and export it, as often as it takes."""
    position, until = state.checkpoint.last_instance_key, _until(ctx, state.config)
    page = yield ctx.call_activity(
        LIST_TERMINAL_INSTANCES_ACTIVITY,
        input=_list_input(state.config, position, until),
        retry_policy=EXPORT_ACTIVITY_RETRY_POLICY,
    )
    ids: list[str] = page["instance_ids"]
    token: str | None = page["continuation_token"]
    results: dict[str, _Exported] = {}
    attempt, left = 1, ids
    while True:
        exported = yield from _export(ctx, left, state.config)
        results.update((one.instance_id, one) for one in exported)
        left = [id for id in left if results[id].error is not None and not results[id].is_skipped]
        if not left or attempt == MAX_BATCH_RETRY_ATTEMPTS:
            break
        yield ctx.create_timer(_retry_delay(attempt))
        attempt += 1
    if token is not None:
        position = token
    elif state.config.mode is ExportMode.CONTINUOUS and until is not None:
        position = _CAUGHT_UP + dt_to_iso(until)
    return _Batch([results[id] for id in ids], attempt, position, is_last=token is None)


def _retry_delay(attempt: int) -> timedelta:
    factor: int = 2 ** (attempt - 1)
    return min(BATCH_RETRY_FIRST_DELAY * factor, BATCH_RETRY_MAX_DELAY)


def _until(ctx: task.OrchestrationContext, config: ExportJobConfiguration) -> datetime | None:
    """Return before which moment an orchestration must have ended to be exported now."""
    if config.mode is ExportMode.BATCH:
        return config.filter.completed_time_to
    return max(config.filter.completed_time_from, _now(ctx) - CONTINUOUS_SETTLING_TIME)


def _list_input(
    config: ExportJobConfiguration, position: str | None, until: datetime | None
) -> dict[str, Any]:
    begin, token = config.filter.completed_time_from, position
    if position is not None and position.startswith(_CAUGHT_UP):
        begin, token = dt_from_iso(position.removeprefix(_CAUGHT_UP)), None
    return build_list_activity_input(
        runtime_status_names=[one.name for one in config.filter.effective_runtime_status()],
        completed_time_from=begin,
        completed_time_to=until,
        page_size=config.max_instances_per_batch,
        continuation_token=token,
    )


def _export(
    ctx: task.OrchestrationContext, ids: Sequence[str], config: ExportJobConfiguration
) -> Generator[task.Task[Any], Any, list[_Exported]]:
    """Export these, several at the same time: whenever one is done, the next begins."""
    waiting = list(reversed(ids))
    running: list[tuple[str, task.Task[Any]]] = []
    results: list[_Exported] = []
    while waiting or running:
        while waiting and len(running) < config.max_parallel_exports:
            instance_id = waiting.pop()
            running.append((instance_id, _export_one(ctx, instance_id, config)))
        yield task.when_any([one for _, one in running])
        results += [_outcome(id, one) for id, one in running if one.is_complete]
        running = [(id, one) for id, one in running if not one.is_complete]
    return results


def _export_one(
    ctx: task.OrchestrationContext, instance_id: str, config: ExportJobConfiguration
) -> task.Task[Any]:
    return ctx.call_activity(
        EXPORT_INSTANCE_HISTORY_ACTIVITY,
        input={
            "instance_id": instance_id,
            "format": config.format.to_dict(),
            "destination": config.destination.to_dict(),
        },
        retry_policy=EXPORT_ACTIVITY_RETRY_POLICY,
    )


def _outcome(instance_id: str, done: task.Task[Any]) -> _Exported:
    if done.is_failed:
        return _Exported(instance_id, str(done.get_exception()))
    result = done.get_result()
    if result["success"]:
        return _Exported(instance_id, None)
    return _Exported(instance_id, result["error"] or "unknown", bool(result.get("skipped")))


def _now(ctx: task.OrchestrationContext) -> datetime:
    return ctx.current_utc_datetime.replace(tzinfo=UTC)


def register(worker_instance: worker_module.TaskHubGrpcWorker) -> None:
    """Register the orchestrator with a worker that has not been started."""
    worker_instance.add_orchestrator(export_job_orchestrator)


__all__ = [
    "CONTINUE_AS_NEW_FREQUENCY",
    "CONTINUOUS_IDLE_DELAY",
    "EXPORT_ACTIVITY_RETRY_POLICY",
    "MAX_BATCH_RETRY_ATTEMPTS",
    "ORCHESTRATOR_NAME",
    "export_job_orchestrator",
    "register",
]
