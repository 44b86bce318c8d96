"""A request's ``traceparent`` is the parent of what it starts, signals and raises, in each framework."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from durable_async import TaskHub
from durable_async.integrations.opentelemetry import OpenTelemetry

from .stage import Serve, registry

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("header", [f"00-{TRACE}-00f067aa0ba902b7-01", "<script>", "00-0-0-00", ""])
async def test_an_incoming_request_is_the_parent(serve: Serve, header: str) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = OpenTelemetry(tracer_provider=provider, roots=False)
    hub = TaskHub.at("memory://", registry=registry, telemetry=telemetry)
    async with serve(hub) as client:
        answer = await client.post(
            "/durable/orchestrators/doubling?wait=10", json=21, headers={"traceparent": header}
        )
    assert answer.status_code == 200
    spans = exporter.get_finished_spans()
    if TRACE not in header:
        assert spans == ()
        return
    assert {f"{span.context.trace_id:032x}" for span in spans if span.context} == {TRACE}
    assert {span.name for span in spans} >= {
        "create_orchestration:doubling",
        "orchestration:doubling",
        "activity:doubled",
    }
    (start,) = (span for span in spans if span.name.startswith("create"))
    assert start.parent is not None
    assert f"{start.parent.span_id:016x}" == "00f067aa0ba902b7"
