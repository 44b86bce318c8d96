"""The names under which an export job is registered and found."""

from __future__ import annotations

ENTITY_NAME = "ExportJobEntity"
ORCHESTRATOR_NAME = "export_job_orchestrator"
ORCHESTRATOR_INSTANCE_ID_PREFIX = "export-job-"


def orchestrator_instance_id_for(job_id: str) -> str:
    """Return the instance id of the orchestration that carries out a job.

    Raises:
        ValueError: ``job_id`` is empty.
    """
    if not job_id:
        raise ValueError("job_id must be a non-empty string")
    return ORCHESTRATOR_INSTANCE_ID_PREFIX + job_id
