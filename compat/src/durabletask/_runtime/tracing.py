"""Spans: as with the SDK, they go to the global tracer provider if OpenTelemetry is installed."""

from __future__ import annotations

from functools import cache

from durable_async import MissingExtraError
from durable_async.telemetry import Telemetry


@cache
def tracing() -> Telemetry | None:
    """Return what writes the spans of this process, or ``None`` where there is no OpenTelemetry."""
    try:
        from durable_async.integrations.opentelemetry import (  # noqa: PLC0415 - it is optional
            OpenTelemetry,
        )
    except MissingExtraError:
        return None
    return OpenTelemetry(metrics=False, turns=False)  # the SDK has neither
