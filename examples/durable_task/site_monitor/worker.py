"""Site monitor, the worker: looks at a site again and again, and tells of each change; it never ends by itself."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from durabletask import task
from durabletask.worker import TaskHubGrpcWorker

ADDRESS = os.environ.get("DURABLE_TASK_ADDRESS", "localhost:4001")


@dataclass
class Watch:
    """What one life of the monitor hands on to the next.

    Attributes:
        site: A file that says how the site is.
        status: How it was last.
        checks: How often it was looked at.
        changes: What happened so far.
    """

    site: str
    seconds: float
    status: str | None = None
    checks: int = 0
    changes: list[str] | None = None


def look(ctx: task.ActivityContext, site: str) -> str:
    return Path(site).read_text(encoding="utf-8").strip()


def tell(ctx: task.ActivityContext, message: str) -> None:
    print(message, flush=True)


def monitor(ctx: task.OrchestrationContext, watch: Watch):
    status = yield ctx.call_activity(look, input=watch.site)
    watch.checks += 1
    if status != watch.status:
        watch.changes = [*(watch.changes or []), status]
        watch.status = status
        yield ctx.call_activity(tell, input=f"the site is {status}")
    ctx.set_custom_status({"checks": watch.checks, "status": watch.status})

    stop = ctx.wait_for_external_event("stop")
    next_check = ctx.create_timer(timedelta(seconds=watch.seconds))
    winner = yield task.when_any([stop, next_check])
    if winner == stop:
        return {"changes": watch.changes, "stopped by": stop.get_result()}
    ctx.continue_as_new(watch, save_events=True)


def main() -> None:
    with TaskHubGrpcWorker(host_address=ADDRESS) as worker:
        worker.add_orchestrator(monitor)
        worker.add_activity(look)
        worker.add_activity(tell)
        worker.start()
        print("working", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
