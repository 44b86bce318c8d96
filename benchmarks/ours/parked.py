"""Orchestrations that wait for an event, as the kernel keeps them: bytes of memory of each, while cached and after it was evicted.

python -m benchmarks.ours.parked 10000
"""

from __future__ import annotations

import gc
import os
import sys
import time
import tracemalloc
from pathlib import Path

from benchmarks.samples import emit
from durable_async import JsonConverter, OrchestrationContext, Registry
from durable_async._kernel.orchestration import PYTHON, Orchestration
from durable_async._kernel.program import Program
from durable_async.model.history import ExecutionStarted, TurnStarted

WARM_UP = 100
TRACED_MAX = 10_000
"""More than that is not traced, which is slow; it is the same for each."""

registry = Registry()


@registry.orchestrator
async def waits(ctx: OrchestrationContext, number: int) -> int:
    """Wait for what does not come."""
    return number + await ctx.wait_for_external_event("go", int)


def park(program: Program, count: int) -> list[Orchestration]:
    """Replay as many as a worker does that has claimed them."""
    parked = []
    for number in range(count):
        started = ExecutionStarted("waits", None, b"%d" % number)
        instance = Orchestration(f"parked-{number}", 1, started, program)
        instance.replay([started, TurnStarted(1_000_000 + number, PYTHON)])
        assert instance.outcome is None
        parked.append(instance)
    return parked


def evict(parked: list[Orchestration]) -> None:
    """Let them all go."""
    while parked:
        assert parked.pop().evict()


def resident() -> int:
    """Return what the process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def traced(program: Program, count: int) -> tuple[float, float]:
    """Return the bytes of each by Python's own count: while cached, and after it was evicted."""
    tracemalloc.start()
    parked: list[Orchestration] = []
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    parked += park(program, count)
    gc.collect()
    cached = tracemalloc.get_traced_memory()[0] - before
    evict(parked)
    gc.collect()
    left = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return cached / count, left / count


def main(count: int) -> None:
    """Measure and print."""
    orchestrator = registry.find_orchestrator("waits")
    assert orchestrator is not None
    program = orchestrator.program(JsonConverter())
    evict(park(program, WARM_UP))
    gc.collect()
    before = resident()
    started = time.perf_counter()
    parked = park(program, count)
    seconds = time.perf_counter() - started
    gc.collect()
    cached = resident() - before
    assert len(parked) == count
    evict(parked)
    by_count, left = traced(program, min(count, TRACED_MAX))
    emit(
        {
            "cached_resident_bytes": cached / count,
            "cached_bytes": by_count,
            "evicted_bytes": left,
            "replay_us": seconds / count * 1e6,
        }
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
