"""Programs whose traces are looked at, and what spans are boiled down to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from durable_async import EntityContext, OrchestrationContext, Registry


class Span(NamedTuple):
    """What matters of one."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    begun_ns: int
    ended_ns: int
    attributes: dict[str, Any]

    @classmethod
    def of(cls, span: ReadableSpan) -> Span:
        assert span.context is not None
        assert span.start_time is not None
        assert span.end_time is not None
        return cls(
            span.name,
            trace.format_trace_id(span.context.trace_id),
            trace.format_span_id(span.context.span_id),
            None if span.parent is None else trace.format_span_id(span.parent.span_id),
            span.start_time,
            span.end_time,
            dict(span.attributes or {}),
        )


class Recorder:
    """A provider of the SDK that keeps what is written in memory; also of what the code of activities writes, from now on."""

    latest: ClassVar[trace.TracerProvider | None] = None

    def __init__(self, **options: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(**options, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        Recorder.latest = self.provider

    @property
    def spans(self) -> list[Span]:
        return [Span.of(span) for span in self._exporter.get_finished_spans()]

    @property
    def raw(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()


def tree(spans: Iterable[Span]) -> list[str]:
    """Return the spans of one trace, each below its parent, in order of time and name."""
    spans = list(spans)
    ids = {span.span_id for span in spans}
    lines: list[str] = []

    def add(parent: str | None, depth: int) -> None:
        below = [
            span
            for span in spans
            if span.parent_id == parent or (parent is None and span.parent_id not in ids)
        ]
        for span in sorted(below, key=lambda one: (one.begun_ns, one.name)):
            lines.append("  " * depth + span.name)
            add(span.span_id, depth + 1)

    add(None, 0)
    return lines


def check_one_trace(spans: list[Span]) -> None:
    """One trace, one root, no id twice, no parent missing."""
    assert len({span.trace_id for span in spans}) == 1
    doubles = [key for key, count in Counter(span.span_id for span in spans).items() if count > 1]
    assert doubles == []
    ids = {span.span_id for span in spans}
    roots = [span.name for span in spans if span.parent_id not in ids]
    assert len(roots) == 1, roots
    assert all(span.begun_ns <= span.ended_ns for span in spans)


def tracer() -> trace.Tracer:
    """Return that of the code."""
    return trace.get_tracer("shop", tracer_provider=Recorder.latest)


registry = Registry()
own = "of the code's own"


@registry.activity
async def charge(amount: int) -> int:
    with tracer().start_as_current_span(own):
        await asyncio.sleep(1)
    return amount


@registry.activity
def ship(order: str) -> str:
    with tracer().start_as_current_span(own):
        return order.upper()


@registry.entity
def counter(ctx: EntityContext, amount: int) -> int:
    total = int(ctx.get_state(int, 0)) + amount
    ctx.set_state(total)
    if ctx.operation == "add":
        ctx.signal_entity(ctx.entity_id, "note", 0)
    return total


@registry.orchestrator
async def shipping(ctx: OrchestrationContext, order: str) -> str:
    return await ctx.call_activity(ship, order)


@registry.orchestrator
async def checkout(ctx: OrchestrationContext, order: str) -> str:
    amount = await ctx.call_activity(charge, 5)
    await ctx.create_timer(60)
    total = await ctx.call_entity(counter.entity_id("sales"), "add", amount)
    shipped = await ctx.call_sub_orchestrator(shipping, order)
    return f"{shipped} for {total}"


CHECKOUT = """\
create_orchestration:checkout
  orchestration:checkout
    turn:checkout
    activity:charge
      of the code's own
    turn:checkout
    orchestration:checkout:timer
    call_entity:counter:add
      entity:counter:add
        signal_entity:counter:note
          entity:counter:note
    turn:checkout
    create_orchestration:shipping
      orchestration:shipping
        activity:ship
          of the code's own
        turn:shipping
        turn:shipping
    turn:checkout
    turn:checkout
""".splitlines()
