"""What the blocking and the async clients of export jobs have in common."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from durabletask.client import EntityQuery, OrchestrationState, OrchestrationStatus
from durabletask.entities import EntityInstanceId, EntityMetadata

from ._constants import ENTITY_NAME, orchestrator_instance_id_for
from ._internal import aware, dt_to_iso
from .exceptions import ExportJobNotFoundError
from .models import (
    ExportJobCreationOptions,
    ExportJobDescription,
    ExportJobQuery,
    ExportJobState,
    ExportJobStatus,
)

DELETE_WAIT_SECONDS = 30.0
"""So long a client waits for a job that it deletes to stop."""

DELETE_POLL_SECONDS = 0.05

_ENDED = frozenset({ExportJobStatus.COMPLETED, ExportJobStatus.FAILED})
_TERMINAL = frozenset(
    {
        OrchestrationStatus.COMPLETED,
        OrchestrationStatus.FAILED,
        OrchestrationStatus.TERMINATED,
    }
)


def entity_of(job_id: str) -> EntityInstanceId:
    """Return the entity that keeps a job; ``ValueError`` if there can be no job of that id."""
    orchestrator_instance_id_for(job_id)
    return EntityInstanceId(ENTITY_NAME, job_id)


@dataclasses.dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is about to be created.

    Attributes:
        job_id: Its id.
        payload: What the entity is told.
        description: The job as it will be.
    """

    job_id: str
    payload: dict[str, Any]
    description: ExportJobDescription

    @classmethod
    def of(cls, options: ExportJobCreationOptions, job_id: str | None) -> NewJob:
        """Return the job that these options mean; ``ValueError`` if they do not go together."""
        name = job_id or uuid.uuid4().hex
        config = options.to_configuration()
        now = datetime.now(UTC)
        state = ExportJobState.new(
            config, created_at=now, orchestrator_instance_id=orchestrator_instance_id_for(name)
        )
        description = ExportJobDescription.from_state(name, state)
        return cls(
            name,
            {"config": config.to_dict(), "created_at": dt_to_iso(now)},
            dataclasses.replace(description, checkpoint=None),
        )


class Created:
    """The jobs that a client created and has not seen yet: what it sees of an older job under the same id is not them."""

    def __init__(self) -> None:
        self._at: dict[str, datetime] = {}

    def add(self, job: NewJob) -> None:
        """Remember that a job was created. The first of several counts: while it is active, no other is begun."""
        created_at = job.description.created_at
        assert created_at is not None
        self._at.setdefault(job.job_id, created_at)

    def see(self, job: ExportJobDescription) -> None:
        """Take a look at a job: it may be the one that was created, or come after it."""
        created_at = self._at.get(job.job_id)
        if created_at is not None and (job.created_at is None or job.created_at >= created_at):
            self.forget(job.job_id)

    def forget(self, job_id: str) -> None:
        """Do so: it was seen, or deleted."""
        self._at.pop(job_id, None)

    def is_awaited(self, job_id: str) -> bool:
        """Tell whether a job that was created has not been seen."""
        return job_id in self._at


class Wait:
    """A wait for a job to end.

    Args:
        job_id: Which job.
        timeout: Seconds at most.
        created: What the client created.
        clock: Tells the seconds.
    """

    def __init__(
        self,
        job_id: str,
        timeout: float,
        created: Created,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job_id = job_id
        self._timeout = timeout
        self._created = created
        self._clock = clock
        self._deadline = clock() + timeout

    def is_over(self, seen: ExportJobDescription | None) -> bool:
        """Tell whether the job has ended.

        Raises:
            ExportJobNotFoundError: There is no such job.
            TimeoutError: It has not ended, and it is time.
        """
        is_awaited = self._created.is_awaited(self._job_id)
        if seen is None and not is_awaited:
            raise ExportJobNotFoundError(self._job_id)
        if seen is not None and not is_awaited and seen.status in _ENDED:
            return True
        if self._clock() >= self._deadline:
            status = "none" if seen is None or is_awaited else seen.status.value
            raise TimeoutError(
                f"Export job {self._job_id!r} did not reach a terminal status within"
                f" {self._timeout:g}s (last status: {status})"
            )
        return False

    def pause(self, poll_interval: float) -> float:
        """Return how many seconds to wait before looking again."""
        return max(0.0, min(poll_interval, self._deadline - self._clock()))


def has_stopped(job: ExportJobDescription | None, state: OrchestrationState | None) -> bool:
    """Tell whether a job that was deleted is gone, and its orchestration over."""
    return job is None and (state is None or state.runtime_status in _TERMINAL)


def is_running(state: OrchestrationState | None) -> bool:
    """Tell whether there is an orchestration to terminate."""
    return state is not None and state.runtime_status not in _TERMINAL


def entity_query(query: ExportJobQuery | None) -> EntityQuery:
    """Return the query for the entities of jobs."""
    return EntityQuery(
        instance_id_starts_with=f"@{ENTITY_NAME.lower()}@",
        include_state=True,
        page_size=None if query is None else query.page_size,
    )


def description_of(job_id: str, entity: EntityMetadata | None) -> ExportJobDescription | None:
    """Return the job that an entity keeps; ``None`` if it keeps none."""
    data = None if entity is None else entity.get_typed_state(dict[str, Any])
    return ExportJobDescription.from_state_dict(job_id, data) if data else None


def matching(
    entities: Iterable[EntityMetadata], query: ExportJobQuery | None
) -> Iterator[ExportJobDescription]:
    """Yield the jobs that these entities keep, those that a query means."""
    for entity in entities:
        job = description_of(entity.id.key, entity)
        if job is not None and _matches(job, query or ExportJobQuery()):
            yield job


def _matches(job: ExportJobDescription, query: ExportJobQuery) -> bool:
    if query.status is not None and job.status not in query.status:
        return False
    at, begin, end = job.last_modified_at, query.last_modified_from, query.last_modified_to
    if at is None:
        return begin is None and end is None
    return (begin is None or at >= aware(begin)) and (end is None or at <= aware(end))
