"""A process of the tracing test: it starts an order, or only works, and writes its spans to a file, one a line.

``tracing_program.py URL FOLDER start`` starts the order and hangs in its second activity, to be killed there; ``tracing_program.py URL FOLDER work``
is whoever goes on.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from durable_async import OrchestrationContext, TaskHub, activity, orchestrator
from durable_async.integrations.opentelemetry import OpenTelemetry

ORDER = "order-1"
INSIDE = "of the code's own"


class ToFile(SpanExporter):
    """Writes each span before the next thing happens, so that a kill loses none that was exported."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            line = {
                "name": span.name,
                "trace_id": f"{span.context.trace_id:032x}",
                "span_id": f"{span.context.span_id:016x}",
                "parent_id": None if span.parent is None else f"{span.parent.span_id:016x}",
                "begun_ns": span.start_time,
                "ended_ns": span.end_time,
                "attributes": dict(span.attributes or {}),
            }
            self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        return SpanExportResult.SUCCESS


@activity
async def reserve(order: str) -> str:
    with trace.get_tracer("shop").start_as_current_span(INSIDE):
        return order.upper()


@activity
async def charge(folder: str) -> int:
    """Hang for ever the first time; whoever kills the process sees by the file that it runs."""
    begun = Path(folder) / "charging"
    if not begun.exists():
        begun.touch()
        await asyncio.sleep(3600)
    with trace.get_tracer("shop").start_as_current_span(INSIDE):
        return 5


@orchestrator
async def shipping(ctx: OrchestrationContext, order: str) -> str:
    return await ctx.call_activity(reserve, order)


@orchestrator
async def checkout(ctx: OrchestrationContext, folder: str) -> str:
    await ctx.call_activity(reserve, ORDER)
    await ctx.create_timer(0.01)
    amount = await ctx.call_activity(charge, folder)
    shipped = await ctx.call_sub_orchestrator(shipping, ORDER)
    return f"{shipped} for {amount}"


async def run(url: str, folder: Path, job: str) -> None:
    async with TaskHub.open(url, telemetry=OpenTelemetry()) as hub, hub.worker():
        if job == "start":
            await hub.client.start(checkout, str(folder), instance_id=ORDER)
        print(await hub.client.handle(ORDER, str).wait(timeout=60))


def main(work: Callable[[str, Path, str], object]) -> None:
    """Do what the arguments say, and have its spans written."""
    url, folder, job = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    provider = TracerProvider()
    with (folder / f"spans-{job}.jsonl").open("w", encoding="utf-8") as file:
        provider.add_span_processor(SimpleSpanProcessor(ToFile(file)))
        trace.set_tracer_provider(provider)
        work(url, folder, job)


if __name__ == "__main__":
    main(lambda *given: asyncio.run(run(*given)))
