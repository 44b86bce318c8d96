"""Telemetry: what the engine tells whoever listens, as plain values; traces, metrics and exporters are others' business.

Knows nothing but errors, so every floor can tell something. Values hold ids, names, sizes and times, and never a payload. Read `_listening` first.
"""

from __future__ import annotations

from ._listening import Ongoing, Signals, Telemetry, signals_for
from ._values import (
    Act,
    ActivityRun,
    BatchCommitted,
    ClientCall,
    ClientVerb,
    ExecutionBegan,
    ExecutionEnded,
    HubCounted,
    InstanceParked,
    InstancesPurged,
    LeaseLost,
    OperationRun,
    Outcome,
    RunningWorker,
    TicksMissed,
    TurnCommitted,
    WorkerLoad,
    WorkFetched,
)
from .traceparent import TraceParent, continue_trace, incoming_trace

__all__ = (
    "Act",
    "ActivityRun",
    "BatchCommitted",
    "ClientCall",
    "ClientVerb",
    "ExecutionBegan",
    "ExecutionEnded",
    "HubCounted",
    "InstanceParked",
    "InstancesPurged",
    "LeaseLost",
    "Ongoing",
    "OperationRun",
    "Outcome",
    "RunningWorker",
    "Signals",
    "Telemetry",
    "TicksMissed",
    "TraceParent",
    "TurnCommitted",
    "WorkFetched",
    "WorkerLoad",
    "continue_trace",
    "incoming_trace",
    "signals_for",
)
