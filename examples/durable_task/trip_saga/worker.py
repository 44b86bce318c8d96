"""Trip, the worker: books the parts of a trip, and takes back what was booked when one of them fails.

Version 2.0 of the orchestration also insures the trip. Trips of version 1.0 that are under way keep their path.
"""

from __future__ import annotations

import os
import sys

from packaging.version import Version

from durabletask import task
from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker
from durabletask.worker import VersionFailureStrategy, VersioningOptions, VersionMatchStrategy

ADDRESS = os.environ.get("DURABLE_TASK_ADDRESS", "http://localhost:8080")
TASKHUB = os.environ.get("TASKHUB", "trips")


class SoldOutError(Exception):
    """There is nothing left to book."""


def book(ctx: task.ActivityContext, what: dict) -> str:
    if what["place"] == "Atlantis":
        raise SoldOutError(f"no {what['kind']} in {what['place']}")
    print(f"booked {what['kind']} in {what['place']}", flush=True)
    return f"{what['kind']}-{what['place']}"


def cancel(ctx: task.ActivityContext, booking: str) -> None:
    print(f"cancelled {booking}", flush=True)


def reserve(ctx: task.OrchestrationContext, what: dict):
    """Book one part; a child orchestration, so that it can be seen by itself."""
    return (yield ctx.call_activity(book, input=what))


def trip(ctx: task.OrchestrationContext, stops: list[dict]):
    if ctx.version and Version(ctx.version) >= Version("2.0"):
        stops = [*stops, {"kind": "insurance", "place": "everywhere"}]
    booked: list[str] = []
    try:
        for number, stop in enumerate(stops):
            child = f"{ctx.instance_id}-part-{number}"
            booked.append((yield ctx.call_sub_orchestrator(reserve, input=stop, instance_id=child)))
    except task.TaskFailedError as error:
        for booking in reversed(booked):
            yield ctx.call_activity(cancel, input=booking)
        return {"booked": [], "problem": error.details.message.rpartition(": ")[2]}
    return {"booked": booked}


def main() -> None:
    with DurableTaskSchedulerWorker(
        host_address=ADDRESS, secure_channel=False, taskhub=TASKHUB, token_credential=None
    ) as worker:
        worker.add_orchestrator(trip)
        worker.add_orchestrator(reserve)
        worker.add_activity(book)
        worker.add_activity(cancel)
        worker.use_versioning(
            VersioningOptions(
                version="2.0",
                default_version="2.0",
                match_strategy=VersionMatchStrategy.CURRENT_OR_OLDER,
                failure_strategy=VersionFailureStrategy.FAIL,
            )
        )
        worker.start()
        print("working", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
