"""The Durable Task SDK on its in-memory backend: orchestrations that wait for an event each; started, sent it, and complete.

durabletask_events.py 500
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

from common import Meter, check, emit, finish
from durabletask_server import backend, running
from items import per_item

from durabletask import client, worker

CALLS_AT_ONCE = 4
"""Each call that waits has a thread of the backend, which has ten in all: with more at once it stands still."""
EVENT = "go"
SECONDS_MAX = 200
WARM_UP = 40


class Ran:
    """The orchestrations of this process that have come to wait."""

    waiting: set[str] = set()  # noqa: RUF012 - of the process, on purpose


def waiter(ctx, name):
    """Return the own name, and what the event says."""
    Ran.waiting.add(name)
    told = yield ctx.wait_for_external_event(EVENT)
    return [name, told]


def start(caller: client.TaskHubGrpcClient, name: str) -> None:
    """Start one."""
    caller.schedule_new_orchestration(waiter, input=name, instance_id=name)


def send(caller: client.TaskHubGrpcClient, name: str) -> None:
    """Send one its event."""
    caller.raise_orchestration_event(name, EVENT, data=name)


def result(caller: client.TaskHubGrpcClient, name: str) -> object:
    """Wait for the result of one."""
    state = caller.wait_for_orchestration_completion(name, timeout=SECONDS_MAX)
    check("its end", state and state.runtime_status, client.OrchestrationStatus.COMPLETED)
    return state.get_output()


def run(caller: client.TaskHubGrpcClient, threads: Executor, prefix: str, instances: int) -> None:
    """Start them; when all wait, send; and wait for each result."""
    names = [f"{prefix}{number}" for number in range(instances)]
    list(threads.map(partial(start, caller), names))
    while not Ran.waiting.issuperset(names):
        time.sleep(0.005)
    list(threads.map(partial(send, caller), names))
    results = list(threads.map(partial(result, caller), names))
    check("results", results, [[name, name] for name in names])


def main(instances: int) -> None:
    """Print the figures."""
    with backend() as address, ThreadPoolExecutor(CALLS_AT_ONCE) as threads:
        runner = worker.TaskHubGrpcWorker(host_address=address)
        runner.add_orchestrator(waiter)
        with running(runner):
            caller = client.TaskHubGrpcClient(host_address=address)
            run(caller, threads, "warm", WARM_UP)
            meter = Meter()
            run(caller, threads, "go", instances)
            used = meter.stop()
    emit(per_item(used, instances))
    finish()


if __name__ == "__main__":
    main(int(sys.argv[1]))
