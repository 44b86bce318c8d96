"""What an export job is asked to do, and how far it has come.

Everything here is data. ``to_dict`` and ``from_dict`` are what is stored: values of JSON, times in ISO 8601, statuses of orchestrations
by their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from durabletask.client import OrchestrationStatus

from ._internal import aware, dt_from_iso, dt_to_iso

STATE_SCHEMA_VERSION = "1.0"
"""Of a job's stored state; one of another version is not read."""

INSTANCES_PER_BATCH_MAX = 1000

_TERMINAL = (
    OrchestrationStatus.COMPLETED,
    OrchestrationStatus.FAILED,
    OrchestrationStatus.TERMINATED,
)


class ExportMode(Enum):
    """Whether a job ends by itself: after a span of time, or never."""

    BATCH = "Batch"
    CONTINUOUS = "Continuous"


class ExportJobStatus(Enum):
    """Where a job stands."""

    ACTIVE = "Active"
    COMPLETED = "Completed"
    FAILED = "Failed"


class ExportFormatKind(Enum):
    """How a history is written: as one JSON document; or an event a line, compressed."""

    JSON = "Json"
    JSONL_GZIP = "JsonlGzip"


@dataclass
class ExportFormat:
    """How histories are written.

    Attributes:
        kind: Which format.
        schema_version: Written into each file, for those who read it.
    """

    kind: ExportFormatKind = ExportFormatKind.JSONL_GZIP
    schema_version: str = "1.0"

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored."""
        return {"kind": ExportFormatKind(self.kind).value, "schema_version": self.schema_version}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ExportFormat:
        """Return what was stored; ``KeyError`` or ``ValueError`` if that is not it."""
        return cls(ExportFormatKind(data["kind"]), data.get("schema_version", "1.0"))


@dataclass
class ExportDestination:
    """Where histories are written.

    Attributes:
        container: Container, bucket or folder.
        prefix: What names within it begin with, such as ``exports/2026``.

    Raises:
        ValueError: ``container`` is empty.
    """

    container: str
    prefix: str | None = None

    def __post_init__(self) -> None:
        if not self.container:
            raise ValueError("destination.container must be a non-empty string")

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored."""
        return {"container": self.container, "prefix": self.prefix}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ExportDestination:
        """Return what was stored; ``KeyError`` or ``ValueError`` if that is not it."""
        return cls(data["container"], data.get("prefix"))


@dataclass
class ExportFilter:
    """Which orchestrations are exported.

    Attributes:
        completed_time_from: Those that ended then or later. A naive time is UTC, here and below.
        completed_time_to: Those that ended before that; ``None`` for no end.
        runtime_status: Those that ended so; ``None`` or nothing for however they ended.
    """

    completed_time_from: datetime
    completed_time_to: datetime | None = None
    runtime_status: list[OrchestrationStatus] | None = None

    def effective_runtime_status(self) -> list[OrchestrationStatus]:
        """Return the statuses that are meant: those given, or all in which an orchestration has ended."""
        return list(self.runtime_status or _TERMINAL)

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored."""
        statuses = self.runtime_status
        return {
            "completed_time_from": dt_to_iso(self.completed_time_from),
            "completed_time_to": dt_to_iso(self.completed_time_to),
            "runtime_status": None if statuses is None else [status.value for status in statuses],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ExportFilter:
        """Return what was stored; statuses may be numbers or names.

        Raises:
            ValueError: There is no ``completed_time_from``, or no such status.
        """
        begin = dt_from_iso(data.get("completed_time_from"))
        if begin is None:
            raise ValueError("completed_time_from is required")
        statuses = data.get("runtime_status")
        return cls(
            begin,
            dt_from_iso(data.get("completed_time_to")),
            None if statuses is None else [status_of(one) for one in statuses],
        )


def status_of(value: OrchestrationStatus | int | str) -> OrchestrationStatus:
    """Return the status that a number or a name stands for; ``ValueError`` if there is none."""
    if isinstance(value, str):
        try:
            return OrchestrationStatus[value.upper()]
        except KeyError as error:
            raise ValueError(f"{value!r} is no status of orchestrations") from error
    return OrchestrationStatus(value)


@dataclass
class ExportJobConfiguration:
    """What a job does.

    Attributes:
        mode: Whether it ends by itself.
        filter: Which orchestrations it exports.
        destination: Where to.
        format: How they are written.
        max_instances_per_batch: How many are listed, exported and recorded at a time, 1 to 1,000.
        max_parallel_exports: How many of them are exported at the same time, 1 or more.

    Raises:
        ValueError: These do not go together: a batch has an end that lies after its beginning, a continuous job has no end, and
            statuses are those of orchestrations that have ended.
    """

    mode: ExportMode
    filter: ExportFilter
    destination: ExportDestination
    format: ExportFormat = field(default_factory=ExportFormat)
    max_instances_per_batch: int = 100
    max_parallel_exports: int = 32

    def __post_init__(self) -> None:
        self.mode = ExportMode(self.mode)
        _check_span(self.mode, self.filter)
        for status in self.filter.runtime_status or ():
            if status not in _TERMINAL:
                raise ValueError(
                    "runtime_status may only contain terminal statuses"
                    f" ({{COMPLETED, FAILED, TERMINATED}}); got {status.name}"
                )
        if not 1 <= self.max_instances_per_batch <= INSTANCES_PER_BATCH_MAX:
            raise ValueError(
                f"max_instances_per_batch must be in [1, {INSTANCES_PER_BATCH_MAX}];"
                f" got {self.max_instances_per_batch}"
            )
        if self.max_parallel_exports < 1:
            raise ValueError("max_parallel_exports must be positive")

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored."""
        return {
            "mode": self.mode.value,
            "filter": self.filter.to_dict(),
            "destination": self.destination.to_dict(),
            "format": self.format.to_dict(),
            "max_instances_per_batch": self.max_instances_per_batch,
            "max_parallel_exports": self.max_parallel_exports,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ExportJobConfiguration:
        """Return what was stored; ``KeyError`` or ``ValueError`` if that is not it."""
        given = data.get("format")
        return cls(
            ExportMode(data["mode"]),
            ExportFilter.from_dict(data["filter"]),
            ExportDestination.from_dict(data["destination"]),
            ExportFormat() if given is None else ExportFormat.from_dict(given),
            data.get("max_instances_per_batch", 100),
            data.get("max_parallel_exports", 32),
        )


def _check_span(mode: ExportMode, span: ExportFilter) -> None:
    end = span.completed_time_to
    if mode is ExportMode.CONTINUOUS:
        if end is not None:
            raise ValueError(
                "completed_time_to is not allowed for continuous mode exports: they have no end"
            )
    elif end is None:
        raise ValueError("completed_time_to is required for batch mode exports")
    elif aware(end) <= aware(span.completed_time_from):
        raise ValueError("completed_time_to must be strictly greater than completed_time_from")


@dataclass
class ExportJobCreationOptions:
    """What a job is to do, as a program says it; the same as `ExportJobConfiguration`, flat."""

    mode: ExportMode
    completed_time_from: datetime
    destination: ExportDestination
    completed_time_to: datetime | None = None
    runtime_status: list[OrchestrationStatus] | None = None
    format: ExportFormat = field(default_factory=ExportFormat)
    max_instances_per_batch: int = 100
    max_parallel_exports: int = 32

    def to_configuration(self) -> ExportJobConfiguration:
        """Return the configuration; ``ValueError`` if these options do not go together."""
        return ExportJobConfiguration(
            self.mode,
            ExportFilter(self.completed_time_from, self.completed_time_to, self.runtime_status),
            self.destination,
            self.format,
            self.max_instances_per_batch,
            self.max_parallel_exports,
        )


@dataclass
class ExportCheckpoint:
    """How far a job has come.

    Attributes:
        last_instance_key: The continuation token after the last page that was exported; ``None`` at the beginning.
    """

    last_instance_key: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored."""
        return {"last_instance_key": self.last_instance_key}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ExportCheckpoint:
        """Return what was stored."""
        return cls(data.get("last_instance_key"))


@dataclass
class ExportFailure:
    """An orchestration that could not be exported.

    Attributes:
        instance_id: Which one.
        reason: Why, at the last attempt.
        attempt_count: How often its batch was tried.
        last_attempt: When that was.
    """

    instance_id: str
    reason: str
    attempt_count: int
    last_attempt: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored."""
        return {
            "instance_id": self.instance_id,
            "reason": self.reason,
            "attempt_count": self.attempt_count,
            "last_attempt": dt_to_iso(self.last_attempt),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ExportFailure:
        """Return what was stored; ``KeyError`` or ``ValueError`` if that is not it."""
        return cls(
            data["instance_id"],
            data.get("reason", ""),
            int(data.get("attempt_count", 0)),
            dt_from_iso(str(data["last_attempt"])),
        )


@dataclass
class ExportJobState:
    """A job as its entity keeps it.

    Attributes:
        status: Where it stands.
        config: What it does.
        created_at: When it was created.
        last_modified_at: When any of this changed last.
        orchestrator_instance_id: The orchestration that carries it out.
        checkpoint: How far it has come.
        last_checkpoint_time: When that was recorded.
        last_error: Why it failed.
        scanned_instances: How many orchestrations were listed, of batches that are done.
        exported_instances: How many of them were written.
        failed_instances: How many could not be.
        failures: Which those are; of many, the latest.
    """

    status: ExportJobStatus
    config: ExportJobConfiguration
    created_at: datetime
    last_modified_at: datetime
    orchestrator_instance_id: str | None = None
    checkpoint: ExportCheckpoint = field(default_factory=ExportCheckpoint)
    last_checkpoint_time: datetime | None = None
    last_error: str | None = None
    scanned_instances: int = 0
    exported_instances: int = 0
    failed_instances: int = 0
    failures: list[ExportFailure] = field(default_factory=list[ExportFailure])

    @classmethod
    def new(
        cls,
        config: ExportJobConfiguration,
        *,
        created_at: datetime,
        orchestrator_instance_id: str | None = None,
    ) -> ExportJobState:
        """Return a job that has just been created."""
        return cls(ExportJobStatus.ACTIVE, config, created_at, created_at, orchestrator_instance_id)

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored."""
        return {
            "schema_version": STATE_SCHEMA_VERSION,
            "status": self.status.value,
            "config": self.config.to_dict(),
            "checkpoint": self.checkpoint.to_dict(),
            "created_at": dt_to_iso(self.created_at),
            "last_modified_at": dt_to_iso(self.last_modified_at),
            "last_checkpoint_time": dt_to_iso(self.last_checkpoint_time),
            "last_error": self.last_error,
            "scanned_instances": self.scanned_instances,
            "exported_instances": self.exported_instances,
            "failed_instances": self.failed_instances,
            "orchestrator_instance_id": self.orchestrator_instance_id,
            "failures": [failure.to_dict() for failure in self.failures],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ExportJobState:
        """Return what was stored.

        Raises:
            ValueError: It lacks a part that every job has, or is of a schema that this release does not know.
        """
        version = data.get("schema_version", STATE_SCHEMA_VERSION)
        if version != STATE_SCHEMA_VERSION:
            raise ValueError(
                f"Unsupported export job state schema_version={version!r};"
                f" expected {STATE_SCHEMA_VERSION!r}"
            )
        if not data.get("config"):
            raise ValueError("persisted state is missing 'config'")
        created_at = dt_from_iso(data.get("created_at"))
        last_modified_at = dt_from_iso(data.get("last_modified_at"))
        if created_at is None or last_modified_at is None:
            raise ValueError("persisted state must include 'created_at' and 'last_modified_at'")
        return cls(
            ExportJobStatus(data["status"]),
            ExportJobConfiguration.from_dict(data["config"]),
            created_at,
            last_modified_at,
            data.get("orchestrator_instance_id"),
            ExportCheckpoint.from_dict(data.get("checkpoint") or {}),
            dt_from_iso(data.get("last_checkpoint_time")),
            data.get("last_error"),
            int(data.get("scanned_instances", 0)),
            int(data.get("exported_instances", 0)),
            int(data.get("failed_instances", 0)),
            [ExportFailure.from_dict(one) for one in data.get("failures") or ()],
        )


@dataclass
class ExportJobDescription:
    """A job as a client sees it; the fields are those of `ExportJobState`."""

    job_id: str
    status: ExportJobStatus
    created_at: datetime | None
    last_modified_at: datetime | None
    config: ExportJobConfiguration | None
    orchestrator_instance_id: str | None
    scanned_instances: int
    exported_instances: int
    failed_instances: int
    last_error: str | None
    checkpoint: ExportCheckpoint | None
    last_checkpoint_time: datetime | None
    failures: list[ExportFailure] = field(default_factory=list[ExportFailure])

    @classmethod
    def from_state(cls, job_id: str, state: ExportJobState) -> ExportJobDescription:
        """Return the description of a job in this state."""
        return cls(
            job_id=job_id,
            status=state.status,
            created_at=state.created_at,
            last_modified_at=state.last_modified_at,
            config=state.config,
            orchestrator_instance_id=state.orchestrator_instance_id,
            scanned_instances=state.scanned_instances,
            exported_instances=state.exported_instances,
            failed_instances=state.failed_instances,
            last_error=state.last_error,
            checkpoint=state.checkpoint,
            last_checkpoint_time=state.last_checkpoint_time,
            failures=list(state.failures),
        )

    @classmethod
    def from_state_dict(cls, job_id: str, state: Mapping[str, Any]) -> ExportJobDescription:
        """Return the description of a job in this stored state; ``ValueError`` if it is none."""
        return cls.from_state(job_id, ExportJobState.from_dict(state))


@dataclass
class ExportJobQuery:
    """Which jobs to list; what is ``None`` does not narrow.

    Attributes:
        status: In one of these.
        last_modified_from: Changed then or later.
        last_modified_to: Changed then or before.
        page_size: How many to read from the store at a time.
    """

    status: list[ExportJobStatus] | None = None
    last_modified_from: datetime | None = None
    last_modified_to: datetime | None = None
    page_size: int | None = None
