"""Span ids that were told before their spans are written.

An activity's span names that of its orchestration as its parent, days before that ends and is written, perhaps by another process. So the
id is chosen, and the tracer is given it when it asks for one. Every tracer of the SDK has its generator in a public attribute; those of other
implementations go on to make their own ids, and spans hang under what the client wrote.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry import trace

from durable_async.telemetry import TraceParent

_chosen: ContextVar[int] = ContextVar("durable_async_span_id", default=0)
_chosen_trace: ContextVar[int] = ContextVar("durable_async_trace_id", default=0)


class _ChosenIds:
    """A generator of ids: the one that was chosen, or whatever the provider's gives."""

    def __init__(self, others: Any) -> None:
        self._others = others

    def generate_span_id(self) -> int:
        return _chosen.get() or int(self._others.generate_span_id())

    def generate_trace_id(self) -> int:
        return _chosen_trace.get() or self.fresh_trace_id()

    def fresh_trace_id(self) -> int:
        return int(self._others.generate_trace_id())

    def is_trace_id_random(self) -> bool:
        # Absent in SDKs that do not know the flag.
        is_random = getattr(self._others, "is_trace_id_random", None)
        return is_random is not None and bool(is_random())


def let_choose(tracer: trace.Tracer) -> None:
    """Let ids be chosen for a tracer, which nobody else uses, if it is one of the SDK."""
    others = getattr(tracer, "id_generator", None)
    if others is not None and not chooses(tracer):  # a provider gives one tracer for one name
        tracer.id_generator = _ChosenIds(others)  # type: ignore[attr-defined]


def chooses(tracer: trace.Tracer) -> bool:
    """Tell whether ids can be chosen for a tracer."""
    return isinstance(getattr(tracer, "id_generator", None), _ChosenIds)


def fresh_trace(tracer: trace.Tracer) -> TraceParent:
    """Return a place in a trace that nobody has begun, for a tracer whose ids can be chosen."""
    ids: Any = tracer.id_generator  # type: ignore[attr-defined]
    return TraceParent(ids.fresh_trace_id(), ids.generate_span_id())


@contextmanager
def chosen(own: TraceParent) -> Generator[None, Any, None]:
    """Give a span that is started in this block its id; and its trace the trace's, if it begins one."""
    span, whole = _chosen.set(own.span_id), _chosen_trace.set(own.trace_id)
    try:
        yield
    finally:
        _chosen_trace.reset(whole)
        _chosen.reset(span)
