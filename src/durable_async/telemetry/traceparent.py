"""W3C trace context: the ``traceparent`` header, read and written; and span ids that can be told before their spans are written.

The span of an orchestration is written when it ends, and its activities' spans long before. So that these know their parent, ids are
derived: whoever knows the trace, the instance and the place in its history knows the id. What runs again after a crash has the same one again.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

SAMPLED = 0x01
_FLAGS_KNOWN = 0x03
"""Sampled, and random trace id. What later versions may mean by the others is not passed on."""
_CHARS_MAX = 256
_HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)

_incoming: ContextVar[str] = ContextVar("durable_async_traceparent", default="")


class TraceParent(NamedTuple):
    """A place in a trace.

    Attributes:
        trace_id: 128 bits, not 0.
        span_id: 64 bits, not 0.
        flags: 8 bits.
    """

    trace_id: int
    span_id: int
    flags: int = SAMPLED

    @classmethod
    def parse(cls, header: object) -> TraceParent | None:
        """Read a header; ``None`` for what is none, for headers come from anybody."""
        if not isinstance(header, str) or not header or len(header) > _CHARS_MAX:
            return None
        return _parsed(header)

    def __str__(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"

    @property
    def is_sampled(self) -> bool:
        """Whether the caller keeps the trace."""
        return bool(self.flags & SAMPLED)

    def derived(self, *place: str | int) -> TraceParent:
        """Return the span of this trace that belongs to a place: the same for the same place, in every process."""
        known = repr(
            (self.trace_id, *place)
        ).encode()  # no two places read alike, whatever ids hold
        span_id = int.from_bytes(hashlib.blake2b(known, digest_size=8).digest(), "big")
        return self._replace(span_id=span_id or 1)

    # -- places

    def execution(self, instance_id: str, execution: int) -> TraceParent:
        """Return the span of an execution of an orchestration."""
        return self.derived("execution", instance_id, execution)

    def turn(self, instance_id: str, execution: int, turn: int) -> TraceParent:
        """Return the span of a turn."""
        return self.derived("turn", instance_id, execution, turn)

    def act(self, instance_id: str, execution: int, seq: int) -> TraceParent:
        """Return the span of what the code asked for: a timer, a child's start, a letter to another instance."""
        return self.derived("act", instance_id, execution, seq)

    def attempt(self, instance_id: str, execution: int, seq: int, attempt: int) -> TraceParent:
        """Return the span of an attempt of an activity."""
        return self.derived("attempt", instance_id, execution, seq, attempt)

    def sent(self, place: int) -> TraceParent:
        """Return the span of a letter or a start that the operation of this span asked for, by its place among these."""
        return self.derived("sent", self.span_id, place)

    def operation(self, entity_id: str) -> TraceParent:
        """Return the span of the operation of an entity that the letter from this span asks for."""
        return self.derived("operation", entity_id, self.span_id)


@functools.lru_cache(maxsize=1_000)
def _parsed(header: str) -> TraceParent | None:
    """Read a header; a worker reads that of one instance again and again."""
    found = _HEADER.fullmatch(header.strip(" \t"))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    parent = TraceParent(int(trace_id, 16), int(span_id, 16), int(flags, 16) & _FLAGS_KNOWN)
    return parent if parent.trace_id and parent.span_id else None


def passed_on(header: str, instance_id: str, execution: int, seq: int) -> str:
    """Return the header for what an orchestration asks for: its own span, or, where nobody keeps the trace, the header as it came."""
    parent = TraceParent.parse(header)
    if parent is None or not parent.is_sampled:
        return header
    return str(parent.act(instance_id, execution, seq))


def passed_on_by_operation(header: str, entity_id: str, place: int) -> str:
    """Return the header for what an operation of an entity asks for, which was asked for with ``header``."""
    parent = TraceParent.parse(header)
    if parent is None or not parent.is_sampled:
        return header
    return str(parent.operation(entity_id).sent(place))


@contextmanager
def continue_trace(header: str | None) -> Generator[None, Any, None]:
    """Let what is started, raised and signaled in this block belong to the caller's trace, as an incoming request's header names it.

    Only needed where nothing else takes the header, such as OpenTelemetry's instrumentation of a web framework. A header that is absent
    or not valid changes nothing.
    """
    parent = TraceParent.parse(header)
    if parent is None:
        yield
        return
    token = _incoming.set(str(parent))
    try:
        yield
    finally:
        _incoming.reset(token)


def incoming_trace() -> str:
    """Return the header of the innermost `continue_trace`; empty outside."""
    return _incoming.get()
