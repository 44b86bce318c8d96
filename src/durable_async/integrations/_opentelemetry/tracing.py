"""Spans of what clients and workers do.

    create_orchestration:checkout         client, when it starts one
    └ orchestration:checkout              once, when it ends; its id was known from the start
      ├ turn:checkout                     one for each commit
      ├ activity:charge                   around the attempt: what its code writes is inside
      ├ orchestration:checkout:timer      when it fired
      └ create_orchestration:ship         when the turn that asked for it was committed
        └ orchestration:ship

An attempt's span ends when its code does, and is written when its result is durable; one whose result was lost with its process runs again, and
that attempt's is written.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextvars import Token
from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from durable_async.model.identity import ENTITY_MARK
from durable_async.telemetry import (
    Act,
    ActivityRun,
    ClientCall,
    ExecutionEnded,
    Ongoing,
    OperationRun,
    Outcome,
    Telemetry,
    TraceParent,
    TurnCommitted,
    incoming_trace,
)

from .ids import chooses, chosen, fresh_trace, let_choose

PREFIX = "durable_async."

_CALLS = {
    "start": ("create_orchestration", SpanKind.PRODUCER),
    "raise_event": ("orchestration_event", SpanKind.PRODUCER),
    "signal_entity": ("signal_entity", SpanKind.PRODUCER),
    "call_entity": ("call_entity", SpanKind.CLIENT),
}
"""What the spans of a client's calls, and of an orchestration's own, are called, and of which kind they are."""


class Tracing(Telemetry):
    """Writes spans by one tracer."""

    def __init__(self, provider: trace.TracerProvider | None, *, roots: bool, turns: bool) -> None:
        self._provider = provider
        self._roots = roots
        self._turns = turns
        self._found: trace.Tracer | None = None

    @property
    def _tracer(self) -> trace.Tracer:
        """The tracer; as long as no SDK is set up, it is asked for again."""
        if self._found is not None:
            return self._found
        provider = self._provider or trace.get_tracer_provider()
        tracer = provider.get_tracer("durable_async")
        if not isinstance(provider, trace.ProxyTracerProvider):
            self._found = tracer
            let_choose(tracer)
        return tracer

    # -- the client

    def client_call_began(self, call: ClientCall) -> Ongoing | None:
        around = trace.get_current_span().get_span_context()
        incoming = None if around.is_valid else TraceParent.parse(incoming_trace())
        if not around.is_valid and incoming is None and not self._roots:
            return None
        word, kind = _CALLS[call.verb]
        span = self._tracer.start_span(
            _called(word, call.name, call.operation),
            context=None if incoming is None else _context(incoming),
            kind=kind,
            attributes=_attributes(
                "client",
                task_hub=call.hub,
                instance_id=call.instance_id,
                name=call.name,
                operation=call.operation or None,
            ),
            start_time=call.begun_us * 1_000,
        )
        running = _Running(span, call.begun_us)
        own = _place_of(span)
        if own is not None:
            running.traceparent = str(own)
        return running

    # -- code that runs

    def activity_began(self, run: ActivityRun) -> Ongoing | None:
        header = TraceParent.parse(run.traceparent)
        if header is None or not header.is_sampled:
            return _Inside(_unwritten(header), run.begun_us)
        span = self._start(
            f"activity:{run.name}",
            SpanKind.SERVER,
            header.attempt(run.instance_id, run.execution, run.seq, run.attempt),
            self._execution(header, run.instance_id, run.execution),
            run.begun_us,
            _attributes(
                "activity",
                task_hub=run.hub,
                worker_id=run.worker_id,
                instance_id=run.instance_id,
                execution=run.execution,
                name=run.name,
                seq=run.seq,
                attempt=run.attempt,
                input_bytes=run.input_bytes,
                was_queued=run.was_queued,
            ),
        )
        return _Inside(span, run.begun_us)

    def operation_began(self, run: OperationRun) -> Ongoing | None:
        header = parent = TraceParent.parse(run.traceparent)
        if header is None and self._roots and chooses(self._tracer):
            header = fresh_trace(self._tracer)
        if header is None or not header.is_sampled:
            return _Inside(_unwritten(header), run.begun_us)
        span = self._start(
            f"entity:{run.name}:{run.operation}",
            SpanKind.SERVER,
            header.operation(run.instance_id),
            parent,
            run.begun_us,
            _attributes(
                "entity",
                task_hub=run.hub,
                worker_id=run.worker_id,
                instance_id=run.instance_id,
                name=run.name,
                operation=run.operation,
                caller=run.caller or None,
                input_bytes=run.input_bytes,
            ),
        )
        return _Operation(span, run, self, header)

    # -- what is durable

    def turn_committed(self, turn: TurnCommitted) -> None:
        header = TraceParent.parse(turn.traceparent)
        if header is None or not header.is_sampled:
            return
        execution = self._execution(header, turn.instance_id, turn.execution)
        known: dict[str, Any] = {
            "task_hub": turn.hub,
            "worker_id": turn.worker_id,
            "instance_id": turn.instance_id,
            "execution": turn.execution,
        }
        if self._turns:
            self._write_turn(turn, header, execution, known)
        for act in turn.acts:
            if act.kind == "timer":
                self._write_timer(turn, act, execution, known)
            else:
                self.write_act(act, execution, turn.ended_us, known)

    def _write_turn(
        self,
        turn: TurnCommitted,
        header: TraceParent,
        parent: TraceParent,
        known: Mapping[str, Any],
    ) -> None:
        own = header.turn(turn.instance_id, turn.execution, turn.turn)
        attributes = _attributes(
            "turn",
            **known,
            name=turn.name,
            turn=turn.turn,
            events=turn.events,
            event_bytes=turn.event_bytes,
            seconds=turn.seconds,
        )
        name = f"turn:{turn.name}"
        span = self._start(name, SpanKind.INTERNAL, own, parent, turn.begun_us, attributes)
        span.end(turn.ended_us * 1_000)

    def _write_timer(
        self, turn: TurnCommitted, act: Act, parent: TraceParent, known: Mapping[str, Any]
    ) -> None:
        own = TraceParent.parse(act.traceparent)
        if own is not None:
            name = f"orchestration:{turn.name}:timer"
            attributes = _attributes("timer", **known, name=turn.name, seq=act.seq)
            span = self._start(name, SpanKind.INTERNAL, own, parent, act.begun_us, attributes)
            span.end(max(turn.begun_us, act.begun_us) * 1_000)

    def write_act(
        self, act: Act, parent: TraceParent, ended_us: int, known: Mapping[str, Any]
    ) -> None:
        """Write that something was asked for."""
        own = TraceParent.parse(act.traceparent)
        if own is None or not own.is_sampled:
            return
        word, kind = _CALLS[act.kind]
        attributes = _attributes(act.kind, **known, seq=act.seq, name=act.name, target=act.target)
        is_for_entity = act.kind in ("signal_entity", "call_entity")
        called = (_entity_name(act.target), act.name) if is_for_entity else (act.name,)
        begun_us = min(act.begun_us, ended_us)
        span = self._start(_called(word, *called), kind, own, parent, begun_us, attributes)
        span.end(ended_us * 1_000)

    def execution_ended(self, ended: ExecutionEnded) -> None:
        header = TraceParent.parse(ended.traceparent)
        if header is None or not header.is_sampled:
            return
        span = self._start(
            f"orchestration:{ended.name}",
            SpanKind.SERVER,
            header.execution(ended.instance_id, ended.execution),
            header,
            ended.begun_us,
            _attributes(
                "orchestration",
                task_hub=ended.hub,
                worker_id=ended.worker_id,
                instance_id=ended.instance_id,
                execution=ended.execution,
                name=ended.name,
                status=ended.status,
                parent_instance_id=ended.parent_id or None,
            ),
        )
        if ended.status == "failed":
            _note_failure(span, ended.error)
        span.end(ended.ended_us * 1_000)

    # -- spans

    def _execution(self, header: TraceParent, instance_id: str, execution: int) -> TraceParent:
        """Return the span that all spans of an execution are under; where ids cannot be chosen, that of its start."""
        return header.execution(instance_id, execution) if chooses(self._tracer) else header

    def _start(
        self,
        name: str,
        kind: SpanKind,
        own: TraceParent,
        parent: TraceParent | None,
        begun_us: int,
        attributes: Mapping[str, Any],
    ) -> trace.Span:
        tracer = self._tracer
        with chosen(own):
            return tracer.start_span(
                name,
                context=context.Context() if parent is None else _context(parent),
                kind=kind,
                attributes=attributes,
                start_time=begun_us * 1_000,
            )


class _Running(Ongoing):
    """A span that ends when its code does, and is written when that is durable."""

    def __init__(self, span: trace.Span, begun_us: int) -> None:
        self._span = span
        self._begun_us = begun_us
        self._ended_us = begun_us

    def ended(self, outcome: Outcome) -> None:
        self._ended_us = self._begun_us + round(outcome.seconds * 1e6)
        if self._span.is_recording():
            self._span.set_attribute(PREFIX + "outcome", outcome.status)
            if outcome.status != "completed":
                _note_failure(self._span, outcome.error or outcome.status)

    def recorded(self) -> None:
        if self._span.is_recording():
            self._span.end(self._ended_us * 1_000)


class _Inside(_Running):
    """The same, and spans that the code starts are inside it."""

    def __init__(self, span: trace.Span, begun_us: int) -> None:
        super().__init__(span, begun_us)
        self._token: Token[context.Context] = context.attach(trace.set_span_in_context(span))

    def ended(self, outcome: Outcome) -> None:
        if trace.get_current_span() is self._span:  # not so in a coroutine that is thrown away
            context.detach(self._token)
        super().ended(outcome)


class _Operation(_Inside):
    """The same of an operation of an entity, and what it asked for."""

    def __init__(
        self, span: trace.Span, run: OperationRun, tracing: Tracing, header: TraceParent
    ) -> None:
        super().__init__(span, run.begun_us)
        self._own = _place_of(span) or header
        self.traceparent = str(header._replace(flags=self._own.flags))
        self._run = run
        self._tracing = tracing
        self._acts: tuple[Act, ...] = ()

    def ended(self, outcome: Outcome) -> None:
        super().ended(outcome)
        self._acts = outcome.acts

    def recorded(self) -> None:
        super().recorded()
        known = {"task_hub": self._run.hub, "instance_id": self._run.instance_id}
        for act in self._acts:
            self._tracing.write_act(act, self._own, act.begun_us, known)


def _unwritten(header: TraceParent | None) -> trace.Span:
    """Return what code is to see that has no span: not the one in which its worker happened to be started."""
    return trace.INVALID_SPAN if header is None else _remote(header)


@functools.lru_cache(maxsize=1_000)
def _remote(header: TraceParent) -> trace.Span:
    known = trace.SpanContext(
        header.trace_id,
        header.span_id,
        is_remote=True,
        trace_flags=trace.TraceFlags(header.flags),
    )
    return trace.NonRecordingSpan(known)


def _place_of(span: trace.Span) -> TraceParent | None:
    """Return where a span is; ``None`` if it is nowhere, as without an SDK."""
    known = span.get_span_context()
    if not known.is_valid:
        return None
    return TraceParent(known.trace_id, known.span_id, int(known.trace_flags))


def _context(parent: TraceParent) -> context.Context:
    return trace.set_span_in_context(_remote(parent))


def _called(word: str, name: str, operation: str = "") -> str:
    return f"{word}:{name}:{operation}" if operation else f"{word}:{name}"


def _entity_name(entity_id: str) -> str:
    return entity_id.split(ENTITY_MARK)[1]


def _attributes(type: str, **values: str | float | bool | None) -> dict[str, Any]:
    known = {PREFIX + name: value for name, value in values.items() if value is not None}
    return {PREFIX + "type": type, **known}


def _note_failure(span: trace.Span, error: str) -> None:
    span.set_attribute("error.type", error)
    span.set_status(Status(StatusCode.ERROR, error))
