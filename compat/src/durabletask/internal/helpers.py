"""Small helpers that programs are known to borrow from the Durable Task SDK."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from . import orchestrator_service_pb2 as pb

_STATUS_PREFIX = "ORCHESTRATION_STATUS_"


def get_qualified_name(t: type) -> str:
    """Return a type's name with its module, such as ``builtins.ValueError``, as `FailureDetails.error_type` has it."""
    kind: Any = t
    module = getattr(kind, "__module__", None)
    name = getattr(kind, "__qualname__", None) or getattr(kind, "__name__", None) or str(kind)
    return f"{module}.{name}" if module else str(name)


def ensure_aware(value: datetime | None) -> datetime | None:
    """Return a naive ``datetime`` as one in UTC, and anything else unchanged."""
    if value is None or value.tzinfo is not None:
        return value
    return value.replace(tzinfo=UTC)


def get_orchestration_status_str(status: int) -> str:
    """Return the name of a status, such as ``RUNNING``, or ``UNKNOWN``."""
    try:
        return pb.OrchestrationStatus.Name(status).removeprefix(_STATUS_PREFIX)
    except ValueError:
        return "UNKNOWN"
