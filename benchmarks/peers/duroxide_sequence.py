"""duroxide: orchestrations that call a no-op activity again and again.

duroxide_sequence.py postgres 1 100      store, orchestrations, steps of each

Tuned: it polls every 10 ms; 2 workers for orchestrations, and for activities 4 on Postgres, 2 on SQLite (more of them are slower). Its
workers bound what is in flight. Activities are plain functions, as it has no others. On SQLite it is less durable than the others:
its connection runs at synchronous=NORMAL.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from typing import Any

from common import (
    Database,
    Meter,
    check,
    emit,
    ending,
    fresh_database,
    fresh_file,
    gaps,
    milliseconds,
)
from duroxide import Client, PostgresProvider, Runtime, RuntimeOptions, SqliteProvider

ACTIVITY_WORKERS = {"postgres": 4, "sqlite": 2}
WAIT_MS = 200_000
WARM_UP = 5

stamps: list[float] = []


def begin_runtime(provider: Any, store: str) -> None:
    """Start the runtime."""
    runtime = Runtime(
        provider,
        RuntimeOptions(
            log_level="error",
            orchestration_concurrency=2,
            worker_concurrency=ACTIVITY_WORKERS[store],
            dispatcher_poll_interval_ms=10,
        ),
    )

    @runtime.register_activity("noop")
    def noop(_: Any, number: int) -> int:
        stamps.append(time.perf_counter())
        return number

    @runtime.register_orchestration("sequence")
    def sequence(ctx: Any, steps: int) -> Generator[Any, Any, int]:
        for number in range(steps):
            yield ctx.schedule_activity("noop", number)
        return steps

    runtime.start()


def run(client: Client, name: str, orchestrations: int, steps: int) -> None:
    """Start them all, and wait for one after the other."""
    names = [f"{name}-{place}" for place in range(orchestrations)]
    for one in names:
        client.start_orchestration(one, "sequence", steps)
    for one in names:
        status = client.wait_for_orchestration(one, WAIT_MS)
        check(f"{one} ({status.error})", status.status, "Completed")
        check(f"result of {one}", status.output, steps)


def measure(
    provider: Any, store: str, orchestrations: int, steps: int, database: Database | None
) -> dict[str, float]:
    """Run the workload, and return what a step took."""
    client = Client(provider)
    begin_runtime(provider, store)
    run(client, "warm-up", WARM_UP, 5)
    stamps.clear()
    meter = Meter(database)
    run(client, "bench", orchestrations, steps)
    used = meter.stop()
    check("every step ran", len(stamps) >= orchestrations * steps, True)
    latencies = milliseconds(gaps(stamps)) if orchestrations == 1 else {}
    return used.per(orchestrations * steps) | latencies


def main(store: str, orchestrations: int, steps: int) -> None:
    """Run it in a fresh store and print its figures."""
    if store == "postgres":
        with fresh_database() as database:
            provider = PostgresProvider.connect_with_schema(database.dsn, "duroxide")
            figures = measure(provider, store, orchestrations, steps, database)
    else:
        path = fresh_file("duroxide.sqlite")
        path.touch()
        provider = SqliteProvider.open(f"sqlite:{path}")
        figures = measure(provider, store, orchestrations, steps, None)
    emit(figures)


if __name__ == "__main__":
    with ending():
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
