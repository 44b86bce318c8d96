"""ExportJobEntity: the one place where a job's state is kept. Its key is the job's id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from durabletask.entities import DurableEntity

from ._constants import (
    ENTITY_NAME,
    ORCHESTRATOR_INSTANCE_ID_PREFIX,
    ORCHESTRATOR_NAME,
    orchestrator_instance_id_for,
)
from ._internal import dt_from_iso
from ._logging import logger
from .models import ExportFailure, ExportJobConfiguration, ExportJobState, ExportJobStatus
from .transitions import assert_valid_transition

if TYPE_CHECKING:
    from durabletask import worker as worker_module

FAILURES_KEPT_MAX = 1000
"""Of so many orchestrations that could not be exported a job tells which; all are counted."""

FAILURES_NAMED_MAX = 10

_ACTIVE, _FAILED = ExportJobStatus.ACTIVE, ExportJobStatus.FAILED


class ExportJobEntity(DurableEntity):
    """Holds a job, and starts the orchestration that carries it out.

    Every operation returns the state afterwards as `ExportJobState.to_dict` has it. Without a job, all but ``create`` do nothing and
    return ``None``: a job may be deleted while it is carried out.
    """

    OP_CREATE: Final = "create"
    OP_GET: Final = "get"
    OP_DELETE: Final = "delete"
    OP_COMMIT_CHECKPOINT: Final = "commit_checkpoint"
    OP_MARK_COMPLETED: Final = "mark_completed"
    OP_MARK_FAILED: Final = "mark_failed"

    def create(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Begin a job, in place of one of the same id that has ended.

        Args:
            payload: ``config``, and optionally ``created_at``.

        Raises:
            ValueError: The configuration is none, or does not go together.
            ExportJobInvalidTransitionError: The job is active.
        """
        job_id = self.entity_context.entity_id.key
        config = _config(payload)
        before = self._load()
        assert_valid_transition(
            self.OP_CREATE,
            None if before is None else before.status,
            ExportJobStatus.ACTIVE,
            job_id=job_id,
        )
        now = self._now()
        state = ExportJobState.new(
            config,
            created_at=dt_from_iso(payload.get("created_at")) or now,
            orchestrator_instance_id=orchestrator_instance_id_for(job_id),
        )
        self.schedule_new_orchestration(
            ORCHESTRATOR_NAME,
            {"job_id": job_id, "config": config.to_dict()},
            state.orchestrator_instance_id,
        )
        return self._store(state, now)

    def get(self, _: Any = None) -> dict[str, Any] | None:
        """Return the job."""
        state = self._load()
        return None if state is None else state.to_dict()

    def delete(self, input: Any = None) -> None:
        """Forget the job; the orchestration that carries it out ends when it looks next."""
        self.set_state(None)

    def commit_checkpoint(self, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        """Record what became of a batch.

        Args:
            payload: Any of ``scanned_delta``, ``exported_delta``, ``failed_delta``; ``last_instance_key``; ``failures``, as
                `ExportFailure.to_dict` has them; ``mark_failed_on_batch``, which ends the job.

        Raises:
            ValueError: A delta is negative.
            ExportJobInvalidTransitionError: The job has ended.
        """
        state = self._load()
        if state is None:
            return None
        is_failed = bool(payload.get("mark_failed_on_batch"))
        self._move(state, self.OP_COMMIT_CHECKPOINT, _FAILED if is_failed else _ACTIVE)
        names = ("scanned_delta", "exported_delta", "failed_delta")
        scanned, exported, failed = (int(payload.get(name) or 0) for name in names)
        if min(scanned, exported, failed) < 0:
            raise ValueError("checkpoint deltas must be non-negative")
        state.scanned_instances += scanned
        state.exported_instances += exported
        state.failed_instances += failed
        failures = [ExportFailure.from_dict(one) for one in payload.get("failures") or ()]
        state.failures = [*state.failures, *failures][-FAILURES_KEPT_MAX:]
        if "last_instance_key" in payload:
            state.checkpoint.last_instance_key = payload["last_instance_key"]
        if is_failed:
            state.last_error = f"Batch export failed after retries. Failures: {_summary(failures)}"
            logger.error("export job %r: %s", self.entity_context.entity_id.key, state.last_error)
        now = self._now()
        state.last_checkpoint_time = now
        return self._store(state, now)

    def mark_completed(self, _: Any = None) -> dict[str, Any] | None:
        """Record that all is exported; ``ExportJobInvalidTransitionError`` if the job has ended."""
        state = self._load()
        if state is None:
            return None
        self._move(state, self.OP_MARK_COMPLETED, ExportJobStatus.COMPLETED)
        return self._store(state, self._now())

    def mark_failed(self, payload: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """Record that the job cannot go on; of one that has failed already, the first error stands.

        Args:
            payload: ``error``: why.

        Raises:
            ExportJobInvalidTransitionError: The job has completed.
        """
        state = self._load()
        if state is None:
            return None
        was_failed = state.status is _FAILED
        self._move(state, self.OP_MARK_FAILED, _FAILED)
        if was_failed:
            return state.to_dict()
        given = payload or {}
        state.last_error = given.get("error") or given.get("reason") or given.get("last_error")
        return self._store(state, self._now())

    def _move(self, state: ExportJobState, operation: str, status: ExportJobStatus) -> None:
        job_id = self.entity_context.entity_id.key
        assert_valid_transition(operation, state.status, status, job_id=job_id)
        state.status = status

    def _load(self) -> ExportJobState | None:
        data = self.get_state(dict[str, Any])
        return ExportJobState.from_dict(data) if data else None

    def _store(self, state: ExportJobState, now: datetime) -> dict[str, Any]:
        state.last_modified_at = now
        data = state.to_dict()
        self.set_state(data)
        return data

    def _now(self) -> datetime:
        return self.entity_context.current_utc_datetime.replace(tzinfo=UTC)


def _config(payload: Mapping[str, Any]) -> ExportJobConfiguration:
    if not payload or "config" not in payload:
        raise ValueError("create payload requires 'config'")
    config = payload["config"]
    if not config or not isinstance(config, Mapping):
        raise ValueError("create payload 'config' must be a non-empty mapping")
    return ExportJobConfiguration.from_dict(config)


def _summary(failures: list[ExportFailure]) -> str:
    named = [f"{one.instance_id}: {one.reason}" for one in failures[:FAILURES_NAMED_MAX]]
    more = len(failures) - len(named)
    return "; ".join([*named, f"and {more} more"] if more else named)


def register(worker_instance: worker_module.TaskHubGrpcWorker, *, name: str = ENTITY_NAME) -> None:
    """Register the entity with a worker that has not been started."""
    worker_instance.add_entity(ExportJobEntity, name=name)


__all__ = [
    "ENTITY_NAME",
    "ORCHESTRATOR_INSTANCE_ID_PREFIX",
    "ExportJobEntity",
    "orchestrator_instance_id_for",
    "register",
]
