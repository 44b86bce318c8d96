"""Sales report, the worker: reads a file for each region, several at a time, and adds the figures up."""

from __future__ import annotations

import csv
import os
import sys
from datetime import timedelta
from pathlib import Path

from durabletask import task
from durabletask.worker import ConcurrencyOptions, TaskHubGrpcWorker

ADDRESS = os.environ.get("DURABLE_TASK_ADDRESS", "localhost:4001")
PATIENT = task.RetryPolicy(
    first_retry_interval=timedelta(milliseconds=100),
    max_number_of_attempts=5,
    backoff_coefficient=2,
)


def list_regions(ctx: task.ActivityContext, folder: str) -> list[str]:
    return sorted(path.stem for path in Path(folder).glob("*.csv"))


def add_up_region(ctx: task.ActivityContext, path: str) -> float:
    region = Path(path).stem
    print(f"reading {region}", flush=True)
    with open(path, newline="", encoding="utf-8") as figures:
        total = sum(float(row["amount"]) for row in csv.DictReader(figures))
    print(f"read {region}", flush=True)
    return total


def write_report(ctx: task.ActivityContext, totals: dict[str, float]) -> str:
    print("writing the report", flush=True)
    lines = [f"{region}: {total:.2f}" for region, total in sorted(totals.items())]
    return "\n".join([*lines, f"all: {sum(totals.values()):.2f}"])


def sales_report(ctx: task.OrchestrationContext, folder: str):
    regions = yield ctx.call_activity(list_regions, input=folder)
    calls = {
        region: ctx.call_activity(
            add_up_region, input=str(Path(folder, f"{region}.csv")), retry_policy=PATIENT
        )
        for region in regions
    }
    waiting = list(calls.values())
    while waiting:
        done = yield task.when_any(waiting)
        waiting.remove(done)
        ctx.set_custom_status(f"{len(calls) - len(waiting)} of {len(calls)} regions")
    totals = {region: call.get_result() for region, call in calls.items()}
    return (yield ctx.call_activity(write_report, input=totals))


def main() -> None:
    options = ConcurrencyOptions(maximum_concurrent_activity_work_items=8)
    with TaskHubGrpcWorker(host_address=ADDRESS, concurrency_options=options) as worker:
        worker.add_orchestrator(sales_report)
        worker.add_activity(list_regions)
        worker.add_activity(add_up_region)
        worker.add_activity(write_report)
        worker.start()
        print("working", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
