"""The same as `tracing_program`, written with the names of the Durable Task SDK."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

from opentelemetry import trace
from tracing_program import INSIDE, ORDER, main

from durabletask import client, task, worker

QUIET = logging.getLogger("shop")


def reserve(ctx: task.ActivityContext, order: str) -> str:
    with trace.get_tracer("shop").start_as_current_span(INSIDE):
        return order.upper()


def charge(ctx: task.ActivityContext, folder: str) -> int:
    begun = Path(folder) / "charging"
    if not begun.exists():
        begun.touch()
        time.sleep(3600)
    with trace.get_tracer("shop").start_as_current_span(INSIDE):
        return 5


def shipping(ctx: task.OrchestrationContext, order: str) -> Generator[Any, Any, str]:
    shipped = yield ctx.call_activity(reserve, input=order)
    return str(shipped)


def checkout(ctx: task.OrchestrationContext, folder: str) -> Generator[Any, Any, str]:
    yield ctx.call_activity(reserve, input=ORDER)
    yield ctx.create_timer(timedelta(seconds=0.01))
    amount = yield ctx.call_activity(charge, input=folder)
    shipped = yield ctx.call_sub_orchestrator(shipping, input=ORDER)
    return f"{shipped} for {amount}"


def work(url: str, folder: Path, job: str) -> None:
    with (
        worker.TaskHubGrpcWorker(host_address=url, logger=QUIET) as serving,
        client.TaskHubGrpcClient(host_address=url, logger=QUIET) as asking,
    ):
        for orchestrator in (shipping, checkout):
            serving.add_orchestrator(orchestrator)
        for activity in (reserve, charge):
            serving.add_activity(activity)
        serving.start()
        if job == "start":
            asking.schedule_new_orchestration(checkout, input=str(folder), instance_id=ORDER)
        state = asking.wait_for_orchestration_completion(ORDER, timeout=60)
        print(None if state is None else state.get_output())


if __name__ == "__main__":
    main(work)
