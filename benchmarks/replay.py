"""Replays a finished history of n steps, JSON encoded, compared and decoded at each: microseconds a step, and events a second."""

from __future__ import annotations

import asyncio
import gc
import sys
import time

from benchmarks.samples import emit
from durable_async import JsonConverter, OrchestrationContext, Registry
from durable_async._kernel.orchestration import PYTHON, Orchestration
from durable_async.model.history import (
    ActivityCompleted,
    ActivityScheduled,
    ExecutionCompleted,
    ExecutionStarted,
    HistoryEvent,
    TurnStarted,
)

registry = Registry()


@registry.activity
async def noop(value: dict[str, int]) -> dict[str, int]:
    """Stand for an activity; never run here."""
    return value


@registry.orchestrator
async def sequential(ctx: OrchestrationContext, steps: int) -> int:
    """One after the other."""
    total = 0
    for number in range(steps):
        total += (await ctx.call_activity(noop, {"i": number}))["i"]
    return total


@registry.orchestrator
async def fanned_out(ctx: OrchestrationContext, steps: int) -> int:
    """All at once."""
    calls = [ctx.call_activity(noop, {"i": number}) for number in range(steps)]
    return sum(result["i"] for result in await asyncio.gather(*calls))


def history(shape: str, steps: int) -> list[HistoryEvent]:
    """Return what a run would have recorded."""
    payloads = [b'{"i":%d}' % number for number in range(steps)]
    events: list[HistoryEvent] = [
        ExecutionStarted(shape, None, str(steps).encode()),
        TurnStarted(1_000_000, PYTHON),
    ]
    if shape == "sequential":
        events.append(ActivityScheduled(1, "noop", payloads[0]))
        for number in range(1, steps + 1):
            events += [
                TurnStarted(1_000_000 + number),
                ActivityCompleted(number, payloads[number - 1]),
            ]
            if number < steps:
                events.append(ActivityScheduled(number + 1, "noop", payloads[number]))
    else:
        events += [ActivityScheduled(n + 1, "noop", payloads[n]) for n in range(steps)]
        events.append(TurnStarted(2_000_000))
        events += [ActivityCompleted(n + 1, payloads[n]) for n in range(steps)]
    events.append(ExecutionCompleted(str(steps * (steps - 1) // 2).encode()))
    return events


def measure(shape: str, steps: int, repeats: int) -> float:
    """Return the best time of a replay, in microseconds a step."""
    events = history(shape, steps)
    orchestrator = registry.find_orchestrator(shape)
    assert orchestrator is not None
    program = orchestrator.program(JsonConverter())
    started = events[0]
    assert isinstance(started, ExecutionStarted)
    best = float("inf")
    for _ in range(repeats):
        gc.collect()
        begin = time.perf_counter()
        instance = Orchestration("benchmark", 1, started, program)
        instance.replay(events)
        best = min(best, time.perf_counter() - begin)
        assert isinstance(instance.outcome, ExecutionCompleted)
    return best / steps * 1e6


if __name__ == "__main__":
    size = int(sys.argv[1])
    figures = {shape: measure(shape, size, 5) for shape in ("sequential", "fanned_out")}
    emit(
        figures
        | {
            f"{one}_events_per_second": len(history(one, size)) / (us * size) * 1e6
            for one, us in figures.items()
        }
    )
