"""Does something again and again, one after the other, and tells how long each took and what it cost the server."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from benchmarks.server import counts

WARM_UP = 20


async def sequentially(
    one: Callable[[int], Awaitable[None]], total: int, watcher: asyncpg.Connection | None = None
) -> dict[str, float]:
    """Return percentiles, this process's CPU, and write transactions and WAL bytes of each; the first ones only warm up."""
    for number in range(WARM_UP):
        await one(number)
    before = await counts(watcher) if watcher else None
    cpu, seconds = time.process_time(), []
    for number in range(WARM_UP, WARM_UP + total):
        begin = time.perf_counter()
        await one(number)
        seconds.append(time.perf_counter() - begin)
    figures = milliseconds(seconds)
    figures["cpu_us_per_run"] = (time.process_time() - cpu) / total * 1e6
    if watcher and before:
        after = await counts(watcher)
        figures |= {
            "commits_per_run": (after.transactions - before.transactions) / total,
            "wal_bytes_per_run": (after.wal_bytes - before.wal_bytes) / total,
        }
    return figures


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Return the figures ``ms_p50`` and ``ms_p99``."""
    ordered = sorted(seconds)

    def percentile(part: float) -> float:
        place = (len(ordered) - 1) * part
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return (ordered[low] + (ordered[high] - ordered[low]) * (place - low)) * 1e3

    return {"ms_p50": percentile(0.5), "ms_p99": percentile(0.99)}
