"""OpenTelemetry: traces and metrics of a hub.

    hub = TaskHub.at("sqlite:///orders.db", telemetry=OpenTelemetry())

Only the API is used here. Which SDK, sampler and exporters there are is the program's business, and without an SDK nothing happens.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from durable_async.errors import MissingExtraError
from durable_async.telemetry import Telemetry

try:
    from opentelemetry import trace
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider
except ImportError as error:
    raise MissingExtraError("opentelemetry-api", "opentelemetry", "tracing") from error

from ._opentelemetry.metering import OpenTelemetryMetering
from ._opentelemetry.tracing import Tracing

__all__ = ("OpenTelemetry", "TraceIds")


class OpenTelemetry(Telemetry):
    """Writes spans and metrics of clients and workers.

    Spans of what is durable are written once, after it is: a replay writes none, and neither does whoever goes on after a crash, for what was
    written before. They hold ids, names and sizes, and never a payload.

    Args:
        tracer_provider: Where spans go; the global one by default.
        meter_provider: Where metrics go; the global one by default.
        spans: Whether to write spans.
        metrics: Whether to write metrics.
        roots: Whether what a client asks for, or an entity does, outside of any trace begins one. If not, it has no spans at all.
        turns: Whether each turn of an orchestration has a span. There are as many as commits.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        spans: bool = True,
        metrics: bool = True,
        roots: bool = True,
        turns: bool = True,
    ) -> None:
        self._parts: list[Telemetry] = []
        if spans:
            self._parts.append(Tracing(tracer_provider, roots=roots, turns=turns))
        if metrics:
            self._parts.append(OpenTelemetryMetering(meter_provider))

    def parts(self) -> Sequence[Telemetry]:
        """Return traces and metrics, which are heard apart: what neither needs is not made."""
        return self._parts


class TraceIds(logging.Filter):
    """Adds ``trace_id`` and ``span_id`` of the current span to each record, in hexadecimal; nothing where there is none.

    Add it to a handler: ``handler.addFilter(TraceIds())``.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is known; every record passes."""
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            record.trace_id = trace.format_trace_id(span.trace_id)
            record.span_id = trace.format_span_id(span.span_id)
        return True
